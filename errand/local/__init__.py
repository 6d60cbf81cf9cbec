"""Everything on one machine, for the commands `up` and `demo`."""
