"""Media of a stage for TensorBoard at each evaluation: sounds, spectrograms and settings of a few held-out pairs."""

from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.config import Config
from dafxvae.effects.bank import EffectBank
from dafxvae.models import networks
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.models.spectrogram_vae import EncoderOutput
from dafxvae.reporting.pictures import frame_panels, save_png, spectrogram_panels
from dafxvae.training.stage import Show
from dafxvae.training.state import TrainState
from dafxvae.training.writer import MetricWriter
from dafxvae.types import PairBatch


def show_reconstructions(config: Config, batch: PairBatch, constants: dict) -> Show:
    """Stage f: log-mel frames of references beside their reconstructions."""
    f = networks.build_f(config.f)
    keys = jax.random.split(jax.random.key(config.seed), config.eval.num_media)
    clips = jnp.asarray(batch.reference[: config.eval.num_media])

    @jax.jit
    def look(params: Any) -> tuple[Array, Array]:
        output = cast(
            EncoderOutput, f.apply({"params": params, "constants": constants}, clips, config.sample_rate, keys)
        )
        return output.log_mel, output.reconstruction

    def show(state: TrainState, writer: MetricWriter) -> None:
        for i, (data, reconstruction) in enumerate(zip(*look(state.params["f"]))):
            panels = {"log-mel": np.asarray(data), "reconstruction": np.asarray(reconstruction)}
            writer.image(int(state.step), f"f/reconstruction/{i}", frame_panels(panels))

    return show


def save_picture(
    path: Path, pairs: PairBatch, index: int, bank: EffectBank, unit_params: np.ndarray, sample_rate: int, caption: str
) -> None:
    """Spectrograms of input, reference, output and target of one pair, as a PNG.

    Args:
        path: of the picture.
        pairs: held-out pairs.
        index: which of them.
        bank: of the one effect.
        unit_params: predicted settings `[1, K]`.
        sample_rate: in Hz.
        caption: of the picture.
    """
    one = jax.tree.map(lambda leaf: leaf[index : index + 1], pairs)
    output = bank.render(one.dry, one.effect, unit_params, sample_rate)
    clips = {"input": one.dry, "reference": one.reference, "output": output, "target": one.target}
    save_png(path, spectrogram_panels({name: clip[0] for name, clip in clips.items()}, sample_rate, caption=caption))


def show_transfers(config: Config, batch: PairBatch, bank: EffectBank, encoders: networks.Encoders) -> Show:
    """Stage h: input, reference, output and target to hear and see, and true beside predicted settings."""
    parameters = bank.hosts[0].parameters
    few = jax.tree.map(lambda leaf: leaf[: config.eval.num_media], batch)
    extractor = FeatureExtractor(encoders, config.sample_rate, networks.input_descriptors(config))
    h, z = networks.build_h(config, bank.num_params), jnp.asarray(extractor.features(few.dry, few.reference))
    predict = jax.jit(lambda params: h.apply({"params": params}, z))

    def show(state: TrainState, writer: MetricWriter) -> None:
        step = int(state.step)
        unit_params = np.asarray(predict(state.params))
        outputs = bank.render(few.dry, few.effect, unit_params, config.sample_rate)
        rows = []
        for i, output in enumerate(outputs):
            clips = {"input": few.dry[i], "reference": few.reference[i], "output": output, "target": few.target[i]}
            if not np.isfinite(output).all():
                continue  # a failed render; counted by the evaluation
            for name, clip in clips.items():
                writer.audio(step, f"h/audio/{i}/{name}", clip, config.sample_rate)
            writer.image(step, f"h/spectrograms/{i}", spectrogram_panels(clips, config.sample_rate))
            true, predicted = (parameters.describe(row[i]) for row in (few.unit_params, unit_params))
            rows += [(str(i), name, f"{true[name]}", f"{predicted[name]}") for name in parameters.names]
        writer.table(step, "h/settings", ("pair", "parameter", "true", "predicted"), rows)

    return show
