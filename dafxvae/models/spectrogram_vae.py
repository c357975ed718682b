"""f: the audio encoder, the encoder half of a spectrogram beta-VAE.

Log-mel frames go through strided convolutions over time to a sequence of latents; the decoder mirrors it. The
*encoding* of a recording is the latent sequence pooled over time (what the sound is like, not what is played when), so
any length will do. The encoding also holds loudness statistics, which keep the level; a *style*, an embedding of the
hidden frames' statistics that is trained to show what was done to the sound (as a speaker embedding shows who speaks:
Snyder et al. 2018); and *descriptors* of what frames do not show (`dafxvae.descriptors`).
"""

from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from dafxvae.audio import dsp, mel
from dafxvae.descriptors import catalog
from dafxvae.descriptors.descriptor import Recordings
from dafxvae.models.mlp import MLP
from dafxvae.models.vae import Posterior, sample

LEVEL_QUANTILES = (0.1, 0.5, 0.9)
NUM_LEVELS = 2 + len(LEVEL_QUANTILES)
LEVEL_CENTRE_DB, LEVEL_SCALE_DB = -24.0, 12.0  # fixed: brings programme levels to about [-2, 2]
LOW_HZ = 20.0  # lower edge of the first mel band


class EncoderOutput(NamedTuple):
    """Data, reconstruction, posterior and encoding of a batch, for f's objective."""

    log_mel: Array  # [B', N, F] standardised data of the clips that are decoded
    reconstruction: Array  # [B', N, F]
    posterior: Posterior  # [B', N', Z]
    encoding: Array  # [B, E] of every clip, from the posterior mean


