"""Probes on planted data, and the baselines on sounds whose features are known."""

import numpy as np
import pytest

from dafxvae.audio import mel
from dafxvae.core import optional
from dafxvae.core.errors import UserError
from dafxvae.latent import baselines, probes
from dafxvae.latent.contenders import Contender, run_probes
from dafxvae.latent.examples import Features, collect
from dafxvae.latent.probes import Parts, ProbeTask, ProbeTasks
from dafxvae.types import PairBatch

RATE = 24000


def planted(rng, count, noise=0.05):
    """Two effects with two settings each, written into six features by a fixed matrix."""
    effect = rng.integers(0, 2, count)
    unit_params = rng.random((count, 4))
    mask = np.repeat(np.eye(2), 2, axis=1)[effect]
    unit_params *= mask
    mixing = np.random.default_rng(7).standard_normal((5, 6))
    x = np.concatenate([unit_params, effect[:, None]], axis=1) @ mixing
    return x + noise * rng.standard_normal(x.shape), ProbeTask(effect, unit_params, mask)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    sets = [planted(rng, count) for count in (200, 60, 120)]
    return Parts(*(x for x, _ in sets)), ProbeTasks(*(task for _, task in sets))


@pytest.mark.parametrize("kind", probes.KINDS)
def test_probes_find_what_was_planted(data, kind, monkeypatch):
    monkeypatch.setattr(probes, "NUM_TREES", 40)
    parts, tasks = data
    assert probes.probe_effect(parts, tasks, kind).mean() > 0.95
    r2 = probes.settings_r2(tasks.test, probes.probe_settings(parts, tasks, kind))
    assert (r2 > (0.9 if kind == "linear" else 0.6)).all()


def test_noise_tells_nothing(data):
    _, tasks = data
    rng = np.random.default_rng(1)
    parts = Parts(*(rng.standard_normal((len(task.effect), 50)) for task in tasks))
    assert abs(probes.probe_effect(parts, tasks, "linear").mean() - 0.5) < 0.15
    r2 = probes.settings_r2(tasks.test, probes.probe_settings(parts, tasks, "linear"))
    assert (np.abs(r2) < 0.3).all()  # a validated penalty makes useless features predict the mean


def test_the_test_part_is_never_fitted_on(data):
    parts, tasks = data
    predicted = probes.probe_settings(parts, tasks, "linear")
    half = len(parts.test) // 2
    moved = parts._replace(test=np.concatenate([parts.test[:half], 100 * parts.test[half:]]))
    again = probes.probe_settings(moved, tasks, "linear")
    np.testing.assert_array_equal(predicted[:half], again[:half])


def test_settings_of_another_effect_are_left_out(data):
    parts, tasks = data
    predicted = probes.probe_settings(parts, tasks, "linear")
    np.testing.assert_array_equal(np.isfinite(predicted), tasks.test.mask > 0)


def test_r2_and_wilson_closed_forms():
    true = np.asarray([[0.0], [1.0], [2.0]])
    assert probes.column_r2(true, true)[0] == 1.0
    assert probes.column_r2(true, np.ones((3, 1)))[0] == 0.0
    assert np.isnan(probes.column_r2(np.ones((3, 1)), true)[0])
    share = probes.wilson_interval(5, 10)  # Wilson 1927: (.2366, .7634)
    assert share == pytest.approx((0.5, 0.23659, 0.76341), abs=1e-4)
    with pytest.raises(ValueError, match="not less than 1"):
        probes.wilson_interval(0, 0)


