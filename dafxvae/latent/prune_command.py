"""The command `prune`: write the model without its idle dimensions, and report how far its outputs moved."""

from pathlib import Path
from typing import Any

import numpy as np

from dafxvae.controllers.controller import read_controller, save_controller
from dafxvae.controllers.encoders import load_encoders, save_encoders
from dafxvae.core.errors import UserError
from dafxvae.core.files import write_json
from dafxvae.latent.activity import per_dimension
from dafxvae.latent.analysis import Studied
from dafxvae.latent.gather import Gathered
from dafxvae.latent.networks import f_feature, g_functions
from dafxvae.latent.pruning import joint_columns, keep_used, prune_controller, prune_encoders
from dafxvae.latent.sources import ModelSource
from dafxvae.models.networks import Encoders
from dafxvae.types import PairBatch


def outputs(encoders: Encoders, shown: PairBatch, sample_rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """From posterior means: the reconstructed joint encoding, the settings, and g's latent of held-out pairs."""
    encode = f_feature(encoders, sample_rate)
    joint = np.concatenate([encode(shown.dry), encode(shown.reference)], axis=1)
    g = g_functions(encoders.g, encoders.variables["g"])
    posterior = g.infer(joint)
    z = np.asarray(posterior.mean)
    return np.asarray(g.decode(z)), np.asarray(g.settings(z).unit_params), z


def root_mean_square(values: np.ndarray) -> float:
    """Over everything."""
    return float(np.sqrt(np.mean(values.astype(np.float64) ** 2)))


def prune(source: ModelSource, gathered: Gathered, studied: Studied, folder: Path, with_f: bool) -> dict[str, Any]:
    """Writes the pruned f and g, and the h over them where there is one.

    Args:
        source: the whole model.
        gathered: examples; idle dimensions stand still at their means over the training ones.
        studied: its dimensions, measured.
        folder: gets `encoders.safetensors`, `controller.safetensors` and `prune.json`.
        with_f: also f's idle dimensions.

    Returns:
        JSON: sizes before and after, how far the outputs moved (root mean square over held-out pairs: reconstruction
        in standardised units, settings in units of their range), and the share of g's dimensions that are active.
    """
    if folder.resolve() == source.encoders_path.parent.resolve():
        raise UserError(f"-o {folder} holds the whole model: give another folder for the pruned one")
    joint = gathered.train.features["f"].joint
    keep_g = keep_used(studied.g.recommendation.used, np.asarray(studied.functions.infer(joint).mean).mean(0))
    keep_f = keep_used(studied.f.recommendation.used if with_f else np.ones(source.encoders.f.latent_dim, bool),
                       studied.f.per_dimension.mean)  # fmt: skip
    encoders = prune_encoders(source.encoders, keep_g, keep_f, joint.mean(0, dtype=np.float64))
    save_encoders(folder / "encoders.safetensors", encoders.variables, encoders.metadata)
    encoders = load_encoders(folder / "encoders.safetensors")  # as they are stored: rounded
    rate, shown = source.config.sample_rate, gathered.shown
    before, after = (outputs(each, shown, rate) for each in (source.encoders, encoders))
    columns = joint_columns(source.encoders.f, keep_f)
    change = {
        "reconstruction": root_mean_square(before[0][:, columns] - after[0]),
        "settings": root_mean_square(before[1] - after[1]),
    }
    if source.controller is not None:
        params, config = prune_controller(source.controller, encoders, keep_g)
        path = folder / "controller.safetensors"
        measured = encoders._replace(templates=source.controller.encoders.templates)
        save_controller(path, params, source.controller.parameters, measured, config)
        pruned = read_controller(path, folder / "encoders.safetensors")
        settings = [each.predict(shown.dry, shown.reference) for each in (source.controller, pruned)]
        change["controller's settings"] = root_mean_square(settings[0] - settings[1])
    active = per_dimension(after[2], np.zeros_like(after[2])).active
    found = {
        "g": {"before": len(keep_g.used), "after": len(keep_g.rows), "kept": keep_g.rows.tolist()},
        "f": {"before": len(keep_f.used), "after": len(keep_f.rows), "kept": keep_f.rows.tolist()},
        "rms_change": change,
        "active_share_of_g": float(active.mean()),
    }
    write_json(folder / "prune.json", found)
    return found
