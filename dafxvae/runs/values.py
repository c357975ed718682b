"""Allowed values of every key of a configuration: checked before anything is made, and before jax is imported."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from dafxvae.config import PRESETS, Config, base_config
from dafxvae.core.choices import (
    CHOSEN_DESCRIPTORS,
    COMPUTE_DTYPES,
    DESCRIPTOR_NAMES,
    ESTIMATORS,
    JOBS,
    LEVELS,
    LOSSES,
    MEASURED_LEVEL,
    MODES,
    SCHEDULES,
)
from dafxvae.core.differences import flatten
from dafxvae.core.errors import UserError, unknown_name
from dafxvae.core.paths import SHIPPED, data_dir, stored_encoders_path, user_path
from dafxvae.core.rng import LARGEST_SEED

WANDB_MODES = ("", "offline", "online")
OPEN_PART = "h.loss_weights."  # the one part of a configuration whose keys are the user's choice


class Allowed(NamedTuple):
    """The values that a key may have.

    Attributes:
        kind: of the value, or of each entry of a tuple.
        least: the smallest number.
        most: the largest number.
        above: whether numbers must be larger than the smallest.
        choices: the only texts; empty for any text.
        size: entries of a tuple, at least; None for a single value.
    """

    kind: type
    least: float = 0
    most: float = math.inf
    above: bool = False
    choices: tuple[str, ...] = ()
    size: int | None = None

    def __str__(self) -> str:
        if self.kind is bool:
            return "True or False"
        if self.kind is str:
            words = f"one of {', '.join(repr(choice) for choice in self.choices)}" if self.choices else "text"
        else:
            words = "a whole number" if self.kind is int else "a finite number"
            bounds = [f"{'above' if self.above else 'at least'} {self.least}"] * (self.least > -math.inf)
            bounds += [f"at most {self.most}"] * (self.most < math.inf)
            words += f", {' and '.join(bounds)}" if bounds else ""
        return words if self.size is None else f"a tuple, each entry {words}"

    def holds(self, value: Any) -> bool:
        """Whether a value is allowed."""
        if self.size is not None:
            is_tuple = isinstance(value, Sequence) and not isinstance(value, str) and len(value) >= self.size
            return is_tuple and all(self._replace(size=None).holds(entry) for entry in value)
        if self.kind in (bool, str):
            return isinstance(value, self.kind) and (not self.choices or value in self.choices)
        if isinstance(value, bool) or not isinstance(value, int if self.kind is int else int | float):
            return False
        low = value > self.least if self.above else value >= self.least
        return math.isfinite(value) and low and value <= self.most


COUNT, WHOLE, FLAG, TEXT = Allowed(int, 1), Allowed(int), Allowed(bool), Allowed(str)
SHARE, LEVEL = Allowed(float, most=1), Allowed(float, -math.inf)
NUMBER, ABOVE = Allowed(float), Allowed(float, above=True)


def _choice(*names: str) -> Allowed:
    return Allowed(str, choices=names)


def _many(allowed: Allowed, size: int = 1) -> Allowed:
    return allowed._replace(size=size)


SCHEMA: Mapping[str, Allowed | None] = {  # by the whole key, or by its last words
    **dict.fromkeys(("seed",), Allowed(int, 0, LARGEST_SEED)),
    **dict.fromkeys(("clip_samples", "calibration_batches", "max_attempts", "checkpoint_every_steps"), COUNT),
    **dict.fromkeys(("log_every_steps", "every_steps", "num_steps", "batch_size", "num_pairs", "evaluations"), COUNT),
    **dict.fromkeys(("latent_dim", "style_dim", "width", "head_width", "num_mels", "num_audio_pairs", "cycles"), COUNT),
    **dict.fromkeys(("num_templates", "num_speakers", "num_takes", "window_samples", "hop_samples"), COUNT),
    **dict.fromkeys(("max_length", "accumulate.f", "accumulate.g", "accumulate.h", "accumulate.digits"), COUNT),
    **dict.fromkeys(("widths", "time_strides", "stft_sizes"), _many(COUNT)),
    **dict.fromkeys(("num_devices", "count", "num_test_pairs", "num_media", "prefetch_batches", "warmup_steps"), WHOLE),
    **dict.fromkeys(("num_probes", "max_shift_samples", "griffin_lim_iterations", "num_samples"), WHOLE),
    **dict.fromkeys(("with_embedded", "mix_estimates", "two_sided", "pretrain"), FLAG),
    **dict.fromkeys(
        ("folder", "presets", "prerendered.f", "prerendered.g", "prerendered.h", "pretrained", "rate"), TEXT
    ),
    **dict.fromkeys(("share", "margin", "untouched_share", "style_share", "same_clip_share"), SHARE),
    **dict.fromkeys(("augment_share", "mastered_share"), SHARE),
    **dict.fromkeys(("silence_db", "min_output_db", "min_change_db"), LEVEL),
    **dict.fromkeys(("minutes", "window_sec", "hop_sec", "high_hz", "clip_norm", "max_peak"), ABOVE),
    **dict.fromkeys(("beta", "capacity_nats", "free_nats", "settings_weight", "contrast_weight", *LOSSES), NUMBER),
    **dict.fromkeys(("joint_weight", "input_noise", "noise", "weight_decay", "learning_rate"), NUMBER),
    "sample_rate": Allowed(int, 4000, 192000),
    "num_channels": Allowed(int, 1, 2),
    "num_workers": Allowed(int, 0, 1024),
    "warmup_share": Allowed(float, 0, 1, above=True),
    "step_size": Allowed(float, 0, 0.5),
    "gain_db": _many(LEVEL, 2),
    "bank": _many(TEXT),
    "effect": None,  # the short or structured form, read where it is opened
    "h.descriptors": _many(_choice(CHOSEN_DESCRIPTORS, *DESCRIPTOR_NAMES), 0),
    "job": _choice(*JOBS),
    "preset": _choice(*PRESETS),
    "mode": _choice(*MODES),
    "compute_dtype": _choice(*COMPUTE_DTYPES),
    "schedule": _choice(*SCHEDULES),
    "estimator.name": _choice(*ESTIMATORS),
    "estimator.level": _choice(MEASURED_LEVEL, *LEVELS),
    "digits.synthesiser": _choice("", "espeak", "formants"),
    "log.wandb": _choice(*WANDB_MODES),
}


def allowed_values(key: str) -> Allowed | None:
    """What `SCHEMA` says of a dotted key; None for one that is checked elsewhere."""
    words = key.split(".")
    return next(SCHEMA[name] for i in range(len(words)) if (name := ".".join(words[i:])) in SCHEMA)


@cache
def _usual() -> dict[str, Any]:
    """Every dotted key with the value that it has in the base configuration."""
    return flatten(base_config().to_dict())


@cache
def _names() -> list[str]:
    """Every dotted key and part, the shortest first."""
    names = {*_usual(), *(f"{OPEN_PART}{loss}" for loss in LOSSES)}
    names |= {name[:i] for name in names for i, letter in enumerate(name) if letter == "."}
    return sorted(names, key=lambda name: (name.count("."), name))


def check_key(key: str) -> None:
    """Refuse a dotted key, or part of the configuration, that does not exist.

    Raises:
        UserError: with the nearest keys.
    """
    if key not in _names():
        raise unknown_name("key of --config", key, _names())


def refused_value(key: str, value: object) -> UserError:
    """The error for a value that a key cannot have: the key, the value, what is allowed."""
    below = [name for name in _usual() if name.startswith(f"{key}.")]
    if below:
        return UserError(
            f"--config.{key} has parts: give one of them, such as --config.{below[0]}={_usual()[below[0]]}"
        )
    usual = _usual().get(key)
    return UserError(f"--config.{key} is {value!r}: give {allowed_values(key)}" + f" (usual: {usual!r})" * bool(usual))


def check_values(config: Config) -> None:
    """Refuse values that are of the wrong type, out of range, not finite, or no choice; and values that do not fit.

    Raises:
        UserError: one of them, with its key and what is allowed.
    """
    for key, value in flatten(config.to_dict()).items():
        if key.startswith("effect."):  # in the structured form
            continue
        check_key(key)
        allowed = allowed_values(key)
        if allowed is not None and not allowed.holds(value):
            raise refused_value(key, value)
    gain_db = tuple(config.data.options.gain_db)
    if len(gain_db) != 2 or gain_db[0] > gain_db[1]:
        raise UserError(f"--config.data.options.gain_db is {gain_db}: give two, the lower one first")
    for key in ("folder", "presets"):
        if config.data[key] and not user_path(config.data[key]).is_dir():
            raise UserError(f"--config.data.{key} is {config.data[key]!r}: there is no such folder")


def _check_together(config: Config) -> None:
    """Values of a controller's configuration that are good alone, but not beside each other."""
    window = max(round(config.f.window_sec * config.sample_rate), *(size // 2 + 1 for size in config.h.stft_sizes))
    if config.clip_samples < window:
        raise UserError(
            f"--config.clip_samples is {config.clip_samples}: give at least {window}, which f's window and the largest "
            f"of --config.h.stft_sizes need"
        )
    if CHOSEN_DESCRIPTORS in config.h.descriptors and len(config.h.descriptors) > 1:
        raise UserError(
            f"--config.h.descriptors is {tuple(config.h.descriptors)}: give {CHOSEN_DESCRIPTORS!r} alone, or names"
        )
    if not any(config.h.loss_weights.values()):
        raise UserError("--config.h.loss_weights: give at least one a weight above 0")
    if config.estimator.num_probes < 1 and config.estimator.name.startswith("spsa"):
        raise UserError(f"--config.estimator.num_probes is 0: {config.estimator.name} needs at least 1")
    for stage, pairs in (("g", config.g.num_pairs), ("h", min(config.h.num_audio_pairs, config.h.num_pairs))):
        if config[stage].batch_size > pairs:
            raise UserError(
                f"--config.{stage}.batch_size is {config[stage].batch_size}: give at most the {pairs} pairs that it is "
                "drawn from"
            )


def check_run(config: Config, workdir: Path) -> None:
    """Refuse a resolved configuration that no run can have, before anything is made.

    Raises:
        UserError: a value or a pair of values; f and g that are neither stored nor to be trained; nothing to train.
    """
    check_values(config)
    if config.job != "controller":
        return
    _check_together(config)
    if config.pretrain and config.pretrained == SHIPPED:
        raise UserError(f'"{SHIPPED}" names the f and g of the package: give --config.pretrained another name')
    if not config.effect and not config.pretrain:
        raise UserError(
            "nothing to train: name an effect, such as --config.effect='/usr/lib/vst3/ZamComp.vst3' for a controller "
            "of that plugin, or train f and g by --config.pretrain=True"
        )
    stored = stored_encoders_path(config.pretrained)
    if not (config.pretrain or stored.is_file() or (workdir / "encoders.safetensors").is_file()):
        own = sorted(path.stem for path in (data_dir() / "pretrained").glob("*.safetensors"))
        raise UserError(
            f"--config.pretrained is {config.pretrained!r}: there are no f and g at {stored}. Give one of "
            f"{', '.join((SHIPPED, *own))}, a *.safetensors file, or train them first by --config.pretrain=True"
        )
