"""Analysis of f and g: what their latents hold, how many dimensions are used, models without idle ones."""
