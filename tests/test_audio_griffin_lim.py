"""Fast Griffin-Lim beside librosa's, on words."""

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from dafxvae.audio import dsp
from dafxvae.audio.griffin_lim import griffin_lim, spectral_convergence
from dafxvae.core.errors import UserError
from dafxvae.digits import formants

SIZE, HOP, SAMPLES = 256, 64, 4000


@pytest.fixture(scope="module")
def words():
    """Four digits of two voices, `[B, T]`."""
    voices = formants.formant_speakers(2, seed=0)
    clips = [formants.say_with_formants(digit, voices[digit % 2], 0, 0, 8000)[:, 0] for digit in (0, 3, 6, 7)]
    return np.stack([np.pad(clip, (0, max(0, SAMPLES - len(clip))))[:SAMPLES] for clip in clips])


def magnitudes(audio):
    return jnp.abs(dsp.stft(jnp.asarray(audio), SIZE, HOP))


def convergence_db(audio, target):
    return 20.0 * np.log10(np.asarray(spectral_convergence(magnitudes(audio), target)))


@pytest.mark.parametrize("num_iterations", [8, 32])
def test_as_good_as_librosa_at_equal_iterations(words, num_iterations):
    target = magnitudes(words)
    keys = jax.random.split(jax.random.key(0), len(words))
    ours = griffin_lim(target, keys, hop=HOP, num_samples=SAMPLES, num_iterations=num_iterations)
    theirs = [
        librosa.griffinlim(
            np.asarray(one).T,
            n_iter=num_iterations,
            hop_length=HOP,
            win_length=SIZE,
            n_fft=SIZE,
            length=SAMPLES,
            momentum=0.99,
            pad_mode="reflect",
            random_state=0,
        )
        for one in target
    ]
    difference = convergence_db(ours, target) - convergence_db(np.stack(theirs), target)
    assert difference.mean() < 1.0, difference
    assert np.abs(difference).mean() < 1.0, difference


def test_the_two_algorithms_are_one_where_both_start_at_phase_zero(words):
    target = magnitudes(words[:1])
    ours = griffin_lim(target, hop=HOP, num_samples=SAMPLES, num_iterations=4)
    theirs = librosa.griffinlim(
        np.asarray(target[0]).T, n_iter=4, hop_length=HOP, n_fft=SIZE, length=SAMPLES, init=None, pad_mode="reflect"
    )
    assert convergence_db(ours, target)[0] == pytest.approx(convergence_db(theirs[None], target)[0], abs=0.1)


def test_more_iterations_and_momentum_help(words):
    target = magnitudes(words)

    def reached(**options):
        return convergence_db(griffin_lim(target, hop=HOP, num_samples=SAMPLES, **options), target).mean()

    assert reached(num_iterations=32) < reached(num_iterations=4) - 2.0
    assert reached(num_iterations=32) < reached(num_iterations=32, momentum=0.0) - 1.0


def test_an_example_does_not_see_its_batch(words):
    target, keys = magnitudes(words), jax.random.split(jax.random.key(1), len(words))
    together = griffin_lim(target, keys, hop=HOP, num_samples=SAMPLES, num_iterations=3)
    alone = griffin_lim(target[2:3], keys[2:3], hop=HOP, num_samples=SAMPLES, num_iterations=3)
    np.testing.assert_allclose(together[2:3], alone, atol=1e-4)


def test_silence_stays_silence():
    keys = jax.random.split(jax.random.key(0), 1)
    audio = griffin_lim(jnp.zeros((1, 1 + SAMPLES // HOP, SIZE // 2 + 1)), keys, hop=HOP, num_samples=SAMPLES)
    np.testing.assert_array_equal(audio, np.zeros((1, SAMPLES)))


def test_what_does_not_fit_is_refused(words):
    target = magnitudes(words)
    with pytest.raises(UserError, match="momentum"):
        griffin_lim(target, hop=HOP, num_samples=SAMPLES, momentum=1.0)
    with pytest.raises(ValueError, match="istft"):
        griffin_lim(target, hop=HOP, num_samples=SAMPLES + HOP)
    with pytest.raises(ValueError, match="differ"):
        spectral_convergence(target, target[:1])


def test_spectral_convergence_by_hand():
    target = jnp.asarray([[[3.0, 4.0]]])
    np.testing.assert_allclose(spectral_convergence(target, target), [0.0])
    np.testing.assert_allclose(spectral_convergence(jnp.zeros_like(target), target), [1.0])
