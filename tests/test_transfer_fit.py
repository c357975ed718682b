"""Distances to a reference, before and after: closed forms of each aspect, and what is said of them."""

import numpy as np
import pedalboard
import pytest
from transfer_toys import RATE, music

from dafxvae.effects.factory import open_host
from dafxvae.transfer import fit
from dafxvae.transfer.fit import ASPECTS, Fit, measure_profile, profile_distances
from dafxvae.transfer.recordings import ArrayRecording

RNG = np.random.default_rng(0)
NOISE = (0.1 * RNG.standard_normal((9 * RATE, 2))).astype(np.float32)


def distances(first, second, rate=RATE):
    return profile_distances(*(measure_profile(ArrayRecording(one, rate, "x")) for one in (first, second)))


def processed(audio, *effects):
    return pedalboard.Pedalboard(list(effects))(audio.T, RATE).T


def filtered(audio, gain_db, low_hz):
    """Louder above a frequency, by exactly so much."""
    spectrum = np.fft.rfft(audio, axis=0)
    spectrum[np.fft.rfftfreq(len(audio), 1 / RATE) >= low_hz] *= 10 ** (gain_db / 20)
    return np.fft.irfft(spectrum, len(audio), axis=0).astype(np.float32)


def test_equal_recordings_are_not_apart_and_a_gain_changes_nothing():
    audio = music(9.0)
    assert distances(audio, audio) == dict.fromkeys(ASPECTS, 0.0)
    assert distances(audio, 0.1 * audio) == pytest.approx(dict.fromkeys(ASPECTS, 0.0), abs=1e-3)


def test_the_distance_of_spectra_is_the_equaliser_with_its_gain_taken_out():
    edge = fit.BANDS_HZ[18] * 2 ** (-1 / 6)  # 8 of 26 bands lie above it
    found = distances(NOISE, filtered(NOISE, 6.0, edge))
    assert found["spectrum"] == pytest.approx(6.0 * 8 / 26, abs=0.1)
    assert max(found[aspect] for aspect in ASPECTS[1:]) < 0.1


@pytest.mark.parametrize("rate", [22050, 48000])
def test_the_sample_rate_does_not_count(rate):
    time = np.arange(9 * rate) / rate
    tones = sum(np.sin(2 * np.pi * hz * time) for hz in (130.0, 510.0, 2100.0, 7900.0))
    other = np.arange(9 * RATE) / RATE
    same = sum(np.sin(2 * np.pi * hz * other) for hz in (130.0, 510.0, 2100.0, 7900.0))
    profiles = [measure_profile(ArrayRecording(one * 0.1, at, "x")) for one, at in ((tones, rate), (same, RATE))]
    found = profile_distances(*profiles)
    assert found["spectrum"] < 0.3
    assert found["dynamics"] < 0.1


def two_levels(gap_db, share=0.6):
    """Signs of noise that are loud for a share of every three seconds, and quieter for the rest of them."""
    signs = np.sign(np.random.default_rng(1).standard_normal((9 * RATE, 1)))
    is_loud = (np.arange(9 * RATE) / RATE) % 3.0 < 3.0 * share
    return (0.5 * signs * np.where(is_loud, 1.0, 10 ** (-gap_db / 20))[:, None]).astype(np.float32)


def test_the_distance_of_dynamics_is_that_of_levels_and_crest_factors():
    def expected(gap_db, share=0.6):
        high = -10 * np.log10(share + (1 - share) * 10 ** (-gap_db / 10))
        return np.array([high, *[high - gap_db] * 2, *[high] * 4])

    found = distances(two_levels(20.0), two_levels(10.0))["dynamics"]
    assert found == pytest.approx(np.abs(expected(20.0) - expected(10.0)).mean(), abs=0.1)
    audio = music(9.0)
    gentle, strong = (processed(audio, pedalboard.Compressor(-40, ratio)) for ratio in (2, 10))
    assert 1.0 < distances(audio, gentle)["dynamics"] < distances(audio, strong)["dynamics"]


def test_pauses_hardly_count_but_a_gate_does():
    audio = music(20.0)
    paused = audio.copy()
    paused[3 * RATE : 15 * RATE] = 0.0
    assert distances(audio, paused)["dynamics"] < 1.0
    assert distances(audio, paused)["spectrum"] < 1.0
    assert distances(audio, processed(audio, pedalboard.NoiseGate(-12.0, 10.0)))["dynamics"] > 1.0


