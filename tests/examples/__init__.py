"""Whole applications, run as processes: those in examples/, and some with packages of awkward names."""
