"""Storing jobs that Python code asks for."""
