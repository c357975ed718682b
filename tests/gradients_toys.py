"""Black boxes in numpy with known gradients, for the tests of the gradient engine."""

import threading

import jax
import jax.numpy as jnp
import numpy as np

NUM_PARAMS = 5


def toy(audio, params, xp):
    """A smooth effect with five parameters that interact: gain, drive, bias, mix of a delayed copy, tilt."""
    gain, drive, bias, mix, tilt = (params[..., k, None, None] for k in range(NUM_PARAMS))
    driven = xp.tanh((1 + 3 * drive) * audio + 0.2 * bias)
    delayed = xp.concatenate([audio[..., :3, :] * 0, audio[..., :-3, :]], axis=-2)
    slope = xp.linspace(-1.0, 1.0, audio.shape[-2])[None, :, None]
    return xp.exp(gain - 0.5) * driven * (1 + 0.3 * tilt * slope) + mix**2 * delayed


class ToyHost:
    """Renders `toy`; counts calls and renders, and fails where it is told to."""

    def __init__(self, fails=lambda audio, params: False):
        self.lock, self.calls, self.variants, self.fails = threading.Lock(), 0, [], fails

    def __call__(self, audio, unit_params):
        assert isinstance(audio, np.ndarray)
        assert isinstance(unit_params, np.ndarray)
        with self.lock:
            self.calls += 1
            self.variants.append(unit_params.shape[1])
        out = toy(audio[:, None].astype(np.float64), unit_params.astype(np.float64), np).astype(np.float32)
        for b, r in np.ndindex(*unit_params.shape[:2]):
            if self.fails(audio[b], unit_params[b, r]):
                out[b, r] = np.nan
        return out


def squared_error(output, target):
    """Mean squared error and, as a term, the mean absolute one; each `[B]`."""
    error = output - target
    return jnp.mean(error**2, axis=(1, 2)), {"l1": jnp.mean(jnp.abs(error), axis=(1, 2))}


def exact_gradient(audio, params, target):
    """Of the summed squared error of `toy`, by automatic differentiation; `[B, K]`."""

    def total(theta):
        return jnp.sum(squared_error(toy(audio, theta, jnp), target)[0])

    return jax.jit(jax.grad(total))(params)


def toy_batch(batch=4, samples=64, channels=1, seed=0, low=0.15, high=0.85):
    """Audio, settings, target and per-example keys."""
    rng = np.random.default_rng(seed)
    audio = rng.normal(0, 0.5, (batch, samples, channels)).astype(np.float32)
    params = rng.uniform(low, high, (batch, NUM_PARAMS)).astype(np.float32)
    truth = rng.uniform(0, 1, (batch, NUM_PARAMS)).astype(np.float32)
    target = toy(audio.astype(np.float64), truth.astype(np.float64), np).astype(np.float32)
    return jnp.asarray(audio), jnp.asarray(params), jnp.asarray(target), jax.random.split(jax.random.key(seed), batch)


def cosine(a, b):
    """Of each row; `[B]`."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return (a * b).sum(-1) / np.maximum(np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1), 1e-30)
