"""Hand-made measures of a recording that show what a latent blurs: echoes, LFOs, edges of the amplitude."""
