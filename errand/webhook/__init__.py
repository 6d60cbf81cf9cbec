"""What tells a URL of an end."""
