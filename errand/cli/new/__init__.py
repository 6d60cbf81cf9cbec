"""`errand new`: a service of your own, written from the files in template/."""
