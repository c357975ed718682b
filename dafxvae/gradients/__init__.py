"""Gradients of black-box effects."""
