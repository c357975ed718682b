"""Options that would have no effect on a run: refused with the reason where a user has set one by hand."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from dafxvae.config import PRESETS, Config, base_config, resolve_preset
from dafxvae.core.differences import flatten
from dafxvae.core.errors import UserError
from dafxvae.effects.spec import parse_chain

SHARED = (  # of all jobs
    *("seed", "job", "preset", "sample_rate", "data.folder", "eval.every_steps", "eval.num_media"),
    *("num_devices", "log_every_steps", "checkpoint_every_steps", "log"),
)
DIGITS = ("digits", "accumulate.digits")
PRETRAINING = (  # how f and g are trained; their own parts of the configuration are compared with the stored ones
    *("bank", "chains", "calibration_batches", "compute_dtype"),
    *("accumulate.f", "accumulate.g", "data.prerendered.f", "data.prerendered.g"),
)
RENDERED = (  # what pairs that are rendered ahead depend on, besides their effects
    *("seed", "preset", "sample_rate", "num_channels", "clip_samples", "num_workers"),
    *("data.folder", "data.with_embedded", "data.minutes", "data.mode", "data.options"),
)


class Rule(NamedTuple):
    """Keys, or whole parts, that have an effect under a condition alone."""

    keys: tuple[str, ...]
    is_used: Callable[[Config], bool]
    reason: str


RULES = (
    Rule(DIGITS, lambda c: c.job == "digits", "it belongs to the job digits"),
    Rule(
        ("digits.synthesiser", "digits.num_speakers", "digits.num_takes"),
        lambda c: not c.data.folder,
        "the recordings of --config.data.folder take the place of spoken digits",
    ),
    Rule(
        ("data.presets",),
        lambda c: bool(c.effect) and any(spec.is_vst3 for spec in parse_chain(c.effect)),
        "only a VST3 plugin in --config.effect has presets",
    ),
    Rule(
        ("h", "estimator", "accumulate.h", "data.prerendered.h", "eval.num_test_pairs"),
        lambda c: bool(c.effect),
        "no controller is trained without --config.effect",
    ),
    Rule(
        ("data.minutes",),
        lambda c: not c.data.folder or c.data.with_embedded,
        "it is the length of the embedded corpus, which --config.data.folder takes the place of; "
        "--config.data.with_embedded=True adds it",
    ),
    Rule(("data.with_embedded",), lambda c: bool(c.data.folder), "without --config.data.folder it is all there is"),
    Rule(("chains.max_length", "chains.share"), lambda c: c.chains.count > 0, "--config.chains.count is 0"),
    Rule(
        ("h.lfo.num_templates", "h.lfo.mix_estimates"),
        lambda c: "lfo_templates" in c.h.descriptors,
        'it belongs to the descriptor "lfo_templates": name that in --config.h.descriptors',
    ),
    Rule(
        ("h.lfo.rate",),
        lambda c: any(name.startswith("lfo") for name in c.h.descriptors),
        'it belongs to the descriptors "lfo", "lfo_lags" and "lfo_templates": name some in --config.h.descriptors',
    ),
    Rule(
        ("h.warm_start.margin",),
        lambda c: len(c.h.descriptors) > 0,
        "nothing is estimated directly without --config.h.descriptors",
    ),
    Rule(
        ("estimator.two_sided",),
        lambda c: c.estimator.name in ("orthogonal", "finite_difference"),
        "spsa is two-sided and spsa_one_sided is not, whatever it says",
    ),
    *(
        Rule(
            tuple(f"{stage}.kl.{name}" for name in names),
            lambda c, stage=stage, schedules=schedules: c[stage].kl.schedule in schedules,
            f"it belongs to {' and '.join(schedules)} of --config.{stage}.kl.schedule",
        )
        for stage in "fg"
        for names, schedules in (
            (("warmup_share",), ("linear", "cyclic", "capacity")),
            (("cycles",), ("cyclic",)),
            (("capacity_nats",), ("capacity",)),
        )
    ),
)


def _is_of(key: str, parts: Iterable[str]) -> bool:
    return any(key == part or key.startswith(f"{part}.") for part in parts)


def check_used(config: Config, given: Iterable[str]) -> None:
    """Refuse options without an effect.

    Args:
        config: resolved.
        given: dotted keys that the user has set by hand.

    Raises:
        UserError: one of them changes nothing; why.
    """
    for key in sorted(given):
        reasons = [rule.reason for rule in RULES if _is_of(key, rule.keys) and not rule.is_used(config)]
        if config.job == "digits" and not _is_of(key, (*SHARED, *DIGITS)):
            reasons.append("the job digits does not look at it")
        if reasons:
            raise UserError(f"--config.{key} changes nothing here: {reasons[0]}")


def check_rendered(config: Config, given: Iterable[str], stage: str) -> None:
    """Refuse options without an effect on pairs that are rendered ahead.

    Args:
        config: resolved.
        given: dotted keys that the user has set by hand.
        stage: whose pairs they are: f, g or h.

    Raises:
        UserError: one of them changes nothing; or the job trains on no pairs.
    """
    if config.job != "controller":
        raise UserError(f"the job {config.job} trains on no pairs: give --config configs/reverb.py, or another")
    effects = ("effect",) if stage == "h" else ("bank", "chains")
    for key in sorted(given):
        if not _is_of(key, (*RENDERED, *effects)):
            raise UserError(f"--config.{key} changes nothing here: pairs of --stage {stage} do not depend on it")


def pretraining_choices(config: Config) -> dict[str, object]:
    """Keys of how f and g are trained whose values are neither the base configuration's nor its preset's."""
    usual = base_config()
    usual.preset = config.preset if config.preset in PRESETS else "default"
    ours, usual = (flatten(part.to_dict()) for part in (config, resolve_preset(usual)))
    return {key: value for key, value in ours.items() if _is_of(key, PRETRAINING) and value != usual[key]}
