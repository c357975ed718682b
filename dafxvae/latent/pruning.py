"""Models without their idle dimensions: the same function, smaller; and the command `prune`.

An idle dimension is held at its mean over examples. Where a layer reads it, its weights times that constant go into
the layer's bias; where a layer writes it, its weights go. What is left computes what the whole model computes with the
idle dimensions standing still.
"""

from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from dafxvae.config import Config
from dafxvae.controllers.controller import Controller, read_controller, save_controller
from dafxvae.controllers.encoders import load_encoders, save_encoders
from dafxvae.controllers.experience import store_experience
from dafxvae.core.errors import UserError
from dafxvae.core.files import write_json
from dafxvae.latent.activity import per_dimension
from dafxvae.latent.examples import Gathered
from dafxvae.latent.measures import Studied
from dafxvae.latent.source import ModelSource, g_functions, joint_encodings
from dafxvae.models.controller_vae import soft_limit
from dafxvae.models.networks import Encoders, encoders_from
from dafxvae.models.spectrogram_vae import SpectrogramVAE
from dafxvae.types import PairBatch


class Keep(NamedTuple):
    """Which dimensions of one latent stay, and where the others stand still."""

    used: np.ndarray  # bool [Z]
    constant: np.ndarray  # [Z]

    @property
    def rows(self) -> np.ndarray:
        """int, the dimensions that stay."""
        return np.flatnonzero(self.used)


def keep_used(used: np.ndarray, constant: np.ndarray) -> Keep:
    """At least one dimension stays: the first one if none is used."""
    used = np.asarray(used, bool).copy()
    if not used.any():
        used[0] = True
    return Keep(used, np.asarray(constant, np.float64))


def fold_inputs(dense: dict[str, Any], used: np.ndarray, constant: np.ndarray) -> dict[str, Any]:
    """A dense layer that reads only the used inputs, the others' constants in its bias; kernel `[inputs, outputs]`."""
    kernel, bias = np.asarray(dense["kernel"], np.float64), np.asarray(dense["bias"], np.float64)
    folded = bias + np.where(used, 0.0, constant) @ kernel
    return {"kernel": kernel[used].astype(np.float32), "bias": folded.astype(np.float32)}


def cut_outputs(dense: dict[str, Any], used: np.ndarray) -> dict[str, Any]:
    """A dense layer that writes only the used outputs."""
    return {"kernel": np.asarray(dense["kernel"])[:, used], "bias": np.asarray(dense["bias"])[used]}


def _last(mlp: dict[str, Any]) -> str:
    """Name of an MLP's last layer."""
    return f"Dense_{len(mlp) - 1}"


def prune_f_params(params: dict[str, Any], keep: Keep) -> dict[str, Any]:
    """f with a shorter frame latent."""
    return params | {
        "posterior_mean": cut_outputs(params["posterior_mean"], keep.used),
        "posterior_log_variance": cut_outputs(params["posterior_log_variance"], keep.used),
        "decoder_input": fold_inputs(params["decoder_input"], keep.used, keep.constant),
    }


def joint_columns(f: SpectrogramVAE, keep: Keep) -> np.ndarray:
    """Which columns of the joint encoding are left; bool `[2E]`."""
    others = f.encoding_size - 3 * f.latent_dim  # levels and style
    one = np.concatenate([*[keep.used] * 3, np.ones(others, bool)])
    return np.concatenate([one, one])


def prune_g_inputs(variables: dict[str, Any], columns: np.ndarray, joint_mean: np.ndarray) -> dict[str, Any]:
    """g that reads and reconstructs fewer columns of the joint encoding.

    Args:
        variables: of g.
        columns: bool `[2E]`, the ones left.
        joint_mean: `[2E]`, mean of the raw encoding over examples: the constants of the columns that go.
    """
    params, constants = variables["params"], variables["constants"]
    mean, deviation = (np.asarray(constants[name]) for name in ("joint_mean", "joint_deviation"))
    encoder, decoder = params["encoder"], params["decoder"]
    still = np.asarray(soft_limit(jnp.asarray((joint_mean - mean) / deviation)))
    last = _last(encoder)
    skip = fold_inputs(params["encoder_skip"] | {"bias": np.zeros(1)}, columns, still)
    # The skip has no bias; its constant goes to the means that the encoder's last layer writes.
    bias = np.array(encoder[last]["bias"])
    bias[: len(skip["bias"])] += skip["bias"]
    first = fold_inputs(encoder["Dense_0"], columns, still)
    encoder = encoder | {"Dense_0": first, last: encoder[last] | {"bias": bias}}
    decoder = decoder | {_last(decoder): cut_outputs(decoder[_last(decoder)], columns)}
    return {
        "params": params | {"encoder": encoder, "encoder_skip": {"kernel": skip["kernel"]}, "decoder": decoder},
        "constants": constants | {"joint_mean": mean[columns], "joint_deviation": deviation[columns]},
    }


