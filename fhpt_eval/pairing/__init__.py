"""Which images belong together."""
