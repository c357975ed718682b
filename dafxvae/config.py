"""The base configuration and its presets. Free of jax, so that a command line can read it before jax is imported.

A file in `configs/` takes `base_config()`, changes what its experiment is about and returns it. Library code reads
attributes only; every key that exists stands here.
"""

from collections.abc import Collection, Mapping
from functools import reduce
from operator import getitem
from typing import Any

from ml_collections import ConfigDict

from dafxvae.core.errors import UserError

Config = Any  # a resolved ConfigDict (or a part of one); its own stubs make every attribute a union of all types

PRETRAINING_BANK = (  # every built-in of Pedalboard with parameters
    *("Bitcrush", "BrickwallLimiter", "Chorus", "Clipping", "Compressor", "Delay", "Distortion", "Gain"),
    *("HighShelfFilter", "HighpassFilter", "LadderFilter", "Limiter", "LowShelfFilter", "LowpassFilter"),
    *("MP3Compressor", "NoiseGate", "PeakFilter", "Phaser", "PitchShift", "Resample", "Reverb"),
)

PRESETS: dict[str, dict[str, object]] = {
    "default": {},
    # Every box of the diagram for a few steps: shows that an installation works, not what it can do.
    "smoke": {
        "pretrained": "smoke",
        "pretrain": True,
        "data.minutes": 1.5,
        "clip_samples": 32768,
        "bank": ("Reverb", "Compressor", "PeakFilter"),
        "chains.count": 3,
        "eval.num_pairs": 8,
        "eval.num_test_pairs": 16,
        "f.num_steps": 24,
        "f.width": 64,
        "g.num_steps": 24,
        "g.width": 64,
        "h.num_steps": 24,
        "h.num_pairs": 64,
        "h.num_audio_pairs": 64,
        "g.num_pairs": 64,
        "f.batch_size": 8,
        "g.batch_size": 8,
        "calibration_batches": 2,
        "eval.every_steps": 12,
        "checkpoint_every_steps": 12,
        "log_every_steps": 4,
        "digits.num_speakers": 8,
        "digits.num_takes": 1,
        "digits.width": 64,
        "digits.num_steps": 48,
    },
}


def _data() -> dict[str, Any]:
    """Recordings and pairs."""
    return {
        "folder": "",  # the user's audio; empty for the embedded corpus
        "with_embedded": False,  # the embedded corpus in addition to the folder
        "minutes": 40.0,  # of the embedded corpus
        "mode": "other_file",  # where the reference comes from: same_clip, other_section, other_file, mixed
        "presets": "",  # folder of a plugin's presets (.vstpreset), around which settings are drawn; empty: uniform
        "prefetch_batches": 3,
        "prerendered": {"f": "", "g": "", "h": ""},  # folders of `dafxvae data render`; empty: as it trains
        "options": {  # dafxvae.data.pairs.draws.PairOptions
            "untouched_share": 0.1,
            "style_share": 0.0,
            "augment_share": 0.0,
            "same_clip_share": 0.0,
            "mastered_share": 0.0,
            "gain_db": (-12.0, 6.0),
            "silence_db": -50.0,
            "min_output_db": -65.0,
            "max_peak": 4.0,
            "min_change_db": -30.0,
            "max_attempts": 8,
        },
    }


def _kl(beta: float) -> dict[str, Any]:
    """The KL term of a beta-VAE; see `dafxvae.training.kl`."""
    return {
        "schedule": "constant",  # constant, linear, cyclic, capacity
        "beta": beta,
        "warmup_share": 0.5,
        "cycles": 4,
        "capacity_nats": 25.0,
        "free_nats": 0.0,
    }


