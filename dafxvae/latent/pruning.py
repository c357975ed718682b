"""Models without their idle dimensions: the same function, smaller.

An idle dimension is held at its mean over examples. Where a layer reads it, its weights times that constant go into
the layer's bias; where a layer writes it, its weights go. What is left computes what the whole model computes with the
idle dimensions standing still.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from dafxvae.config import Config
from dafxvae.controllers.controller import Controller
from dafxvae.models.controller_vae import soft_limit
from dafxvae.models.networks import Encoders, encoders_from
from dafxvae.models.spectrogram_vae import SpectrogramVAE


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
        joint_mean: `[2E]`, where the columns that go stand still: the raw encoding's mean over examples.
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
    """f and g without their idle dimensions.

    Args:
        encoders: f and g.
        keep_g: of g's latent.
        keep_f: of f's.
        joint_mean: mean of the joint encoding over examples, `[2E]`.
    """
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
    used, constant = (
        np.pad(keep_g.used, (0, num_descriptors), constant_values=True),
        np.pad(keep_g.constant, (0, num_descriptors)),
    )
    first = fold_inputs(mlp["Dense_0"], used, constant)
    config = controller.config.copy_and_resolve_references()
    for name in ("f", "g"):
        config[name].latent_dim = encoders.metadata[name]["latent_dim"]
    return controller.params | {"MLP_0": mlp | {"Dense_0": first}}, config
