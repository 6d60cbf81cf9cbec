"""What the console's buttons do, a file a kind of thing: by the functions that the API's routes call."""
