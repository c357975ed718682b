"""Training pairs: an input, a reference, the target and the settings that made it."""
