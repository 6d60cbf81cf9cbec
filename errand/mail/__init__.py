"""What the e-mail job sends with."""
