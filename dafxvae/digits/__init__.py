"""The digit VAE: a clip-level beta-VAE of spoken digits, its recordings, its training and its scores."""
