import jax.numpy as jnp
import numpy as np
import pytest

from dafxvae.audio import bands, dsp

RNG = np.random.default_rng(0)


def reference_magnitude(signal, size, hop):
    """By numpy alone, frame by frame."""
    padded = np.pad(signal, size // 2, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    starts = range(0, len(padded) - size + 1, hop)
    spectra = np.stack([np.fft.rfft(padded[i : i + size] * window) for i in starts])
    return np.sqrt(np.maximum(np.abs(spectra) ** 2, 1e-8))


@pytest.mark.parametrize(("size", "hop"), [(32, 16), (512, 256), (512, 128)])
def test_magnitude_matches_numpy(size, hop):
    signal = RNG.standard_normal(3000).astype(np.float32)
    ours = np.asarray(dsp.magnitude_spectrogram(jnp.asarray(signal), size, hop))
    np.testing.assert_allclose(ours, reference_magnitude(signal.astype(np.float64), size, hop), rtol=2e-4, atol=2e-3)


def test_frame_holds_every_sample_where_it_belongs():
    frames = np.asarray(dsp.frame(jnp.arange(20.0), 8, 4))
    np.testing.assert_array_equal(frames, np.stack([np.arange(i, i + 8) for i in (0, 4, 8, 12)]))


@pytest.mark.parametrize(("size", "hop"), [(8, 3), (64, 8)])
def test_frame_refuses_what_does_not_fit(size, hop):
    with pytest.raises(ValueError, match="frame"):
        dsp.frame(jnp.zeros(20), size, hop)


@pytest.mark.parametrize("sample_rate", [24000, 44100, 48000])
def test_mel_bands_average_and_none_is_empty(sample_rate):
    size = 512 * round(sample_rate / 6000)
    filters = bands.mel_filterbank(sample_rate, size, 128, 20.0, 11000.0)
    np.testing.assert_allclose(filters.sum(0), 1.0, rtol=1e-5)
    assert (filters >= 0).all()


def test_mel_band_centres_follow_a_sine():
    filters = bands.mel_filterbank(24000, 2048, 64, 20.0, 11000.0)
    found = [int(np.argmax(filters[round(hz * 2048 / 24000)])) for hz in (200, 1000, 4000, 9000)]
    assert found == sorted(found)
    assert len(set(found)) == 4
    for place, hz in zip(found, (200, 1000, 4000, 9000)):
        assert abs(bands.mel_centres_hz(64, 20.0, 11000.0)[place] / hz - 1.0) < 0.15


def test_mel_above_nyquist_is_refused():
    with pytest.raises(ValueError, match="11000"):
        bands.mel_filterbank(16000, 1024, 64, 20.0, 11000.0)


def test_levels_of_a_sine():
    sine = 0.5 * np.sin(2 * np.pi * 100 * np.arange(24000) / 24000).astype(np.float32)[None, :, None]
    assert float(dsp.rms_db(jnp.asarray(sine))[0]) == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=1e-3)
    assert float(dsp.crest_db(jnp.asarray(sine))[0]) == pytest.approx(20 * np.log10(np.sqrt(2)), abs=1e-2)


def test_silence_has_the_floor_level():
    assert float(dsp.rms_db(jnp.zeros((1, 100, 2)))[0]) == pytest.approx(-100.0, abs=1e-3)


@pytest.mark.parametrize(("size", "hop", "num_samples"), [(256, 64, 8128), (256, 128, 1000), (64, 16, 333)])
def test_the_inverse_stft_gives_the_signal_back(size, hop, num_samples):
    signal = RNG.standard_normal((2, 3, num_samples)).astype(np.float32)
    again = dsp.istft(dsp.stft(jnp.asarray(signal), size, hop), hop, num_samples)
    np.testing.assert_allclose(again, signal, atol=2e-5)


def test_overlap_add_is_the_adjoint_of_frame():
    signal = RNG.standard_normal(40).astype(np.float32)
    frames = RNG.standard_normal((9, 8)).astype(np.float32)
    left = jnp.sum(dsp.frame(jnp.asarray(signal), 8, 4) * frames)
    np.testing.assert_allclose(left, jnp.sum(signal * dsp.overlap_add(jnp.asarray(frames), 4)), rtol=1e-5)


@pytest.mark.parametrize(("hop", "num_samples"), [(64, 640), (24, 640), (16, 700)])
def test_the_inverse_stft_refuses_what_does_not_fit(hop, num_samples):
    with pytest.raises(ValueError, match="istft"):
        dsp.istft(jnp.zeros((41, 33), jnp.complex64), hop, num_samples)
