"""A clip-level beta-VAE of log-spectrograms: one latent for a whole word, and the way back to magnitudes."""

import math
from typing import NamedTuple, cast

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from dafxvae.audio import dsp
from dafxvae.models.spectrogram_vae import ResidualBlock, TimeConv, Upsample
from dafxvae.models.vae import Posterior, sample

MAGNITUDE_FLOOR = 1e-3  # added to the magnitude before the logarithm: -60 dB re a full-scale sine in every bin


class ClipOutput(NamedTuple):
    """Data, reconstruction and posterior of a batch of clips."""

    data: Array  # [B, N, F] standardised log-magnitudes
    reconstruction: Array  # [B, N, F]
    posterior: Posterior  # [B, Z]


class ClipVAE(nn.Module):
    """Encoder and decoder of clips of one length.

    Log-magnitudes of the linear STFT, not of mel bands: the magnitudes can be had back exactly, and with phases they
    are sound again.

    Attributes:
        latent_dim: Z.
        width: channels of the hidden layers.
        time_strides: stride of each downsampling convolution.
        clip_samples: T.
        window_samples, hop_samples: of the STFT; N = 1 + T // hop, F = 1 + window // 2.
    """

    latent_dim: int
    width: int
    time_strides: tuple[int, ...]
    clip_samples: int
    window_samples: int
    hop_samples: int

    @property
    def num_frames(self) -> int:
        """N."""
        return 1 + self.clip_samples // self.hop_samples

    @property
    def num_bins(self) -> int:
        """F."""
        return 1 + self.window_samples // 2

    def setup(self) -> None:
        self.log_mean = self.variable("constants", "log_mean", jnp.zeros, (self.num_bins,))
        self.log_deviation = self.variable("constants", "log_deviation", jnp.ones, (self.num_bins,))
        self.encoder_layers = [
            layer
            for stride in self.time_strides
            for layer in (TimeConv(self.width, 2 * stride + 1, stride), ResidualBlock())
        ]
        self.posterior_mean = nn.Dense(self.latent_dim)
        self.posterior_log_variance = nn.Dense(self.latent_dim, kernel_init=nn.initializers.zeros)
        self.short_frames = -(-self.num_frames // math.prod(self.time_strides))
        self.decoder_input = nn.Dense(self.short_frames * self.width)
        self.decoder_layers = [
            layer for stride in reversed(self.time_strides) for layer in (ResidualBlock(), Upsample(self.width, stride))
        ]
        self.decoder_output = TimeConv(self.num_bins, 3)

    def stft(self, audio: Array) -> Array:
        """Complex STFT of mono clips, a full-scale sine at modulus 1; `[B, T, 1] -> [B, N, F]`."""
        return dsp.stft(audio[..., 0], self.window_samples, self.hop_samples) * (4.0 / self.window_samples)

    def log_magnitude(self, audio: Array) -> Array:
        """Standardised log-magnitudes; `[B, T, 1] -> [B, N, F]`."""
        logarithm = jnp.log(jnp.abs(self.stft(audio)) + MAGNITUDE_FLOOR)
        return (logarithm - self.log_mean.value[None, None]) / self.log_deviation.value[None, None]

    def magnitude(self, log_magnitude: Array) -> Array:
        """The magnitudes that `dsp.istft` and Griffin-Lim take, `[B, N, F]`; undoes `log_magnitude`."""
        logarithm = log_magnitude * self.log_deviation.value[None, None] + self.log_mean.value[None, None]
        return jnp.maximum(jnp.exp(logarithm) - MAGNITUDE_FLOOR, 0.0) * (self.window_samples / 4.0)

    def infer(self, data: Array) -> Posterior:
        """Posterior of standardised log-magnitudes; `[B, N, F] -> [B, Z]`."""
        x = data
        for layer in self.encoder_layers:
            x = layer(x)
        x = nn.gelu(x).reshape(x.shape[0], -1)
        return Posterior(self.posterior_mean(x), jnp.clip(self.posterior_log_variance(x), -10.0, 5.0))

    def decode(self, z: Array) -> Array:
        """Standardised log-magnitudes of latents; `[B, Z] -> [B, N, F]`."""
        x = self.decoder_input(z).reshape(z.shape[0], self.short_frames, self.width)
        for layer in self.decoder_layers:
            x = layer(x)
        return self.decoder_output(nn.gelu(x))[:, : self.num_frames]

    def encode(self, audio: Array) -> Posterior:
        """Posterior of clips; `[B, T, 1] -> [B, Z]`."""
        return self.infer(self.log_magnitude(audio))

    def decode_magnitude(self, z: Array) -> Array:
        """Magnitudes of latents; `[B, Z] -> [B, N, F]`."""
        return self.magnitude(self.decode(z))

    def __call__(self, audio: Array, keys: Array) -> ClipOutput:
        """A training pass, from a sampled latent."""
        data = self.log_magnitude(audio)
        posterior = cast(Posterior, self.infer(data))
        return ClipOutput(data, self.decode(sample(posterior, keys)), posterior)
