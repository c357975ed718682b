"""Measurements of speed, and of what stands in published tables: `python -m benchmarks.NAME` from a clone."""
