"""Measurements that were made once; README.md names their questions, commands and results."""