def test_a_level_that_falls_evenly_falls_by_its_slope_within_each_lag():
    slope = np.array([20.0, 40.0])  # dB/s of two bands
    levels = -slope * np.arange(75)[None, :, None] * fit.HOP_SEC
    np.testing.assert_allclose(fit._falls(levels), 30.0 * np.array(fit.LAGS) * fit.HOP_SEC)
    assert np.isnan(fit._falls(levels[:, :10])[-1])


def test_a_reverberant_recording_falls_slowly_and_echoes_fill_its_gaps():
    audio = NOISE * np.exp(-25.0 * (np.arange(len(NOISE)) / RATE % 0.75))[:, None].astype(np.float32)  # T60 of .28 s
    dry, small, large = (
        measure_profile(ArrayRecording(one, RATE, "x")).space
        for one in (
            audio,
            processed(audio, pedalboard.Reverb(room_size=0.3, wet_level=0.3)),
            processed(audio, pedalboard.Reverb(room_size=0.95, wet_level=0.5)),
        )
    )
    is_short = np.array(fit.LAGS) * fit.HOP_SEC < 0.5  # after more the next one comes
    assert (dry > small + 1.0)[is_short].all()
    assert (small > large + 1.0)[is_short].all()
    assert dry[:3] == pytest.approx(60.0 / 0.276 * fit.HOP_SEC * np.array(fit.LAGS[:3]), abs=6.0)
    found = distances(audio, processed(audio, pedalboard.Delay(0.17, 0.3, 0.5)))
    assert found["space"] > 1.0 > found["spectrum"]


def test_the_modulation_of_a_swinging_level_is_its_variance_at_its_rate():
    time = np.arange(75) * fit.HOP_SEC
    levels = 3.0 * np.sin(2 * np.pi * 4.0 * time)[None, :, None]
    found = fit._modulation(levels)
    assert found[3] == pytest.approx(10 * np.log10(3.0**2 / 2), abs=0.3)
    assert found[[0, 1, 4]].max() < found[3] - 20
    assert np.isnan(fit._modulation(levels[:, :10])[0])
    for effect in (pedalboard.Chorus(2.0, 0.5, 7.0, 0.2, 0.5), pedalboard.Phaser(1.0, 0.8, 1000.0, 0.3, 0.5)):
        moved = distances(NOISE, processed(NOISE, effect))
        assert max(moved, key=lambda aspect: moved[aspect]) == "modulation"


def test_width_is_side_over_mid_where_both_have_two_channels():
    mid, side = NOISE[:, 0], NOISE[:, 1] * 10 ** (-10 / 20)
    wide = np.stack([mid + side, mid - side], axis=1)
    assert measure_profile(ArrayRecording(wide, RATE, "x")).width == pytest.approx([-10.0], abs=0.1)
    assert measure_profile(ArrayRecording(NOISE[:, :1].repeat(2, 1), RATE, "x")).width == [fit.WIDTH_DB[0]]
    assert "width" not in distances(wide, NOISE[:, :1])


@pytest.mark.parametrize("seconds", [0.25, 1.0])
def test_short_recordings_are_compared_in_what_they_show(seconds):
    found = distances(music(seconds), music(9.0, seed=1))
    assert np.isfinite(list(found.values())).all()
    assert {"spectrum", "dynamics"} <= set(found)


@pytest.mark.parametrize(
    ("effect", "aspects"),
    [
        ("PeakFilter", "spectrum"),
        ("HighShelfFilter | Compressor | Gain", "spectrum dynamics"),
        ("Delay | Reverb", "space"),
        ("Phaser", "modulation"),
        ("Distortion", "spectrum dynamics"),
        ("Gain", ""),
        ("Compressor | PitchShift", " ".join(ASPECTS)),
    ],
)
def test_what_an_effect_is_there_to_change(effect, aspects):
    with open_host(effect, num_workers=1) as host:
        assert fit.purpose(host.chain) == tuple(aspects.split())


def test_the_changes_in_plain_english():
    before = dict(zip(ASPECTS, (3.0, 2.0, 1.0, 2.0, 5.0)))
    found = Fit(before, before | {"spectrum": 1.0, "dynamics": 1.0, "space": 4.0, "width": 5.4}, ("dynamics", "space"))
    assert found.sentence == "closer in spectrum and dynamics, further in space, as before in modulation and width"
    assert found.worse == ["space"]
    assert "further from the reference than the take in space (1.0 → 4.0 dB)" in found.notes(False)[0]
    assert found.notes(True)[0].startswith("the take is kept")
    assert Fit(before, before, ASPECTS).notes(True) == []
    assert fit.listed(["a", "b", "c"]) == "a, b and c"
