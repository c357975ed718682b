import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from dafxvae import metrics
from dafxvae.audio import losses
from dafxvae.effects.bank import open_bank
from dafxvae.reporting.pictures import frame_panels, spectrogram_db, spectrogram_panels
from dafxvae.runs import results
from dafxvae.types import PairBatch

RNG = np.random.default_rng(0)


def clips(count, num_samples=40000):
    return (RNG.standard_normal((count, num_samples, 1)) * 0.1).astype(np.float32)


def test_mrstft_uses_all_resolutions_and_batches():
    x, y = clips(3), clips(3)
    np.testing.assert_allclose(
        metrics.mrstft(x, y), losses.multi_resolution_stft(jnp.asarray(x), jnp.asarray(y)), rtol=1e-5
    )


def test_interval_covers_the_mean_as_often_as_it_says():
    covered = []
    for trial in range(200):
        sample = np.random.default_rng(trial).exponential(size=60)
        interval = metrics.bootstrap_interval(sample, num_resamples=500)
        assert interval.low < interval.mean < interval.high
        covered.append(interval.low < 1.0 < interval.high)
    assert 0.87 <= np.mean(covered) <= 0.99


def test_interval_refuses_what_has_no_mean():
    with pytest.raises(ValueError, match="finite"):
        metrics.bootstrap_interval(np.asarray([1.0, np.nan]))


def make_pairs(bank, count=6):
    dry, other = clips(count), clips(count)
    effect, unit_params, mask = bank.sample(RNG, count)
    target, reference = (bank.render(clip, effect, unit_params, 24000) for clip in (dry, other))
    return PairBatch(
        dry, target, reference, effect, unit_params, mask, np.ones(count), np.ones(count), np.arange(count)
    )


