"""What happened to jobs, why they wait, how many there were: read for the API, the command line and the console."""
