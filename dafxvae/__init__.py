"""Audio-effect style transfer through black-box effects: beta-VAE encoders f and g, trained controllers h.

`load_controller(name)` gives what transfers recordings (`transfer.api.StyleTransfer`); `match` finds the effects too.
"""

import importlib
from typing import TYPE_CHECKING, Any

from dafxvae.core.version import __version__

if TYPE_CHECKING:
    from dafxvae.studio.match import match
    from dafxvae.transfer.api import StyleTransfer, Transfer, load_controller, open_effect
    from dafxvae.transfer.ranking import rank_controllers

__all__ = [
    "StyleTransfer",
    "Transfer",
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