def _stages() -> dict[str, Any]:
    """What is trained, in this order: f, g, h."""
    return {
        "f": {
            "latent_dim": 48,
            "style_dim": 96,
            "width": 320,
            "time_strides": (4, 1),
            "num_mels": 128,
            "window_sec": 2048 / 24000,
            "hop_sec": 512 / 24000,
            "high_hz": 11000.0,
            "kl": _kl(beta=0.5),
            "settings_weight": 0.1,  # against the ELBO of a spectrogram cell; both in nats
            "contrast_weight": 0.1,
            "head_width": 256,
            "num_steps": 4000,
            "batch_size": 16,
            "learning_rate": 1e-3,
            "warmup_steps": 50,
            "clip_norm": 1.0,
            "weight_decay": 0.0,
        },
        "g": {
            "latent_dim": 96,
            "width": 512,
            "kl": _kl(beta=0.2),
            "joint_weight": 0.1,
            "settings_weight": 10.0,
            "input_noise": 0.4,  # on the standardised encoding, in training
            "num_pairs": 32000,  # encoded once, and then seen again and again
            "num_steps": 4000,
            "batch_size": 64,
            "learning_rate": 1e-3,
            "warmup_steps": 50,
            "clip_norm": 1.0,
            "weight_decay": 1.0,
        },
        "h": _h(),
    }


def _h() -> dict[str, Any]:
    """The controller decoder: pairs encoded once, their known settings first, then their sound."""
    return {
        "widths": (128,),
        "descriptors": (),  # of the reference, added to g's latent: see dafxvae.descriptors.catalog
        # of an effect with an LFO: the parameter that is its rate; and for the descriptor "lfo_templates", how many
        # templates are measured, and whether the settings that they estimate are mixed into h's prediction
        "lfo": {"rate": "", "num_templates": 2048, "mix_estimates": False},
        "stft_sizes": (128, 512, 2048, 8192),
        "loss_weights": {"mrstft": 1.0, "l1": 1.0},
        "settings_weight": 4.0,  # of the squared error of the known settings, added to the audio loss
        "num_pairs": 6144,  # encoded once; the settings are learnt from all of them
        "num_audio_pairs": 1536,  # the first of them, kept with their audio for the steps through the effect
        "warm_start": {  # the known settings alone: dafxvae.training.warm_start
            "num_steps": 800,
            "batch_size": 256,
            "learning_rate": 2e-3,
            "weight_decay": 0.01,
            "noise": 0.3,  # on the latent, whose dimensions deviate by about 1
            "margin": 0.4,  # of the pairs, by which a direct estimate must hit more often than the network
            "evaluations": 16,
        },
        "num_steps": 200,
        "batch_size": 8,
        "learning_rate": 5e-4,
        "warmup_steps": 50,
        "clip_norm": 1.0,
        "weight_decay": 0.0,
    }


def _digits() -> dict[str, Any]:
    """The job "digits" (`configs/spoken_digits.py`): a clip-level VAE, and the digits where no folder is given."""
    return {
        "synthesiser": "",  # espeak, formants; empty: espeak-ng where it is installed
        "num_speakers": 64,
        "num_takes": 2,  # of each digit by each speaker
        "clip_samples": 8128,  # 128 frames: 1.016 s at 8 kHz
        "window_samples": 256,
        "hop_samples": 64,
        "max_shift_samples": 100,  # a word is moved by up to so much in training
        "latent_dim": 16,
        "width": 192,
        "time_strides": (4, 4, 2),
        "beta": 6.0,
        "num_steps": 800,
        "batch_size": 32,
        "learning_rate": 2e-3,
        "warmup_steps": 50,
        "clip_norm": 1.0,
        "weight_decay": 0.0,
        "griffin_lim_iterations": 60,
        "num_samples": 8,  # from the prior
    }


def base_config() -> ConfigDict:
    """What all experiments share; sizes are chosen for two CPU cores."""
    return ConfigDict(
        {
            "seed": 0,
            "job": "controller",  # what is run: controller, digits
            "preset": "default",
            "pretrained": "shipped",  # f and g: the package's, a name in the data folder, or a *.safetensors file
            "pretrain": False,  # train f and g first where there are none of that name
            "effect": "Reverb",
            "sample_rate": 24000,
            "num_channels": 1,
            "clip_samples": 65536,  # 2.73 s
            "bank": PRETRAINING_BANK,
            "chains": {"count": 200, "max_length": 4, "share": 0.5},  # dafxvae.effects.bank.RandomChains
            "calibration_batches": 12,  # measured for the standardising constants of f and g
            "num_devices": 0,  # 0: all local ones
            # parts in which a stage's batch is worked through, one after another: less memory, the same step
            "accumulate": {"f": 1, "g": 1, "h": 1, "digits": 1},
            "compute_dtype": "float32",  # of the networks' layers while training; bfloat16 for accelerators
            "num_workers": 0,  # rendering workers; 0: one a core
            "log_every_steps": 10,
            "checkpoint_every_steps": 200,
            "data": _data(),
            "eval": {"every_steps": 250, "num_pairs": 48, "num_test_pairs": 128, "num_media": 3},
            **_stages(),
            "digits": _digits(),
            "log": {"wandb": ""},  # Weights & Biases in addition to TensorBoard: offline, online; empty: no
            # dafxvae.gradients.schemes.Estimator; a step_size of 0 and the level "auto" are as measured of the effect
            "estimator": {"name": "spsa", "num_probes": 1, "step_size": 0.0, "level": "auto", "two_sided": False},
        }
    )


