"""rq-dashboard, made whole and safe from outside."""
