"""A shop that takes orders over HTTP, and does the work behind them in jobs."""
