"""Automatic choice of a chain: which effects of a palette made the difference, in what order, at what settings."""
