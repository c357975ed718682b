"""One train step and what stands around it."""
