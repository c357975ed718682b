"""Audio-effect style transfer through black-box effects: beta-VAE encoders f and g, SPSA-trained controllers h."""

__version__ = "0.1.0"
