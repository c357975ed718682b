"""Metrics against independent implementations (librosa, scipy, the libraries themselves) and known differences."""

import builtins
import importlib.util
import sys

import librosa
import numpy as np
import pytest

from dafxvae import metrics
from dafxvae.audio import losses
from dafxvae.audio.loudness import loudness_lufs
from dafxvae.core.errors import UserError
from dafxvae.metrics import levels, scores, spectral, speech

RATE = 24000
RNG = np.random.default_rng(1)


def noise(seconds=2.0, level=0.1, slope=0.9, channels=1):
    """Coloured noise with a slow envelope, `[T, C]`."""
    count = round(seconds * RATE)
    white = RNG.standard_normal((count, channels))
    for t in range(1, 3):
        white[t:] += slope * white[:-t]
    envelope = 0.6 + 0.4 * np.sin(np.arange(count) / RATE * 9.0)
    return (level * white * envelope[:, None]).astype(np.float32)


def librosa_magnitude(clip, size, hop):
    spectrum = librosa.stft(clip[:, 0].astype(np.float64), n_fft=size, hop_length=hop, pad_mode="reflect")
    return np.sqrt(np.maximum(np.abs(spectrum) ** 2, 1e-8))


def log_linear(x, y):
    return np.abs(np.log(x) - np.log(y)).mean() + np.abs(x - y).mean()


