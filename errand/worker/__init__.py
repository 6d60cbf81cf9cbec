"""The worker behind the command of RQ."""
