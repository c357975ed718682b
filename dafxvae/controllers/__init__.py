"""Trained controllers: h with its f and g, stored, found by name and read back."""
