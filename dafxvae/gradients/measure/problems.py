"""Audio and random settings for measuring the gradients of an effect."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.audio.losses import multi_resolution_stft
from dafxvae.core.rng import host_rng
from dafxvae.data.corpora.corpus import Corpus, open_corpus
from dafxvae.data.pairs.clips import ClipCutter
from dafxvae.effects.host import EffectHost
from dafxvae.gradients.discrete import Discrete
from dafxvae.gradients.measure.quality import Problem

STFT_SIZES = (128, 512, 2048, 8192)
CORPUS_MINUTES = 2.0


class Sampling(NamedTuple):
    """Audio and number of settings of a measurement; the defaults are those of the documentation's tables."""

    num_settings: int = 64
    clip_samples: int = 32768
    sample_rate: int = 24000
    folder: str | None = None  # audio of the user's; None for the embedded corpus
    seed: int = 0


def mrstft_loss(output: Array, target: Array) -> tuple[Array, dict[str, Array]]:
    """Multi-resolution STFT distance, the loss that gradients are compared on; `[B, T, C]` twice -> `[B]`."""
    loss = multi_resolution_stft(output, target, [size for size in STFT_SIZES if size // 2 < output.shape[1]])
    return jnp.asarray(loss), {}


def real_clips(sampling: Sampling, corpus: Corpus | None = None) -> np.ndarray:
    """Clips that are not silent, at random levels, of a corpus (None: of `sampling.folder`, mono); `[N, T, C]`."""
    corpus = corpus or open_corpus(
        folder=sampling.folder,
        sample_rate=sampling.sample_rate,
        num_channels=1,
        minutes=CORPUS_MINUTES,
        seed=0,
        progress=False,
    )
    cutter = ClipCutter(corpus, sampling.clip_samples, gain_db=(-12.0, 6.0), silence_db=-50.0)
    rng = host_rng(sampling.seed, "gradient-clips")
    clips = np.empty((sampling.num_settings, sampling.clip_samples, corpus.num_channels), np.float32)
    for clip in clips:
        cutter.read(cutter.draw(rng), clip)
    return clips


class ContinuousPart:
    """An effect as a black box of its continuous parameters; switches and choices stay at their defaults."""

    def __init__(self, host: EffectHost, sample_rate: int) -> None:
        self._host, self._sample_rate = host, sample_rate
        self.indices = np.flatnonzero(host.parameters.num_values == 0)
        self.names = tuple(host.parameters.names[k] for k in self.indices)

    def __call__(self, audio: np.ndarray, unit_params: np.ndarray) -> np.ndarray:
        """See `dafxvae.types.RenderVariants`; K counts the continuous parameters."""
        rows = np.broadcast_to(self._host.parameters.default_unit, (*unit_params.shape[:2], len(self._host.parameters)))
        rows = rows.copy()
        rows[..., self.indices] = unit_params
        return self._host.render_variants(np.asarray(audio), rows, self._sample_rate)


def make_problem(box: ContinuousPart, sampling: Sampling, corpus: Corpus | None = None) -> Problem:
    """Random clips, random settings, and targets from other random settings, all uniform on [0, 1]."""
    rng = host_rng(sampling.seed, "gradient-settings")
    audio = real_clips(sampling, corpus)
    settings, truth = rng.random((2, sampling.num_settings, len(box.indices)), np.float32)
    return Problem(audio, settings, box(audio, truth[:, None])[:, 0])


def discrete_of(host: EffectHost) -> Discrete | None:
    """The switches, choices and stepped knobs of an effect, for an estimator; None when there are none."""
    if not host.parameters.num_values.any():
        return None
    return Discrete(
        tuple(int(count) for count in host.parameters.num_values),
        tuple(parameter.kind == "choice" for parameter in host.parameters),
    )