# docs/gradients.md: one-sided coordinates are the gradient itself of a smooth effect, and reach a lower loss than SPSA
# at equal renders; delay times and LFO rates have no useful fine gradient, only one of losses over a large step.
SMOOTH = {"name": "finite_difference", "num_probes": 0, "level": "audio", "two_sided": False}
ROUGH = {"name": "finite_difference", "num_probes": 0, "level": "loss", "two_sided": True}
MEASURED = {"name": "finite_difference", "num_probes": 0, "level": "auto", "two_sided": False}  # one of these two

# For effects with an LFO: long clips, in which slow rates show, and a loss of the mel spectrum smoothed over a second:
# MRSTFT alone is least at "dry" while a rate or time is wrong (docs/objectives.md).
WITH_LFO: dict[str, Any] = {
    "h__loss_weights": {"mrstft": 1.0, "smoothed_mel": 1.0},
    "h__settings_weight": 0.5,
    "h__warm_start__margin": 0.2,
    "h__warm_start__num_steps": 3000,
    "h__num_steps": 400,
    "h__learning_rate": 1.5e-3,
    "clip_samples": 131072,
}


def controller_config(effect: str, estimator: dict[str, Any], **changes: Any) -> ConfigDict:
    """The base configuration for a controller of one effect or chain.

    Args:
        effect: short form; see `dafxvae.effects.spec`.
        estimator: `SMOOTH` or `ROUGH`.
        changes: further keys, `__` for the dot.

    Raises:
        UserError: a key that does not exist, or a value of another type.
    """
    config: Config = base_config()
    if not isinstance(effect, str) or not isinstance(estimator, dict):
        raise UserError(f"{effect!r}, {estimator!r}: give an effect by its name, and SMOOTH, ROUGH or a dictionary")
    changes |= {"effect": effect} | {f"estimator__{key}": value for key, value in estimator.items()}
    for key, value in changes.items():
        *parts, name = key.split("__")
        try:
            part = reduce(getitem, parts, config)
            _ = part[name]
            part[name] = ConfigDict(value) if isinstance(value, dict) else value  # replaced whole, not merged
        except (KeyError, TypeError) as error:
            raise UserError(f"{key}={value!r}: {error}; see the keys in dafxvae/config.py") from error
    return config


def check_config(config: Config) -> None:
    """Raises UserError for what is no configuration."""
    if not isinstance(config, ConfigDict):
        raise UserError(f"{config!r} is no configuration: give that of `controller_config` or of a file in configs/")


def resolve_preset(config: Config, overridden: Collection[str] = ()) -> Config:
    """A copy of `config` with its preset's values, except for the keys that the user has set by hand.

    Args:
        config: as a file in `configs/` returns it, flags applied.
        overridden: dotted keys given on the command line.

    Raises:
        UserError: an unknown preset.
    """
    check_config(config)
    if config.preset not in PRESETS:
        raise UserError(f"unknown preset {config.preset!r}: --config.preset takes one of {', '.join(sorted(PRESETS))}")
    return with_values(config, {k: value for k, value in PRESETS[config.preset].items() if k not in overridden})


def with_values(config: Config, values: Mapping[str, object]) -> Config:
    """A copy of `config` with other values of some dotted keys."""
    changed = ConfigDict(config.to_dict())
    with changed.ignore_type():
        changed.update_from_flattened_dict(values)
    return changed