def prune_g_latent(variables: dict[str, Any], keep: Keep) -> dict[str, Any]:
    """g with a shorter latent: encoder, decoder and settings head."""
    params = variables["params"]
    encoder, decoder, head = params["encoder"], params["decoder"], params["settings_head"]
    last = _last(encoder)
    both = np.concatenate([keep.used, keep.used])  # means, then log-variances
    mlp = head["MLP_0"]
    return variables | {
        "params": params
        | {
            "encoder": encoder | {last: cut_outputs(encoder[last], both)},
            "encoder_skip": {"kernel": np.asarray(params["encoder_skip"]["kernel"])[:, keep.used]},
            "decoder": decoder | {"Dense_0": fold_inputs(decoder["Dense_0"], keep.used, keep.constant)},
            "settings_head": head | {"MLP_0": mlp | {"Dense_0": fold_inputs(mlp["Dense_0"], keep.used, keep.constant)}},
        }
    }


def prune_encoders(encoders: Encoders, keep_g: Keep, keep_f: Keep, joint_mean: np.ndarray) -> Encoders:
    """f and g without their idle dimensions; `joint_mean` `[2E]` is that of the joint encoding over examples."""
    f_variables, g_variables = encoders.variables["f"], encoders.variables["g"]
    metadata = {key: value for key, value in encoders.metadata.items() if key not in ("format", "fingerprint")}
    pruned = {"g": np.flatnonzero(~keep_g.used).tolist()}
    if not keep_f.used.all():
        f_variables = f_variables | {"params": prune_f_params(f_variables["params"], keep_f)}
        g_variables = prune_g_inputs(g_variables, joint_columns(encoders.f, keep_f), joint_mean)
        metadata["f"] = metadata["f"] | {"latent_dim": int(keep_f.used.sum())}
        pruned["f"] = np.flatnonzero(~keep_f.used).tolist()
    g_variables = prune_g_latent(g_variables, keep_g)
    metadata["g"] = metadata["g"] | {"latent_dim": int(keep_g.used.sum())}
    metadata["pruned"] = pruned
    return encoders_from({"f": f_variables, "g": g_variables}, metadata)


def prune_controller(controller: Controller, encoders: Encoders, keep_g: Keep) -> tuple[Any, Config]:
    """h over the pruned g: its parameters, and the configuration that belongs to them."""
    mlp = controller.params["MLP_0"]
    num_descriptors = len(mlp["Dense_0"]["kernel"]) - len(keep_g.used)  # behind the latent; all of them stay
    used = np.pad(keep_g.used, (0, num_descriptors), constant_values=True)
    first = fold_inputs(mlp["Dense_0"], used, np.pad(keep_g.constant, (0, num_descriptors)))
    config = controller.config.copy_and_resolve_references()
    for name in ("f", "g"):
        config[name].latent_dim = encoders.metadata[name]["latent_dim"]
    return controller.params | {"MLP_0": mlp | {"Dense_0": first}}, config


def outputs(encoders: Encoders, shown: PairBatch, sample_rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """From posterior means: the reconstructed joint encoding, the settings, and g's latent of held-out pairs."""
    g = g_functions(encoders.g, encoders.variables["g"])
    z = g.encode(joint_encodings(encoders, sample_rate, shown.dry, shown.reference))
    return np.asarray(g.decode(z)), np.asarray(g.settings(z).unit_params), z


def root_mean_square(values: np.ndarray) -> float:
    """Over everything."""
    return float(np.sqrt(np.mean(values.astype(np.float64) ** 2)))


def prune(source: ModelSource, gathered: Gathered, studied: Studied, folder: Path, with_f: bool) -> dict[str, Any]:
    """Write the pruned f and g, and the h over them where there is one.

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
    keep_g = keep_used(studied.g.recommendation.used, studied.functions.encode(joint).mean(0))
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
        if source.controller.experience is not None:
            store_experience(path, source.controller.experience.of_latents(keep_g.rows))
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
