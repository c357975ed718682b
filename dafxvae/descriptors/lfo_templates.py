"""LFO templates: an LFO's settings, by comparing what moves in a recording with what the effect moves in noise.

At a rate that stands out (`descriptors.lfo`) the movement itself is known, too: complex harmonics of each cosine
component of the frames. What the effect moves there at known settings is measured on the effect, in noise, as a black
box (`descriptors.lfo_measurement`). The template that correlates best with the recording gives the settings; how well
it correlates gives the confidence. Both are whitened by what the recording itself moves around each rate, so that
melody and rhythm count as noise. The phase is searched over, because a recording begins anywhere in an LFO's period;
the strength is free, because notes that fill few bands move less than noise does. A rate is chosen by how far it stands
out together with how well a template fits there. Pure jnp, finite at silence and for any length.

References:
    Turin 1960 (matched filters); Kay 1998, Fundamentals of Statistical Signal Processing II, ch. 7 and 9 (the
    generalised likelihood ratio test, with unknown amplitude, arrival and noise).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.audio.features import HOP_SEC
from dafxvae.descriptors import lfo
from dafxvae.descriptors.descriptor import Descriptor

NUM_HARMONICS, NUM_COMPONENTS = 8, 40
PERIOD_FRAMES = 50  # of the LFO while templates are measured: .94 Hz
NUM_PHASES = 64
NUM_CANDIDATES, NUM_COARSE, NUM_FINE = 48, 256, 4  # rates, templates for all of them, rates for all templates
PROMINENCE_WEIGHT = 25.0  # of how far a rate stands out (in deviations), against the logarithm of the likelihood
SOFTNESS = 10.0  # of the average over templates, in units of that logarithm
CONFIDENCE, STRENGTH, RATE, SETTINGS = 0, 1, 2, 3  # columns of `match_templates`
SPREAD = 6.0  # width of a setting's range there; input features of h deviate by about 1
EVIDENCE_SCALE = 100.0  # evidence that gives a confidence of log 1
LEAST_RESPONSE = 0.05  # of a template's own window: fainter harmonics are mostly noise, and are not raised further


class Templates(NamedTuple):
    """Harmonics of what an effect moves at D settings; quantised to bytes, so that a stored controller can hold it."""

    settings: Array  # float32 [D, K] in [0, 1]; that of the rate is the same for all
    periods: Array  # int8 [D, NUM_HARMONICS, NUM_COMPONENTS, 2]: real and imaginary part
    scales: Array  # float32 [D]: of the whole number 1

    def harmonics(self) -> Array:
        """complex64 `[D, NUM_HARMONICS, NUM_COMPONENTS]`."""
        scaled = self.periods.astype(jnp.float32) * self.scales[:, None, None, None]
        return scaled[..., 0] + 1j * scaled[..., 1]


def quantise_templates(settings: np.ndarray, harmonics: np.ndarray) -> Templates:
    """Templates of settings `[D, K]` and complex harmonics `[D, NUM_HARMONICS, NUM_COMPONENTS]`."""
    parts = np.stack([np.real(harmonics), np.imag(harmonics)], axis=-1)
    scales = np.abs(parts).max((1, 2, 3)) / 127.0 + 1e-12
    whole = np.rint(parts / scales[:, None, None, None]).astype(np.int8)
    return Templates(*map(jnp.asarray, (settings.astype(np.float32), whole, scales.astype(np.float32))))


def num_template_columns(num_params: int) -> int:
    """Number of columns of `match_templates` for an effect of K parameters."""
    return SETTINGS + num_params


def match_templates(audio: Array, sample_rate: int, templates: Templates) -> Array:
    """Estimate an LFO's settings from recordings; `[B, T, C] -> [B, SETTINGS + K]`.

    Columns: logarithms of the confidence, of the strength and of the rate in Hz, then the settings around the middle
    of their ranges. Strength and settings are means over the templates, weighted by likelihood. All 0 where a clip is
    too short (`lfo.candidate_rates`).
    """
    moving = [lfo.cosine_components(frames(audio, sample_rate)) for frames in (lfo.mel_frames, lfo.lag_frames)]
    num_frames = moving[0].shape[1]
    rates, step_hz = lfo.candidate_rates(num_frames, HOP_SEC)
    if not len(rates):
        return jnp.zeros((len(audio), num_template_columns(templates.settings.shape[1])))
    whitened = [lfo.whiten(part, HOP_SEC) for part in moving]
    powers = [lfo.fine_power(white) for white, _ in whitened]
    standing_out = PROMINENCE_WEIGHT * sum(lfo.prominence(power, rates) for power in powers)
    white, deviation = (part[..., :NUM_COMPONENTS] for part in whitened[0])  # templates are of the mel frames
    spectrum, gain = lfo.fine_spectrum(white), np.sqrt(num_frames) / deviation

    def one(item: tuple[Array, Array, Array]) -> Array:
        return _match_one(*item, rates, step_hz, templates)

    return jax.lax.map(one, (standing_out, spectrum, gain))


class Lines(NamedTuple):
    """A recording's spectrum at the harmonics of R rates, and the gain of a template there."""

    spectrum: Array  # complex [R, H, C], unit power for noise
    gain: Array  # [R, H, C]


