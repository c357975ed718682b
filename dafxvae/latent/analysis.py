"""The dimensions of f and g of one source, measured; what the report shows and what pruning goes by."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dafxvae.controllers.controller import Controller
from dafxvae.effects.bank import EffectBank
from dafxvae.latent.examples import pair_batches
from dafxvae.latent.gather import Gathered
from dafxvae.latent.measures import Dimensions, measure_f, measure_g, rendered_variance, settings_weights
from dafxvae.latent.networks import G, f_feature, g_functions, h_settings
from dafxvae.latent.sources import ModelSource, held_out_corpus
from dafxvae.types import PairBatch

NUM_CLIPS = 12  # that f's decoder runs on, several hundred times
RENDERED_CLIPS = 12  # that g∘h's effect renders, several hundred times each


class Driven(NamedTuple):
    """Pairs of the controller's own effect, and g's latent of them."""

    pairs: PairBatch
    mean: np.ndarray  # [B, Z]
    h: Callable[[np.ndarray], np.ndarray]  # latents [B, Z] to settings [B, K]


class Studied(NamedTuple):
    """The measured dimensions."""

    f: Dimensions
    g: Dimensions
    functions: G
    names: tuple[str, ...]  # of the axis K of g's settings head
    driven: Driven | None  # where there is a controller


def joint_of(source: ModelSource, dry: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Joint encodings of pairs of clips `[B, T, C]`; `[B, 2E]`."""
    encode = f_feature(source.encoders, source.config.sample_rate)
    return np.concatenate([encode(dry), encode(reference)], axis=1)


def drive(source: ModelSource, controller: Controller, bank: EffectBank, folder: str | None, seed: int) -> Driven:
    """Held-out pairs of the controller's effect; the descriptors among h's input features are held at their mean.

    Args:
        source: of f and g.
        controller: h with them.
        bank: of its one effect.
        folder: held-out audio, or None.
        seed: of the pairs.
    """
    corpus = held_out_corpus(source.config, folder)
    batches = list(pair_batches(source.config, corpus, bank, "controller", RENDERED_CLIPS, seed))
    pairs = PairBatch(*(np.concatenate(leaves) for leaves in zip(*batches)))
    features = controller.features(pairs.dry, pairs.reference)
    mean, descriptors = np.split(features, [source.encoders.g.latent_dim], axis=1)
    return Driven(pairs, mean, h_settings(controller, descriptors.mean(0)))


def study(source: ModelSource, gathered: Gathered, effect: EffectBank | None, folder: str | None, seed: int) -> Studied:
    """Measures every dimension of f and g on held-out examples.

    Args:
        source: f and g, and h where there is one.
        gathered: examples with f's features.
        effect: bank of the controller's effect; None without a controller.
        folder: held-out audio, or None for the run's test split.
        seed: of the pairs of the controller's effect.
    """
    rate = source.config.sample_rate
    functions = g_functions(source.encoders.g, source.encoders.variables["g"])
    joint = gathered.test.features["f"].joint
    names = tuple(source.encoders.metadata["parameters"])
    settings, mask = settings_weights(gathered.test.task, gathered.parameters, names)
    extra: dict[str, Any] = {}
    driven = None
    if source.controller is not None and effect is not None:
        driven = drive(source, source.controller, effect, folder, seed)
        sound = rendered_variance(driven.h, driven.mean, driven.pairs.dry, effect, rate)
        extra[f"sound of {effect.names[0]}"] = sound
    g = measure_g(functions, joint, settings, mask, extra)
    clips = np.concatenate([gathered.shown.dry[:NUM_CLIPS], gathered.shown.reference[:NUM_CLIPS]])
    return Studied(measure_f(source.encoders, clips, joint, functions, rate), g, functions, names, driven)
