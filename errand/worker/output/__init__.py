"""What jobs log and print: caught in the attempt that says it, written down in Redis a few times a second."""
