"""Storing a job from Python: inside another job, and anywhere else."""
