"""Measures effects: step sizes, roughness, and how near the estimators come to the true gradient."""
