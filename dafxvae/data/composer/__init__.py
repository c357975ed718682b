"""The embedded corpus: music that dafxvae composes and renders."""
