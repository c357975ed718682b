"""The digit VAE: whole spoken words at 8 kHz, a latent of 16, and back to sound (docs/digits.md).

python -m dafxvae.train --config configs/spoken_digits.py --workdir runs/digits
"""

from ml_collections import ConfigDict

from dafxvae.config import base_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    config = base_config()
    config.job = "digits"
    config.sample_rate = 8000
    return config
