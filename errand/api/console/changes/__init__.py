"""What the console's buttons do, one file for each kind of thing, by the functions that the API's routes call."""
