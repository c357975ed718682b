"""Looking into f and g: what their latents hold, how many dimensions are in use, and models without the idle ones."""
