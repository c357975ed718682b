"""Chains that nobody names: which effects of a palette made the difference, in what order and how they were set."""
