"""Measurements of effects: step sizes, roughness, and the quality of gradient estimates."""
