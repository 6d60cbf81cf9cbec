"""Everything on one machine, for the command up."""
