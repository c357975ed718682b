"""The table at the end of a run: a controller against doing nothing, chance, the average, and the truth."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from dafxvae.audio.loudness import at_loudness, loudness_lufs
from dafxvae.core.rng import host_rng
from dafxvae.effects.bank import EffectBank
from dafxvae.effects.factory import open_host
from dafxvae.metrics import MATCHED_LUFS, bootstrap_interval, bootstrap_ratio, mrstft
from dafxvae.metrics.rule_based import COMPRESSOR, rule_based
from dafxvae.types import PairBatch

NUM_MEAN_DRAWS = 4096
LEARNT = 0.2  # share of a constant's error that must be gone
NOTHING, RANDOM, MEAN = "do nothing", "random settings", "mean settings"
RULES, RULES_KEPT = "rule-based", "rule-based, input's loudness"
CONTROLLER, TRUE = "controller", "true settings"


def mean_settings(bank: EffectBank, rng: np.random.Generator) -> np.ndarray:
    """The average of many draws of settings of the bank's one effect; `[K]`."""
    return bank.sample(rng, NUM_MEAN_DRAWS)[1].mean(0)


def settings_by_method(pairs: PairBatch, bank: EffectBank, predicted: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Settings `[B, K]` that each method would choose; "nothing" has none."""
    rng = host_rng(seed, "evaluation")
    return {
        RANDOM: bank.sample(rng, len(pairs.dry))[1],
        MEAN: np.tile(mean_settings(bank, rng), (len(pairs.dry), 1)),
        CONTROLLER: predicted,
        TRUE: pairs.unit_params,
    }


def usable(pairs: PairBatch, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Pairs of which every render worked; bool `[B]`."""
    good = pairs.valid > 0
    for output in outputs.values():
        good = good & np.isfinite(output).all((1, 2))
    return good


def typical_pair(results: dict[str, Any]) -> int:
    """Index of the pair whose ratio of the controller's distance to that of doing nothing is the median one.

    Pairs whose reference is unprocessed have no such ratio; they count only where there are no others.
    """
    ours, nothing = (np.asarray(results["scores"][name]) for name in (CONTROLLER, NOTHING))
    touched = np.flatnonzero(nothing > 0) if nothing.any() else np.arange(len(nothing))
    ratio = ours[touched] / np.maximum(nothing[touched], 1e-9)
    return results["pairs"][int(touched[np.argsort(ratio)[len(ratio) // 2]])]


def pair_caption(results: dict[str, Any], index: int) -> str:
    """Which pair of an evaluation it is, through which effect, and how near the controller comes."""
    place = results["pairs"].index(index)
    ours, nothing = (results["scores"][name][place] for name in (CONTROLLER, NOTHING))
    return f"{results['effect']}: held-out pair {index}, with the median ratio; MRSTFT {nothing:.2f} → {ours:.2f}"


def ratios_to_nothing(scores: Mapping[str, np.ndarray]) -> dict[str, dict[str, float] | None]:
    """Method to the ratio of its mean to that of doing nothing, with its interval; None where that is 0."""
    nothing = scores[NOTHING]
    has_ratio = nothing.mean() > 0.0
    return {name: bootstrap_ratio(own, nothing)._asdict() if has_ratio else None for name, own in scores.items()}


def at_matched_loudness(outputs: Mapping[str, np.ndarray], target: np.ndarray, sample_rate: int) -> dict[str, Any]:
    """What is left of the distance where level is taken out, and the level.

    Args:
        outputs: method to sounds `[N, T, C]`, finite; that of doing nothing is the input.
        target: `[N, T, C]`.
        sample_rate: in Hz.

    Returns:
        JSON, per method: "ratio" of MRSTFT to doing nothing with input, output and target each brought to
        `MATCHED_LUFS`; "level_error_lu", the mean absolute difference in loudness to the target (None where none has
        one); "level_kept", in how many pairs one of the three has no finite loudness and keeps its level.
    """
    lufs = {name: loudness_lufs(clips, sample_rate) for name, clips in outputs.items()}
    wanted = loudness_lufs(target, sample_rate)
    matched = at_loudness(target, wanted, MATCHED_LUFS)
    scores = {n: mrstft(at_loudness(clips, lufs[n], MATCHED_LUFS), matched) for n, clips in outputs.items()}
    found = {}
    for name, ratio in ratios_to_nothing(scores).items():
        known = np.isfinite(lufs[name]) & np.isfinite(wanted)
        error = np.abs(lufs[name][known] - wanted[known])
        found[name] = {
            "ratio": ratio,
            "level_error_lu": bootstrap_interval(error)._asdict() if known.any() else None,
            "level_kept": int((~(known & np.isfinite(lufs[NOTHING]))).sum()),
        }
    return found


def evaluate_controller(
    pairs: PairBatch, bank: EffectBank, predicted: np.ndarray, sample_rate: int, seed: int
) -> dict[str, Any]:
    """Renders every method on held-out pairs and scores it.

    Args:
        pairs: N held-out pairs as one batch.
        bank: of the one effect.
        predicted: settings `[N, K]` that the controller predicts.
        sample_rate: in Hz.
        seed: of the random settings.

    Returns:
        JSON: per method the MRSTFT's mean and 95 % interval, its ratio to doing nothing and the share of items closer
        to the target than the unprocessed input is, and what `at_matched_loudness` finds; which pairs count and the
        MRSTFT of each; the controller's ratio to each of the others that need no truth, over the same pairs; per
        parameter the controller's mean absolute error beside that of the mean settings, in units of the range, and the
        correlation of its settings with the true ones; the counts of pairs and of failed renders, which are left out.
    """
    settings = settings_by_method(pairs, bank, predicted, seed)
    with open_host(COMPRESSOR) as compressor:
        rules = rule_based(pairs.dry, pairs.reference, sample_rate, compressor)
    outputs = {NOTHING: pairs.dry, RULES: rules.to_reference, RULES_KEPT: rules.to_input} | {
        name: bank.render(pairs.dry, pairs.effect, unit_params, sample_rate) for name, unit_params in settings.items()
    }
    good = usable(pairs, outputs)
    if not good.any():
        raise ValueError(f"evaluation: all {len(good)} pairs failed to render through {bank.names}")
    outputs, target = {name: output[good] for name, output in outputs.items()}, pairs.target[good]
    scores = {name: mrstft(output, target) for name, output in outputs.items()}
    nothing, ratios = scores[NOTHING], ratios_to_nothing(scores)
    errors = {name: np.abs(unit - pairs.unit_params)[good].mean(0) for name, unit in settings.items()}
    names = bank.hosts[0].parameters.names
    return {
        "effect": bank.names[0],
        "num_pairs": int(good.sum()),
        "num_failed": int((~good).sum()),
        "mrstft": {
            name: bootstrap_interval(score)._asdict()
            | {"improved": float((score < nothing).mean()), "ratio": ratios[name]}
            for name, score in scores.items()
        },
        "matched": at_matched_loudness(outputs, target, sample_rate),
        "against": {
            name: bootstrap_ratio(scores[CONTROLLER], scores[name])._asdict() if scores[name].mean() > 0.0 else None
            for name in (NOTHING, MEAN, RULES, RULES_KEPT)
        },
        "pairs": np.flatnonzero(good).tolist(),
        "scores": {name: score.tolist() for name, score in scores.items()},
        "parameter_error": {
            name: {which: float(errors[which][k]) for which in (CONTROLLER, MEAN)}
            | {"correlation": _correlation(predicted[good, k], pairs.unit_params[good, k])}
            for k, name in enumerate(names)
        },
    }


def _correlation(ours: np.ndarray, true: np.ndarray) -> float:
    """Pearson's; 0 where one of them does not vary."""
    deviation = float(ours.std() * true.std())
    return float(((ours - ours.mean()) * (true - true.mean())).mean()) / deviation if deviation > 1e-9 else 0.0


def learnt_table(results: dict[str, Any]) -> Table:
    """Which settings the controller has learnt: how much nearer to the true ones it is than a constant guess."""
    table = Table("setting", title="settings that are learnt", caption="error: of the parameter's range")
    for column in ("correlation", "error", "of a constant", "learnt"):
        table.add_column(column, justify="right")
    for name, row in results["parameter_error"].items():
        gain = 1.0 - row[CONTROLLER] / max(row[MEAN], 1e-9)
        learnt = "yes" if gain >= LEARNT else "a little" if gain >= LEARNT / 4 else "no"
        numbers = f"{row['correlation']:.2f}", f"{row[CONTROLLER]:.3f}", f"{row[MEAN]:.3f}"
        table.add_row(escape(name), *numbers, learnt)
    return table


def results_table(results: dict[str, Any]) -> Table:
    """The results as a person reads them, 80 columns wide."""
    table = Table(title=f"{results['effect']}: {results['num_pairs']} held-out pairs, MRSTFT to the target")
    table.add_column("settings from")
    for column in ("MRSTFT (95 %)", "ratio", "matched", "level", "improved"):
        table.add_column(column, justify="right")
    for name, row in results["mrstft"].items():
        matched = results["matched"][name]
        compared = (f"{row['improved']:.0%}", _mean(row["ratio"]), _mean(matched["ratio"]))
        improved, raw, even = ("", "", "") if name == NOTHING else compared
        interval = f"{row['mean']:.3f} ({row['low']:.3f} … {row['high']:.3f})"
        table.add_row(name, interval, raw, even, _mean(matched["level_error_lu"]), improved)
    notes = [f"matched: ratio with input, output and target each at {MATCHED_LUFS:.0f} LUFS; level: error in LU"]
    kept = results["matched"][CONTROLLER]["level_kept"]
    notes += [f"pairs with a sound that kept its level: {kept}"] if kept else []
    notes += [f"{results['num_failed']} pairs failed to render and are left out"] if results["num_failed"] else []
    table.caption = "; ".join(notes)
    return table


def _mean(interval: dict[str, float] | None) -> str:
    return f"{interval['mean']:.2f}" if interval else "–"


def verdict(results: dict[str, Any]) -> str:
    """Is the controller better than doing nothing, its mean settings and the rules, and is that certain? Plain text."""
    ratio = results["against"][NOTHING]
    if ratio is None:
        return "The controller and doing nothing are not told apart: doing nothing is at no distance from the targets."
    text = f"The controller {_compared(ratio, 'doing nothing')}"
    text += f", {_mean(results['matched'][CONTROLLER]['ratio'])} at matched loudness."
    mean, rules = results["against"][MEAN], _best_rules(results)
    text += f" It {_compared(mean, 'its mean settings')}." if mean else ""
    text += f" It {_compared(rules, 'a match equaliser with a compressor')}." if rules else ""
    if ratio["low"] > 1.0 or (mean and mean["mean"] >= 1.0):
        text += " What to do: control fewer parameters, or give more pairs (--config.h.num_pairs) or recordings."
    elif rules and rules["mean"] >= 1.0:
        text += " What to do: what differs is mostly the spectrum, which --controller eq or eq_compressor follow."
    return text


def _best_rules(results: dict[str, Any]) -> dict[str, float] | None:
    """The controller's ratio to the better one of the two rule-based outputs."""
    known = [results["against"][name] for name in (RULES, RULES_KEPT) if results["against"][name]]
    return max(known, key=lambda ratio: ratio["mean"], default=None)


def _compared(ratio: dict[str, float], other: str) -> str:
    """ "beats X: .50 of its distance (.40 to .60)", by whether the interval holds 1."""
    how = "beats" if ratio["high"] < 1.0 else "is worse than" if ratio["low"] > 1.0 else "is not told apart from"
    return f"{how} {other}: {_mean(ratio)} of the distance ({ratio['low']:.2f} to {ratio['high']:.2f})"
