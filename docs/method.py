# %% [markdown]
# # The whole method on one page
#
# Two recordings go through f, g and h to the settings of a real effect in Pedalboard; then the effect's gradient is
# estimated and a new h is trained with it (10 s on two CPU cores). `jupytext --to notebook` turns this into a notebook.
# Axes: B examples, T samples, C channels, N frames, F mel bands, E encoding, Z latent, K parameters of the effect.

# %%
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dafxvae.audio.losses import make_audio_loss
from dafxvae.controllers.names import open_controller
from dafxvae.effects.factory import open_host
from dafxvae.gradients.estimators import Estimator, make_effect, make_effect_loss
from dafxvae.models.controller_decoder import ControllerDecoder
from dafxvae.models.controller_vae import ControllerVAE
from dafxvae.models.spectrogram_vae import SpectrogramVAE

# %% [markdown]
# ## Two recordings
# The input is a melody. The reference is another melody that went through a distortion. The target, the input through
# the same settings, is known only because we chose the settings: training makes its pairs in this way.

# %%
RATE, SAMPLES = 24000, 65536  # Hz; T
TRUE_SETTINGS = {"Distortion.drive_db": 24.0, "LowpassFilter.cutoff_frequency_hz": 2000.0, "Gain.gain_db": -9.0}


def melody(root_hz: float, intervals: list[int], note_sec: float) -> np.ndarray:
    """Plucked notes with 29 harmonics, `[B, T, C]`."""
    note, since_sec = np.divmod(np.arange(SAMPLES) / RATE, note_sec)
    hz = root_hz * 2.0 ** (np.array(intervals)[note.astype(int) % len(intervals)] / 12)
    partials = (np.sin(2 * np.pi * n * hz * since_sec) / n * np.exp(-(3 + 0.45 * n) * since_sec) for n in range(1, 30))
    return (0.2 * sum(partials)).astype(np.float32)[None, :, None]


dry, other = melody(220.0, [0, 3, 7, 10, 12], 0.3), melody(110.0, [0, 0, 5, 7], 0.45)
controller = open_controller("distortion")  # h of "Distortion | LowpassFilter | Gain", with its f and g
host = open_host(controller.effect)
true_params = host.parameters.from_values(TRUE_SETTINGS)[None]  # [B, K] in [0, 1]
reference, target = (host.render(audio, true_params, RATE) for audio in (other, dry))

# %% [markdown]
# ## f and g: from spectrograms to a latent
# f encodes each recording with the same weights; g maps the two encodings, joined, to the latent. Both are encoders of
# a beta-VAE. Outside training they return the posterior mean, so that the result is deterministic.

# %%
f, g, variables = controller.encoders.f, controller.encoders.g, controller.encoders.variables
log_mel = f.apply(variables["f"], dry, RATE, method=SpectrogramVAE.log_mel)  # [B, N, F]
encode = jax.jit(lambda audio: f.apply(variables["f"], audio, RATE, method=SpectrogramVAE.encode))
joint = jnp.concatenate([encode(dry), encode(reference)], axis=-1)  # [B, 2E]
latent = g.apply(variables["g"], joint, method=ControllerVAE.encode)  # [B, Z]
print(f"log-mel spectrogram {log_mel.shape}, joint encoding {joint.shape}, latent {latent.shape}")

# %% [markdown]
# ## h: from the latent to settings, which Pedalboard renders

# %%
h = ControllerDecoder(tuple(controller.config.h.widths), len(host.parameters))
unit_params = np.asarray(h.apply({"params": controller.params}, latent))  # [B, K]
output = host.render(dry, unit_params, RATE)
print("true and predicted settings:", *(host.parameters.describe(each[0]) for each in (true_params, unit_params)))

# %% [markdown]
# ## The effect as a differentiable JAX function
# `make_effect` puts the renderer behind `jax.pure_callback` and gives it an estimated gradient. SPSA moves all settings
# at once by random signs: two renders for each probe, whatever K is. Coordinate differences move one setting at a time:
# K renders, no noise. The configurations that ship use coordinates, as their K is small. Both estimate one gradient.

# %%
render = partial(host.render_variants, sample_rate=RATE)  # [B, T, C], [B, R, K] -> [B, R, T, C]
middle, keys = jnp.full_like(unit_params, 0.5), jax.random.split(jax.random.key(0), 1)  # [B, K], [B]


def estimate(estimator: Estimator) -> jax.Array:
    """Gradient of the output's squared error with respect to the settings, `[K]`."""
    effect = make_effect(render, estimator)
    return jax.jit(jax.grad(lambda settings: jnp.mean((effect(dry, settings, keys) - target) ** 2)))(middle)[0]


by_coordinates = estimate(Estimator("finite_difference", num_probes=0))
by_spsa = {probes: estimate(Estimator("spsa", probes)) for probes in (1, 16, 256)}
cosines = {probes: float(optax.losses.cosine_similarity(by_spsa[probes], by_coordinates)) for probes in by_spsa}
print("gradient by coordinates:", by_coordinates, "by 16 probes of SPSA:", by_spsa[16])
print("cosine of the two, by SPSA's number of probes:", {probes: round(cosines[probes], 3) for probes in cosines})

# %% [markdown]
# ## Training h through the effect
# A new h learns this one pair. The loss compares the effect's output with the target (multi-resolution STFT and L1).

# %%
audio_loss = make_audio_loss({"mrstft": 1.0, "l1": 1.0}, controller.config.h.stft_sizes, RATE)
effect_loss = make_effect_loss(render, audio_loss, Estimator("spsa", num_probes=4))
optimizer = optax.adam(3e-3)
params = h.init(jax.random.key(1), latent)
state, losses = optimizer.init(params), []


@jax.jit
def train_step(params, state, keys):
    mean_loss = lambda params: effect_loss(dry, h.apply(params, latent), keys, target).loss.mean()  # noqa: E731
    loss, gradient = jax.value_and_grad(mean_loss)(params)
    updates, state = optimizer.update(gradient, state)
    return optax.apply_updates(params, updates), state, loss


for step in range(40):
    params, state, loss = train_step(params, state, jax.random.split(jax.random.key(step), 1))
    losses.append(float(loss))
trained_params = np.asarray(h.apply(params, latent))
print("loss every fifth step:", [round(loss, 2) for loss in losses[::5]], "last:", round(losses[-1], 2))
print("loss of the unprocessed input:", audio_loss(dry, target)[0], "of the stored h:", audio_loss(output, target)[0])
print("settings after training:", host.parameters.describe(trained_params[0]))
host.close()
