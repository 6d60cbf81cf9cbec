"""Mail that the local server of `errand up` has kept: a folder with a file for each."""
