"""Everything on one machine, for `errand up`: the embedded Valkey, the SMTP sink, the processes."""
