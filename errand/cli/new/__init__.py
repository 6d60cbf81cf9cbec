"""`errand new`: a service of one's own, written from the files in template/."""
