"""Values of a configuration that no run can have: refused by their keys before anything is made."""

import math
from collections.abc import Callable, Mapping

import jax

from dafxvae.audio.losses import make_audio_loss
from dafxvae.config import Config, base_config
from dafxvae.core.differences import flatten
from dafxvae.core.errors import UserError
from dafxvae.core.rng import check_seed
from dafxvae.data.pairs.draws import MODES, PairOptions
from dafxvae.effects.bank import RandomChains
from dafxvae.gradients.schemes import Estimator
from dafxvae.models import networks
from dafxvae.training.kl import make_kl_penalty

COUNTS = (  # last parts of keys: at least 1; all other numbers may be 0
    *("sample_rate", "num_channels", "clip_samples", "calibration_batches", "log_every_steps", "every_steps"),
    *("checkpoint_every_steps", "num_steps", "batch_size", "num_pairs", "num_audio_pairs", "evaluations"),
    *("latent_dim", "style_dim", "width", "widths", "head_width", "num_mels", "time_strides", "stft_sizes"),
    *("num_templates", "num_speakers", "num_takes", "window_samples", "hop_samples"),
)
POSITIVE = ("minutes", "window_sec", "hop_sec", "high_hz", "clip_norm", "max_peak")


def check_numbers(config: Config) -> None:
    """Refuse numbers that are not finite or too small.

    Raises:
        UserError: one of them, with its key and the least value.
    """
    usual = flatten(base_config().to_dict())
    for key, value in flatten(config.to_dict()).items():
        name = key.rpartition(".")[2]
        for number in value if isinstance(value, tuple | list) else (value,):
            if isinstance(number, bool) or not isinstance(number, int | float):
                continue
            if not math.isfinite(number):
                raise UserError(f"--config.{key} is {value}: give finite numbers")
            if name.endswith("_db"):  # a level, of either sign
                continue
            if number < (1 if name in COUNTS else 0) or (name in POSITIVE and number == 0):
                least = "at least 1" if name in COUNTS else "more than 0" if name in POSITIVE else "at least 0"
                raise UserError(f"--config.{key} is {value}: give {least}, such as {usual.get(key, 1.0)}")
    check_seed(config.seed, "--config.seed")


def check_pair_values(config: Config) -> None:
    """Refuse what no training pairs can be made with.

    Raises:
        UserError: one value, with its key.
    """
    check_numbers(config)
    if config.num_channels not in (1, 2):
        raise UserError(f"--config.num_channels is {config.num_channels}: give 1 or 2")
    if config.data.mode not in MODES:
        raise UserError(f"--config.data.mode is {config.data.mode!r}: give one of {', '.join(MODES)}")
    low, high = config.data.options.gain_db
    if low > high:
        raise UserError(f"--config.data.options.gain_db is ({low}, {high}): give the lower one first")
    _check_built(
        {
            "data.options": lambda: PairOptions(**config.data.options.to_dict()),
            "chains": lambda: RandomChains(**config.chains.to_dict()),
        }
    )


def check_parts(config: Config) -> None:
    """Refuse numbers and parts of a controller's configuration that nothing can be built of.

    Raises:
        UserError: one of them, with its key.
    """
    check_pair_values(config)
    if not config.h.stft_sizes or not any(config.h.loss_weights.values()):
        raise UserError(
            "--config.h.stft_sizes and --config.h.loss_weights: give at least one size, and a weight above 0"
        )
    clip = jax.ShapeDtypeStruct((1, config.clip_samples, config.num_channels), "float32")

    def measure() -> None:
        loss = make_audio_loss(config.h.loss_weights.to_dict(), config.h.stft_sizes, config.sample_rate)
        jax.eval_shape(loss, clip, clip)

    _check_built(
        {
            "f.kl": lambda: make_kl_penalty(config.f.kl, config.f.num_steps),
            "g.kl": lambda: make_kl_penalty(config.g.kl, config.g.num_steps),
            "h.descriptors": lambda: networks.input_descriptors(config),
            "h.loss_weights and h.stft_sizes": measure,
            "estimator": lambda: Estimator(
                **config.estimator.to_dict() | {"step_size": config.estimator.step_size or 1e-3}
            ),
        }
    )


def _check_built(parts: Mapping[str, Callable[[], object]]) -> None:
    """Raises UserError naming the key of what cannot be built."""
    for key, build in parts.items():
        try:
            build()
        except ValueError as error:
            raise UserError(f"--config.{key}: {error}") from error
