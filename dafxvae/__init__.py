"""Audio-effect style transfer through black-box effects: beta-VAE encoders f and g, trained controllers h.

    with dafxvae.load_controller("eq_compressor") as style:
        result = style.transfer(audio, reference, 44100)  # -> .audio, .settings, .snippet

What a caller may get wrong raises `UserError`, whose message says what to change; an effect that fails, `EffectError`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from dafxvae.core.errors import EffectError, UserError
from dafxvae.core.version import __version__

if TYPE_CHECKING:
    from dafxvae.studio.match import match
    from dafxvae.transfer.api import StyleTransfer, Transfer, load_controller, open_effect
    from dafxvae.transfer.ranking import rank_controllers

__all__ = [
    "EffectError",
    "StyleTransfer",
    "Transfer",
    "UserError",
    "__version__",
    "load_controller",
    "match",
    "open_effect",
    "rank_controllers",
]


def __getattr__(name: str) -> Any:
    # Looked up when first asked for: importing dafxvae must not import jax, before which command lines set variables.
    if name in __all__:
        homes = {"match": "studio.match", "rank_controllers": "transfer.ranking"}
        return getattr(importlib.import_module(f"dafxvae.{homes.get(name, 'transfer.api')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