class TimeConv(nn.Module):
    """Strided convolution over time as one matrix product of unfolded frames.

    Equal to `nn.Conv` with "SAME" padding, whose gradient XLA computes several times slower on a CPU.
    """

    features: int
    kernel: int
    stride: int = 1
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        num_out = -(-x.shape[1] // self.stride)
        needed = (num_out - 1) * self.stride + self.kernel - x.shape[1]
        left = max(needed, 0) // 2
        x = jnp.pad(x, ((0, 0), (left, max(needed, 0) - left), (0, 0)))
        taps = [x[:, i : i + (num_out - 1) * self.stride + 1 : self.stride] for i in range(self.kernel)]
        return nn.Dense(self.features, dtype=self.dtype)(jnp.concatenate(taps, axis=-1))


class Upsample(nn.Module):
    """Sub-pixel upsampling over time: each frame becomes `stride` frames (Shi et al. 2016, in one dimension)."""

    features: int
    stride: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        y = nn.Dense(self.features * self.stride, dtype=self.dtype)(x)
        return y.reshape(x.shape[0], x.shape[1] * self.stride, self.features)


class ResidualBlock(nn.Module):
    """x + dense(gelu(conv(norm(x)))) over time; LayerNorm is over channels alone, so no frame sees its batch."""

    kernel: int = 3
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        y = TimeConv(x.shape[-1], self.kernel, dtype=self.dtype)(nn.LayerNorm()(x))
        return x + nn.Dense(x.shape[-1], dtype=self.dtype)(nn.gelu(y))


class SpectrogramVAE(nn.Module):
    """The beta-VAE whose encoder is f.

    Attributes:
        latent_dim: Z, latents per encoded frame.
        width: channels of the hidden layers.
        time_strides: stride of each downsampling convolution; their product is the frames per latent.
        num_mels: F.
        window_sec, hop_sec: of the spectrogram; rounded to samples (the window to a multiple of the hop) at each rate.
        high_hz: upper edge of the last mel band; any sample rate of at least twice that is accepted.
        style_dim: size of the style.
        dtype: in which hidden layers compute (bfloat16 on accelerators); None for float32. Parameters, spectrograms,
            posteriors and encodings are float32.
    """

    latent_dim: int
    width: int
    time_strides: tuple[int, ...]
    num_mels: int
    window_sec: float
    hop_sec: float
    high_hz: float
    style_dim: int
    dtype: Any = None

    @property
    def encoding_size(self) -> int:
        """E, the size of one recording's encoding."""
        return 3 * self.latent_dim + NUM_LEVELS + self.style_dim + catalog.encoding_size()

    def setup(self) -> None:
        self.mel_mean = self.variable("constants", "mel_mean", jnp.zeros, (self.num_mels,))
        self.mel_deviation = self.variable("constants", "mel_deviation", jnp.ones, (self.num_mels,))
        self.encoder_layers = [
            layer
            for stride in self.time_strides
            for layer in (TimeConv(self.width, 2 * stride + 1, stride, self.dtype), ResidualBlock(dtype=self.dtype))
        ]
        self.posterior_mean = nn.Dense(self.latent_dim)
        self.posterior_log_variance = nn.Dense(self.latent_dim, kernel_init=nn.initializers.zeros)
        self.style = MLP((self.width, self.style_dim), dtype=self.dtype)
        self.decoder_input = nn.Dense(self.width)
        self.decoder_layers = [
            layer
            for stride in reversed(self.time_strides)
            for layer in (ResidualBlock(dtype=self.dtype), Upsample(self.width, stride, self.dtype))
        ]
        self.decoder_output = nn.Dense(self.num_mels)

    def frame_samples(self, sample_rate: int) -> tuple[int, int]:
        """Window and hop in samples at `sample_rate`, the window a multiple of the hop."""
        hop = round(self.hop_sec * sample_rate)
        return hop * round(self.window_sec / self.hop_sec), hop

    def power(self, audio: Array, sample_rate: int) -> Array:
        """Scaled power spectrogram, mean over channels; `[B, T, C] -> [B, N, window // 2 + 1]`."""
        return mel.mean_power(audio, *self.frame_samples(sample_rate))

    def log_mel(self, audio: Array, sample_rate: int) -> Array:
        """Natural logarithm of the mel power spectrogram; `[B, T, C] -> [B, N, F]`."""
        return self.to_log_mel(self.power(audio, sample_rate), sample_rate)

    def to_log_mel(self, power: Array, sample_rate: int) -> Array:
        """Log-mel of a scaled power spectrogram; `[B, N, window // 2 + 1] -> [B, N, F]`."""
        return mel.log_mel(power, sample_rate, self.num_mels, LOW_HZ, self.high_hz)

    def standardise(self, log_mel: Array) -> Array:
        """Standardise by constants measured once before training and stored with the weights; keeps the level."""
        mean, deviation = self.mel_mean.value, self.mel_deviation.value
        return (log_mel - mean[None, None]) / deviation[None, None]

    def hidden(self, data: Array) -> Array:
        """Hidden frames of standardised log-mel frames; `[B, N, F] -> [B, N', width]`."""
        x = data
        for layer in self.encoder_layers:
            x = layer(x)
        return nn.gelu(x).astype(data.dtype)

    def posterior(self, hidden: Array) -> Posterior:
        """Posterior of hidden frames; `[B, N', width] -> [B, N', Z]`."""
        return Posterior(self.posterior_mean(hidden), jnp.clip(self.posterior_log_variance(hidden), -10.0, 5.0))

    def infer(self, data: Array) -> Posterior:
        """Posterior of standardised log-mel frames; `[B, N, F] -> [B, N', Z]`."""
        return self.posterior(self.hidden(data))

    def decode(self, z: Array, num_frames: int) -> Array:
        """Standardised log-mel frames of latents; `[B, N', Z] -> [B, num_frames, F]`."""
        x = self.decoder_input(z)
        for layer in self.decoder_layers:
            x = layer(x)
        return self.decoder_output(nn.gelu(x).astype(z.dtype))[:, :num_frames]

    def levels(self, audio: Array, log_mel: Array) -> Array:
        """RMS, crest factor and quantiles of the frame levels, each about [-2, 2]; `[B, NUM_LEVELS]`."""
        frame_db = 10.0 / jnp.log(10.0) * jnp.log(jnp.exp(log_mel).mean(-1))
        quantiles = jnp.quantile(frame_db, jnp.asarray(LEVEL_QUANTILES), axis=-1).T
        levels = jnp.concatenate([(dsp.rms_db(audio) - LEVEL_CENTRE_DB)[:, None], quantiles - LEVEL_CENTRE_DB], -1)
        return jnp.concatenate([levels, dsp.crest_db(audio)[:, None] - LEVEL_SCALE_DB], -1) / LEVEL_SCALE_DB

    def pool(self, posterior: Posterior, hidden: Array, levels: Array, descriptors: Array) -> Array:
        """The encoding: statistics of the posterior mean, levels, style, descriptors; `[B, E]`."""
        style = self.style(jnp.concatenate([statistics(hidden), levels], axis=-1))
        return jnp.concatenate([statistics(posterior.mean), levels, style, descriptors], axis=-1)

    def analyse(self, audio: Array, sample_rate: int) -> tuple[Array, Posterior, Array]:
        """Standardised frames `[B, N, F]`, their posterior, and the encoding `[B, E]` of recordings `[B, T, C]`."""
        power = self.power(audio, sample_rate)
        log_mel = self.to_log_mel(power, sample_rate)
        data = self.standardise(log_mel)
        hidden = self.hidden(data)
        posterior = self.posterior(hidden)
        descriptors = catalog.encoding_part(Recordings(audio, sample_rate, power, log_mel, self.hop_sec))
        return data, posterior, self.pool(posterior, hidden, self.levels(audio, log_mel), descriptors)

    def encode(self, audio: Array, sample_rate: int) -> Array:
        """f: deterministic encoding of recordings of any length; `[B, T, C] -> [B, E]`."""
        return self.analyse(audio, sample_rate)[-1]

    def __call__(self, audio: Array, sample_rate: int, keys: Array, chosen: Array | None = None) -> EncoderOutput:
        """Run a training pass: encodings from the mean, reconstructions from a sampled latent.

        Args:
            audio: `[B, T, C]`.
            sample_rate: in Hz.
            keys: typed PRNG keys `[B']`.
            chosen: int `[B']`, the clips to decode (decoding is half of the work of a pass); None for all.
        """
        data, posterior, encoding = self.analyse(audio, sample_rate)
        if chosen is not None:
            data, posterior = data[chosen], jax.tree.map(lambda leaf: leaf[chosen], posterior)
        reconstruction = self.decode(sample(posterior, keys), data.shape[1])
        return EncoderOutput(data, reconstruction, posterior, encoding)


def statistics(frames: Array) -> Array:
    """Mean, deviation and mean step over time; `[B, N, D] -> [B, 3 D]`."""
    deviation = jnp.sqrt(jnp.var(frames, axis=1) + 1e-6)  # the epsilon keeps the gradient of a constant finite
    steps = jnp.abs(jnp.diff(frames, axis=1))
    step = steps.mean(1) if frames.shape[1] > 1 else jnp.zeros_like(deviation)
    return jnp.concatenate([frames.mean(1), deviation, step], axis=-1)


def joint_encoding(f: SpectrogramVAE, f_variables: Any, dry: Array, reference: Array, sample_rate: int) -> Array:
    """f on both recordings with the same weights, side by side; `[B, 2E]`."""
    clips = jnp.concatenate([dry, reference])
    encodings = cast(Array, f.apply(f_variables, clips, sample_rate, method=SpectrogramVAE.encode))
    return jnp.concatenate(jnp.split(encodings, 2), axis=-1)
