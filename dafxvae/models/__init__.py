"""The networks f, g and h (flax.linen)."""
