"""Which descriptors h takes in addition to g's latent: those that predict the settings of other recordings better."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from dafxvae.config import Config, with_values
from dafxvae.core.choices import CHOSEN_DESCRIPTORS
from dafxvae.core.files import read_json, stored_file, write_json
from dafxvae.descriptors import catalog
from dafxvae.effects.bank import EffectBank
from dafxvae.metrics import Interval, bootstrap_ratio
from dafxvae.models import networks
from dafxvae.runs import build
from dafxvae.runs.stage_pairs import StagePairs

FILE = "descriptors.json"  # in the workdir
# All that are part of f's encoding, so that looking at them costs nothing.
CANDIDATES = tuple(descriptor.name for descriptor in catalog.DESCRIPTORS if descriptor.in_encoding)


def with_candidates(config: Config) -> Config:
    """A configuration with every candidate where the descriptors are to be chosen; else as it is."""
    return with_values(config, {"h.descriptors": CANDIDATES}) if CHOSEN_DESCRIPTORS in config.h.descriptors else config


def choose_descriptors(
    config: Config, pairs: StagePairs, bank: EffectBank, folder: Path, console: Console
) -> tuple[Config, StagePairs]:
    """Adopts the descriptors with which the known settings of validation pairs are predicted better, beyond chance.

    The warm start of h is run with each candidate, and with all that gained; a pair's error with and without is
    compared (`dafxvae.metrics.bootstrap_ratio`). The choice is stored, so that a resumed run does not make it again.

    Args:
        config: resolved; where it names descriptors, nothing is chosen.
        pairs: of `extract_stage_pairs`, with the descriptors of `with_candidates`.
        bank: of the one effect.
        folder: of the process, in the workdir.
        console: says what was adopted, and what it gained.

    Returns:
        The configuration with the adopted ones, and the pairs with their columns.
    """
    if CHOSEN_DESCRIPTORS not in config.h.descriptors:
        return config, pairs
    config, path = with_candidates(config), folder / FILE
    if not path.is_file():
        write_json(path, _compare(config, pairs, bank))
    with stored_file(path, "remove it, and the descriptors are compared again"):
        comparison, adopted = (read_json(path)[key] for key in ("comparison", "adopted"))
    console.print(f"descriptors: {comparison}", markup=False, highlight=False)
    return _chosen(config, pairs, bank, adopted)


def _compare(config: Config, pairs: StagePairs, bank: EffectBank) -> dict[str, Any]:
    """Names of the adopted ones, and what each gained in words; JSON."""
    without = _errors(config, pairs, bank, ())
    if not without.mean() > 0.0:
        return {"adopted": [], "comparison": "none, as the settings are predicted without error"}
    gains = {name: bootstrap_ratio(_errors(config, pairs, bank, (name,)), without) for name in CANDIDATES}
    adopted = [name for name, ratio in gains.items() if ratio.high < 1.0]
    if len(adopted) > 1:
        together = bootstrap_ratio(_errors(config, pairs, bank, adopted), without)
        best = min(adopted, key=lambda name: gains[name].mean)
        adopted = adopted if together.mean < gains[best].mean else [best]
    said = "; ".join(f"{name} {'adopted' if name in adopted else 'left out'}, {_share(gains[name])}" for name in gains)
    return {"adopted": adopted, "comparison": f"{said} (error of the settings with each, of that without)"}


def _share(ratio: Interval) -> str:
    return f"{ratio.mean:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def _errors(config: Config, pairs: StagePairs, bank: EffectBank, names: Sequence[str]) -> np.ndarray:
    """Squared error of each valid validation pair after a warm start with these descriptors; `[N]`."""
    config, pairs = _chosen(config, pairs, bank, names)
    h, params = networks.build_h(config, bank.num_params), build.warm_start(config, pairs, bank).params
    valid: Any = jax.tree.map(lambda *leaves: np.concatenate(leaves), *pairs.valid)
    found = np.asarray(h.apply({"params": params}, valid.z))
    return np.mean((found - valid.unit_params) ** 2, axis=-1)[valid.valid > 0]


def _chosen(config: Config, pairs: StagePairs, bank: EffectBank, names: Sequence[str]) -> tuple[Config, StagePairs]:
    """The configuration and the pairs with some of the candidates alone."""
    found = networks.input_descriptors(config)
    columns = catalog.columns_of(found, bank.num_params)
    num_features = pairs.train.z.shape[1]
    latent = np.arange(num_features - catalog.num_columns(found, bank.num_params))
    kept = np.concatenate([latent, *(num_features + columns[name] for name in names)])
    pairs = pairs._replace(
        train=pairs.train._replace(z=pairs.train.z[:, kept]),
        valid=[batch._replace(z=batch.z[:, kept]) for batch in pairs.valid],
    )
    return with_values(config, {"h.descriptors": tuple(names)}), pairs
