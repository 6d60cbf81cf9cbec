"""What a job file is written against."""
