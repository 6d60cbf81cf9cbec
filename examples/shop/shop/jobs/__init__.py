"""The job files: `pack.py` is the job `pack`."""
