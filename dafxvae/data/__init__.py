"""Recordings and training pairs."""
