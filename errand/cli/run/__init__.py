"""Commands that run something on this machine until they are stopped."""
