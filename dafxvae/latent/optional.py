"""The optional library of the latent tools, imported when it is first used."""

from typing import Any

from dafxvae.core.optional import load


def sklearn(module: str) -> Any:
    """`sklearn.<module>`.

    Raises:
        UserError: scikit-learn is not installed; the message names the extra.
    """
    return load(f"sklearn.{module}", "scikit-learn", "latent")