def test_the_bars_compare_with_the_best_baseline(data, monkeypatch):
    monkeypatch.setattr(probes, "NUM_TREES", 10)
    parts, tasks = data
    rng = np.random.default_rng(2)
    noise = Parts(*(rng.standard_normal(part.shape) for part in parts))
    entries = [
        Contender(name, inputs, baseline, features)
        for inputs in ("wet", "joint")
        for name, baseline, features in (("f", False, parts), ("noise", True, noise))
    ]
    entries.append(Contender("g", "joint", False, parts))
    found = run_probes(entries, tasks, ("A", "B"), ("A.a", "A.b", "B.a", "B.b"), kinds=("linear",))
    assert [lead["passes"] for lead in found["f"]["leads"]] == [True, True]
    assert all(lead["best_baseline"] == "noise" for lead in found["f"]["leads"])
    assert found["g"][0]["share"] == 1.0
    assert found["g"][0]["behind"] == []
    worse = [entry._replace(parts=noise) if entry.name == "g" else entry for entry in entries]
    worse = [entry._replace(parts=parts) if entry.baseline else entry for entry in worse]
    found = run_probes(worse, tasks, ("A", "B"), ("A.a", "A.b", "B.a", "B.b"), kinds=("linear",))
    assert not found["g"][0]["passes"]
    assert len(found["g"][0]["behind"]) == 4


def test_without_scikit_learn_the_message_names_the_extra():
    with pytest.raises(UserError, match=r"dafxvae\[latent\]"):
        optional.load_sklearn("no_such_module", "latent")


@pytest.fixture(scope="module")
def clips():
    return (0.1 * np.random.default_rng(0).standard_normal((12, 8192, 1))).astype(np.float32)


def test_pca_is_that_of_numpy(clips):
    pca = baselines.fit_pca([clips[:5], clips[5:]], 4)
    raw = np.asarray(baselines.raw_log_magnitude(clips)).astype(np.float64)
    _, singular, directions = np.linalg.svd(raw - raw.mean(0), full_matrices=False)
    projected = pca.transform(raw.astype(np.float32))
    np.testing.assert_allclose(np.linalg.norm(projected, axis=0), singular[:4], rtol=2e-3)
    np.testing.assert_allclose(np.abs(pca.components_ @ directions[:4].T), np.eye(4), atol=2e-2)


def test_loudness_of_a_sine():
    time = np.arange(24000) / RATE
    sine = (0.5 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)[None, :, None]
    found = baselines.loudness(np.concatenate([sine, 0.5 * sine]), RATE)
    assert found.shape == (2, 15)
    assert found[0, :3] == pytest.approx((-9.03, -6.02, 3.01), abs=0.05)
    np.testing.assert_allclose(found[0, 3] - found[1, 3], 6.02, atol=0.02)  # loudness moves with the level
    assert found[0, 2] == pytest.approx(found[1, 2], abs=1e-3)  # the crest factor does not


def test_k_weighting_is_that_of_the_standard():
    bins = np.rint(np.asarray([38.0, 1000.0, 10000.0]) * mel.FULL_SIZE / 48000).astype(int)
    gain = 10.0 * np.log10(baselines.k_weighting_power(48000)[bins])
    # BS.1770-4's filters at 48 kHz give -6.0, +.7 and +4.0 dB there; the lowest bin is at 47 Hz
    np.testing.assert_allclose(gain, (-4.3, 0.7, 4.0), atol=0.1)


def test_every_baseline_treats_each_clip_alone(clips):
    pca = baselines.fit_pca([clips], 4)
    for name, feature in baselines.baselines(RATE, pca).items():
        together, alone = feature(clips), feature(clips[3:4])
        np.testing.assert_allclose(together[3:4], alone, rtol=1e-3, atol=1e-3, err_msg=name)


def test_collect_keeps_pairs_in_order_and_leaves_failures_out():
    def batch(start, size):
        audio = np.arange(start, start + size, dtype=np.float32)[:, None, None]
        task = [np.arange(size), np.ones((size, 2)), np.ones((size, 2))]
        valid = np.ones(size, np.float32)
        valid[0] = 0.0
        values = {"dry": audio, "target": audio, "reference": -audio, "valid": valid, "item": np.arange(size)}
        values |= dict(zip(("effect", "unit_params", "mask"), task)) | {"touched": valid}
        return PairBatch(**values)

    sizes = []
    found = collect([batch(0, 4), batch(10, 3)], {"x": lambda audio: audio[:, 0]}, sizes.append)
    np.testing.assert_array_equal(found.features["x"].joint, [[1, -1], [2, -2], [3, -3], [11, -11], [12, -12]])
    np.testing.assert_array_equal(found.task.effect, [1, 2, 3, 1, 2])
    assert sizes == [4, 3]
    assert isinstance(found.features["x"], Features)
