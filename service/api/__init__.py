"""The names of earlier versions."""