def test_a_perfect_controller_scores_zero_and_an_idle_one_the_mean():
    with open_bank(["Reverb"]) as bank:
        pairs = make_pairs(bank)
        perfect = results.evaluate_controller(pairs, bank, pairs.unit_params, 24000, 0)
        middle = np.full_like(pairs.unit_params, 0.5)
        idle = results.evaluate_controller(pairs, bank, middle, 24000, 0)
    rows, matched = perfect["mrstft"], perfect["matched"]
    assert rows["controller"]["ratio"]["mean"] == matched["controller"]["ratio"]["mean"] == 0.0
    assert matched["controller"]["level_error_lu"]["mean"] == 0.0
    assert idle["matched"]["do nothing"]["ratio"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert idle["matched"]["do nothing"]["level_error_lu"]["mean"] > 0.1
    assert idle["mrstft"]["controller"]["ratio"]["mean"] != idle["matched"]["controller"]["ratio"]["mean"]
    assert rows["controller"]["mean"] == rows["true settings"]["mean"] == 0.0
    assert rows["do nothing"]["mean"] > 0.1
    assert max(row["controller"] for row in perfect["parameter_error"].values()) == 0.0
    assert idle["mrstft"]["controller"]["mean"] == pytest.approx(rows["mean settings"]["mean"], rel=0.1)
    assert "beats doing nothing" in results.verdict(perfect)
    console = Console(width=80, record=True)
    console.print(results.results_table(perfect))
    text = console.export_text()
    for part in ("true settings", "matched", "level", "each at -20 LUFS"):
        assert part in text


def test_failed_pairs_are_left_out_and_counted():
    with open_bank(["Reverb"]) as bank:
        pairs = make_pairs(bank)
        valid = np.ones(6)
        valid[2] = 0
        found = results.evaluate_controller(pairs._replace(valid=valid), bank, pairs.unit_params, 24000, 0)
        assert (found["num_pairs"], found["num_failed"]) == (5, 1)
        with pytest.raises(ValueError, match="all 6 pairs"):
            results.evaluate_controller(pairs._replace(valid=np.zeros(6)), bank, pairs.unit_params, 24000, 0)


def said_of(ours, nothing, mean=None, rules=None):
    others = {"do nothing": nothing, "mean settings": mean, "rule-based": rules, "rule-based, input's loudness": None}
    against = {
        name: metrics.bootstrap_ratio(np.asarray(ours), np.asarray(scores))._asdict()
        if scores is not None and np.mean(scores) > 0
        else None
        for name, scores in others.items()
    }
    return results.verdict({"against": against, "matched": {"controller": {"ratio": {"mean": 0.75}}}})


def test_the_verdict_compares_the_same_pairs():
    """Pairs differ much more among each other than the two methods do on each: intervals of the means overlap."""
    nothing = np.geomspace(0.1, 10.0, 40)
    noise = 1.0 + 0.02 * np.sin(np.arange(40))
    better, worse = 0.9 * nothing * noise, 1.1 * nothing * noise
    means = [metrics.bootstrap_interval(scores) for scores in (better, nothing)]
    assert means[0].high > means[1].low
    assert "beats doing nothing: 0.90 of the distance (0.8" in said_of(better, nothing)
    assert "is worse than doing nothing: 1.10 of the distance (1." in said_of(worse, nothing)
    uncertain = said_of(nothing * (1.0 + 0.5 * np.sin(np.arange(40))), nothing)
    assert "is not told apart from doing nothing: 1.02 of the distance (0.8" in uncertain
    assert "0.75 at matched loudness" in said_of(better, nothing)


def test_the_verdict_names_the_simple_method_that_is_better_and_what_to_do():
    nothing = np.geomspace(0.1, 10.0, 40)
    good = said_of(0.5 * nothing, nothing, mean=0.8 * nothing, rules=0.9 * nothing)
    assert "beats its mean settings: 0.6" in good
    assert "beats a match equaliser with a compressor: 0.56" in good
    assert "What to do" not in good
    spectral = said_of(0.5 * nothing, nothing, mean=0.8 * nothing, rules=0.4 * nothing)
    assert "is worse than a match equaliser with a compressor: 1.25" in spectral
    assert "--controller eq" in spectral
    assert "--config.h.num_pairs" in said_of(0.9 * nothing, nothing, mean=0.8 * nothing, rules=0.4 * nothing)


def test_the_verdict_where_there_is_no_distance():
    assert "at no distance" in said_of([0.5, 1.0], [0.0, 0.0])


def test_at_matched_loudness_a_gain_is_no_distance_and_silence_is_counted():
    dry = clips(3)
    dry[2] = 0.0
    tilted = np.cumsum(dry, axis=1, dtype=np.float32) * 0.1
    outputs = {"do nothing": dry, "controller": tilted * np.float32(0.5)}
    found = results.at_matched_loudness(outputs, tilted, 24000)
    assert found["controller"]["ratio"]["mean"] == pytest.approx(0.0, abs=1e-5)
    assert found["controller"]["level_error_lu"]["mean"] == pytest.approx(6.02, abs=0.01)
    assert {row["level_kept"] for row in found.values()} == {1}
    silent = results.at_matched_loudness({"do nothing": 0 * dry, "controller": 0 * dry}, 0 * dry, 24000)
    assert silent["controller"] == {"ratio": None, "level_error_lu": None, "level_kept": 3}


def test_a_sine_is_seen_where_and_as_loud_as_it_is():
    sine = np.sin(2 * np.pi * 3000 * np.arange(24000) / 24000)[:, None]
    frames = spectrogram_db(sine)
    assert int(frames[10].argmax()) == round(3000 * 1024 / 24000)
    assert frames[10].max() == pytest.approx(0.0, abs=0.1)


def test_pictures_are_pictures():
    for picture in (
        spectrogram_panels({"a": clips(1)[0], "b": clips(1)[0] * 0}, 24000),
        frame_panels({"x": clips(2)[..., 0]}),
    ):
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        assert picture.std() > 10


def test_the_typical_pair_has_the_median_ratio_of_those_that_were_touched():
    scores = {"controller": [0.9, 0.1, 0.5, 0.0, 2.0], "do nothing": [1.0, 1.0, 1.0, 0.0, 0.0]}
    found = {"effect": "Reverb", "pairs": [10, 11, 12, 13, 14], "scores": scores}
    assert results.typical_pair(found) == 12
    ours, nothing = (scores[name][2] for name in (results.CONTROLLER, results.NOTHING))
    assert results.pair_caption(found, 12).startswith("Reverb: held-out pair 12,")
    assert results.pair_caption(found, 12).endswith(f"MRSTFT {nothing:.2f} → {ours:.2f}")
    untouched = {"controller": [0.2, 0.1], "do nothing": [0.0, 0.0]}
    assert results.typical_pair({"pairs": [3, 4], "scores": untouched}) in (3, 4)