def test_mrstft_is_that_of_librosa_and_of_the_loss():
    target, outputs = noise(), np.stack([noise(), noise(slope=0.2)])
    found = spectral.spectral_scores(outputs, target, RATE)["MRSTFT"]
    np.testing.assert_allclose(found, losses.multi_resolution_stft(outputs, np.stack([target] * 2)), rtol=1e-4)
    sizes = (32, 128, 512, 2048, 8192, 32768)
    for output, score in zip(outputs, found):
        parts = [log_linear(*(librosa_magnitude(c, size, size // 2) for c in (output, target))) for size in sizes]
        assert score == pytest.approx(np.mean(parts), rel=1e-3)


def test_msd_is_that_of_librosa():
    target, output = noise(3.0), noise(3.0, slope=0.2)
    filters = librosa.filters.mel(sr=RATE, n_fft=65536, n_mels=128)
    expected = log_linear(*(filters @ librosa_magnitude(clip, 65536, 65536) for clip in (output, target)))
    assert spectral.spectral_scores(output[None], target, RATE)["MSD"][0] == pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(spectral.slaney_filterbank(RATE, 65536, 128), filters.T, atol=1e-6)


def test_the_centroid_is_that_of_librosa_and_leaves_silent_frames_out():
    target, output = noise(), noise(slope=0.2)
    means = []
    for clip in (output, target):
        magnitude = np.abs(librosa.stft(clip[:, 0], n_fft=2048, hop_length=512, pad_mode="reflect"))
        means.append(librosa.feature.spectral_centroid(S=magnitude, sr=RATE).mean())
    found = spectral.spectral_scores(output[None], target, RATE)["SCE"][0]
    assert found == pytest.approx(abs(means[0] - means[1]), rel=1e-3)
    padded = np.concatenate([np.zeros((2 * RATE, 1), np.float32), output])
    plain = np.concatenate([output, output])
    assert spectral.spectral_scores(padded[None], plain, RATE)["SCE"][0] < 0.05 * found


@pytest.mark.parametrize(("count", "channels"), [(1, 1), (2, 2), (7, 1)])
def test_equal_sounds_score_zero_to_the_bit_beside_any_others(count, channels):
    target = noise(channels=channels)
    others = [noise(channels=channels) for _ in range(count - 1)]
    for place in range(count):  # a product of matrices may round by the row that it is in
        outputs = np.stack([*others[:place], target, *others[place:]])
        found = scores.score_outputs(outputs, target, RATE)
        assert {name: values[place] for name, values in found.items()} == dict.fromkeys(found, 0.0)
        assert set(found) == set(metrics.METRICS) - {"PESQ"}
        assert all((values > 0.0).sum() == count - 1 for values in found.values())


def test_a_known_gain_is_the_known_difference():
    target = noise()
    found = scores.score_outputs((target * np.float32(10 ** (-6 / 20)))[None], target, RATE)
    assert found["RMS"][0] == pytest.approx(6.0, abs=1e-4)
    assert found["LUFS"][0] == pytest.approx(6.0, abs=1e-3)
    assert found["CFE"][0] == pytest.approx(0.0, abs=1e-4)
    assert found["SCE"][0] == pytest.approx(0.0, abs=0.01)
    assert found["MRSTFT"][0] > 0.6  # ln of 6 dB and what the linear part adds
    assert found["MRSTFT matched"][0] < 1e-4


def test_sounds_are_compared_at_one_loudness_and_silence_keeps_its_level():
    target, output = noise(), noise()
    brought = [clip * 10 ** ((-20 - loudness_lufs(clip[None], RATE)) / 20) for clip in (output, target)]
    expected = metrics.mrstft(*(clip[None].astype(np.float32) for clip in brought))[0]
    for gain in (1.0, 0.01):
        found = scores.score_outputs(np.stack([gain * output, 0 * output]).astype(np.float32), target, RATE)
        assert found["MRSTFT matched"][0] == pytest.approx(expected, rel=1e-4)
        assert found["MRSTFT matched"][1] > expected  # silence, against the target at -20 LUFS
    short = scores.score_outputs(output[None, :6000], target[:6000], RATE)
    assert short["MRSTFT matched"][0] == short["MRSTFT"][0]  # too short for a loudness: both as they are


def test_levels_of_a_sine_are_what_the_standards_say():
    sine = np.sin(2 * np.pi * 997 * np.arange(5 * 48000) / 48000)[None, :, None]
    assert levels.unfloored_rms_db(sine)[0] == pytest.approx(-3.01, abs=0.01)
    assert levels.unfloored_crest_db(sine)[0] == pytest.approx(3.01, abs=0.01)
    assert loudness_lufs(sine, 48000)[0] == pytest.approx(-3.01, abs=0.05)  # BS.1770-4, annex 1


def test_silence_and_failed_renders_are_undefined_never_zero():
    target = noise()
    outputs = np.stack([np.zeros_like(target), np.full_like(target, np.nan), target])
    found = scores.score_outputs(outputs, target, RATE)
    assert np.isfinite(found["MRSTFT"]).tolist() == [True, False, True]
    for name in ("SCE", "CFE", "RMS", "LUFS"):
        assert np.isfinite(found[name]).tolist() == [False, False, True], name
    short = scores.score_outputs(target[None, :6000], target[:6000], RATE)
    assert np.isnan(short["MSD"][0])
    assert np.isnan(short["LUFS"][0])
    assert short["MRSTFT"][0] == 0.0


def test_shapes_never_broadcast():
    with pytest.raises(ValueError, match="scores need"):
        scores.score_outputs(noise()[None], noise(3.0), RATE)


@pytest.mark.skipif(importlib.util.find_spec("pesq") is None, reason="pesq is not installed")
def test_pesq_is_that_of_the_library_target_first():
    import pesq

    count = 16000 * 3
    voiced = sum(np.sin(2 * np.pi * 140 * k * np.arange(count) / 16000) / k for k in range(1, 20))
    target = (0.1 * voiced * (np.sin(np.arange(count) / 3000) > 0)).astype(np.float32)[:, None]
    noisy = target + 0.02 * RNG.standard_normal(target.shape).astype(np.float32)
    found = speech.pesq_scores(np.stack([noisy, target, 0 * target]), target, 16000)
    assert found[0] == pytest.approx(pesq.pesq(16000, target[:, 0], noisy[:, 0], "wb"))
    assert found[0] < 3.5
    assert found[1] == pytest.approx(4.644, abs=0.001)
    assert np.isnan(found[2])
    assert np.isnan(speech.pesq_scores(noisy[None], 0 * target, 16000)[0])
    assert np.isnan(speech.pesq_scores(noisy[None, :2000], target[:2000], 16000)[0])  # too short


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("pesq"):
            raise ImportError("none")
        return real(name, *args, **kwargs)

    monkeypatch.setitem(sys.modules, "pesq", None)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError, match=r"pesq is not installed .*dafxvae\[evaluation\]"):
        speech.pesq_scores(noise()[None], noise(), RATE)


def test_improvement_has_a_direction():
    ours, nothing = np.asarray([1.0, 2.0, np.nan]), np.asarray([2.0, 1.0, 1.0])
    assert metrics.METRICS["MRSTFT"].improved(ours, nothing).tolist() == [True, False, False]
    assert metrics.METRICS["PESQ"].improved(ours, nothing).tolist() == [False, True, False]


def test_the_interval_of_a_ratio_holds_it_and_refuses_zero():
    theirs = RNG.uniform(1.0, 2.0, 100)
    interval = metrics.bootstrap_ratio(0.5 * theirs, theirs)
    assert interval == pytest.approx((0.5, 0.5, 0.5))
    wide = metrics.bootstrap_ratio(RNG.uniform(0.0, 2.0, 100), theirs)
    assert wide.low < wide.mean < wide.high
    with pytest.raises(ValueError, match="not above zero"):
        metrics.bootstrap_ratio(theirs, 0.0 * theirs)