def _match_one(
    standing_out: Array, spectrum: Array, gain: Array, rates: np.ndarray, step_hz: float, templates: Templates
) -> Array:
    """`match_templates` of one clip, from how far each rate stands out `[P]`, its spectrum `[Q, C]` and the gain
    `[N, C]`."""
    harmonics = templates.harmonics()
    peak = standing_out >= jax.lax.reduce_window(standing_out, -jnp.inf, jax.lax.max, (7,), (1,), "SAME")
    ranked = jnp.where(peak, standing_out, standing_out - 1e6)
    candidates = jnp.asarray(rates)[jax.lax.top_k(ranked, min(NUM_CANDIDATES, len(rates)))[1]]
    coarse = likelihoods(lines_at(candidates, spectrum, gain, step_hz), harmonics[:NUM_COARSE])[0].max(1)
    coarse = coarse + standing_out[candidates - rates[0]]
    best = candidates[jax.lax.top_k(coarse, min(NUM_FINE, len(candidates)))[1]]
    near = jnp.clip(best[:, None] + jnp.arange(-1, 2)[None], rates[0], rates[-1]).reshape(-1)
    likelihood, strength = likelihoods(lines_at(near, spectrum, gain, step_hz), harmonics)
    evidence = likelihood + standing_out[near - rates[0]][:, None]
    row = jnp.argmax(evidence.max(1))
    weights = jax.nn.softmax(likelihood[row] / SOFTNESS)
    confidence = jnp.log(jnp.maximum(evidence[row].max() / EVIDENCE_SCALE, 0.0) + 0.1)
    head = [confidence, jnp.log(weights @ strength[row] + 0.1), jnp.log(near[row] * step_hz)]
    settings = SPREAD * (weights @ templates.settings - 0.5)
    return jnp.concatenate([jnp.stack(head), settings])


def lines_at(places: Array, spectrum: Array, gain: Array, step_hz: float) -> Lines:
    """Take the lines at the harmonics of whole places `[R]` of the fine spectrum."""
    at = places[:, None] * jnp.arange(1, NUM_HARMONICS + 1)[None]
    inside = (at < 0.95 * len(spectrum))[..., None]
    response = window_response(step_hz * np.arange(len(spectrum)))
    own = np.maximum(window_response(np.arange(1, NUM_HARMONICS + 1) / (HOP_SEC * PERIOD_FRAMES)), LEAST_RESPONSE)
    at = jnp.minimum(at, len(spectrum) - 1)
    relative = jnp.asarray(response)[at] / jnp.asarray(own)[None]
    gains = gain[jnp.minimum((at + lfo.FINENESS // 2) // lfo.FINENESS, len(gain) - 1)] * relative[..., None]
    return Lines(jnp.where(inside, spectrum[at], 0.0), jnp.where(inside, gains, 0.0))


def window_response(rates_hz: np.ndarray) -> np.ndarray:
    """Share of a movement that the frames' windows (Hann, squared) leave, by rate `[N]`; float32, 1 at rate 0."""
    width = lfo.WINDOW_HOPS * HOP_SEC
    places = (np.arange(256) + 0.5) / 256.0
    weights = np.hanning(258)[1:-1] ** 2
    weights /= weights.sum()
    turns = np.asarray(rates_hz, np.float64)[:, None] * width * (places - 0.5)[None]
    return np.abs(np.cos(2.0 * np.pi * turns) @ weights).astype(np.float32)


def likelihoods(lines: Lines, harmonics: Array) -> tuple[Array, Array]:
    """Compare every template with the lines at every rate, at its best phase; `[R, H, C], [D, H, C] -> [R, D]` each.

    Returns:
        Logarithm of the generalised likelihood ratio; strength, 1 where the recording moves as noise does.
    """
    products = jnp.einsum("rhc,dhc->rdh", jnp.conj(lines.spectrum) * lines.gain, harmonics)
    squares = harmonics.real**2 + harmonics.imag**2
    norm = jnp.einsum("rhc,dhc->rd", lines.gain**2, squares) + 1e-6
    power = (lines.spectrum.real**2 + lines.spectrum.imag**2).sum((1, 2))[:, None]
    padded = jnp.pad(products, ((0, 0), (0, 0), (1, NUM_PHASES - NUM_HARMONICS - 1)))
    together = jnp.maximum(jnp.fft.fft(padded, axis=-1).real.max(-1), 0.0)
    share = jnp.minimum(together**2 / (norm * power + 1e-6), 0.999)
    return -lines.spectrum[0].size * jnp.log1p(-share), together / norm


LFO_TEMPLATES = Descriptor(
    "lfo_templates",
    num_template_columns,
    lambda recordings: match_templates(recordings.audio, recordings.sample_rate, recordings.templates),
    needs_templates=True,
    direct=(RATE,),
    direct_is_rate=True,
    confidence=CONFIDENCE,
    estimates=SETTINGS,
)
