"""Libraries that only the latent tools need, imported when they are used."""

import importlib
from typing import Any

from dafxvae.errors import UserError


def sklearn(module: str) -> Any:
    """`sklearn.<module>`.

    Raises:
        UserError: scikit-learn is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        raise UserError(
            f"scikit-learn is not installed ({error}): the latent tools need `pip install 'dafxvae[latent]'`"
        ) from error
