"""From a configuration to a stage's pairs: rendered, pre-rendered, or computed once by the frozen networks."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from dafxvae.config import Config
from dafxvae.core.weights import fingerprint
from dafxvae.data.corpora.corpus import Corpus
from dafxvae.data.pairs.cache import CachedPairs, encode_batch, encode_pairs, extract_pairs, feature_batch
from dafxvae.data.pairs.prerendered import open_prerendered
from dafxvae.data.pairs.shares import Exchange
from dafxvae.data.pairs.stream import PairOptions, PairStream, fixed_pairs, make_pairs
from dafxvae.effects.bank import EffectBank
from dafxvae.models import networks
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.models.spectrogram_vae import SpectrogramVAE
from dafxvae.training import parallel
from dafxvae.types import EncodedBatch, PairBatch

EVAL_BATCH = 16
EXCHANGE = Exchange(parallel.gather_over_processes, parallel.all_have)


class StagePairs(NamedTuple):
    """Training pairs without end, and the fixed ones."""

    train: Any  # dataset; element i is the batch of step i (for h, first, all its `FeaturePairs`)
    valid: list[Any]  # of PairBatch; of EncodedBatch for g, of LatentBatch for h
    test: PairBatch | None


def _pair_arguments(config: Config) -> dict[str, Any]:
    options = PairOptions(**config.data.options.to_dict())
    return {"clip_samples": config.clip_samples, "seed": config.seed, "mode": config.data.mode, "options": options}


def build_train_pairs(
    config: Config, stage: str, corpus: Corpus, bank: EffectBank, batch_size: int, split: str = "train"
) -> PairStream:
    """The pairs that a stage trains on, rendered as they are asked for; item i is the same whatever the batch size."""
    part = corpus.split(split)
    where: dict[str, Any] = {"stream": f"{stage}/train", "share": parallel.share()}
    return make_pairs(part, bank, batch_size=batch_size, **where, **_pair_arguments(config))


def build_pairs(
    config: Config, stage: str, corpus: Corpus, bank: EffectBank, workdir: Path, num_test_pairs: int = 0
) -> StagePairs:
    """The pairs of a stage. Training, validation and test pairs come from different recordings, never the same clip.

    The fixed ones are stored in the workdir (settings, offsets, hashes of the audio) and read back by a resumed run.
    """

    def fixed(split: str, num_pairs: int) -> PairBatch:
        path = workdir / "pairs" / f"{stage}_{split}.json"
        return fixed_pairs(corpus.split(split), bank, num_pairs=num_pairs, path=path, **_pair_arguments(config))

    train: Any = build_train_pairs(config, stage, corpus, bank, config[stage].batch_size)
    if config.data.prerendered[stage]:
        how = {"batch_size": config[stage].batch_size, "seed": config.seed, "share": parallel.share()}
        train = open_prerendered(config.data.prerendered[stage], expected=train, **how)
    valid = fixed("valid", config.eval.num_pairs)
    test = fixed("test", num_test_pairs) if num_test_pairs else None
    devices = parallel.num_shards(parallel.local_devices(config.num_devices))
    size = max(min(EVAL_BATCH, config.eval.num_pairs) // devices, 1) * devices
    return StagePairs(train, whole_batches(valid, size), test)


def whole_batches(examples: Any, size: int) -> list[Any]:
    """All examples in batches of one size; those that fill the last one up are there once more, and not valid."""
    count = len(examples.valid)
    places = np.arange(-(-count // size) * size).reshape(-1, size)
    return [
        batch._replace(valid=batch.valid * (part < count))
        for part in places
        for batch in [jax.tree.map(lambda leaf, rows=part % count: leaf[rows], examples)]
    ]


def encode_stage_pairs(config: Config, pairs: StagePairs, bank: EffectBank, f_variables: Any, path: Path) -> StagePairs:
    """The pairs of stage g as encodings of f, computed once; the training pairs are stored at `path`."""
    f = networks.build_f(config.f)
    encode = jax.jit(lambda clips: f.apply(f_variables, clips, config.sample_rate, method=SpectrogramVAE.encode))
    data = {"data": config.data.to_dict(), "seed": config.seed, "clip_samples": config.clip_samples}
    recipe = data | {"effects": list(bank.names), "f": fingerprint(f_variables)}
    train = encode_pairs(pairs.train, encode, config.g.num_pairs, path=path, recipe=recipe, exchange=EXCHANGE)
    source = CachedPairs(EncodedBatch, train._asdict(), config.g.batch_size, config.seed, parallel.share())
    return StagePairs(source, [encode_batch(batch, encode) for batch in pairs.valid], None)


def extract_stage_pairs(
    config: Config, pairs: StagePairs, bank: EffectBank, encoders: networks.Encoders, folder: Path
) -> StagePairs:
    """The pairs of stage h as latents of f and g, computed once; the training pairs are stored in `folder`."""
    descriptors = networks.input_descriptors(config)
    features = FeatureExtractor(encoders, config.sample_rate, descriptors).features
    data = {"data": config.data.to_dict(), "seed": config.seed, "clip_samples": config.clip_samples}
    recipe = data | {"effects": list(bank.names), "encoders": fingerprint(encoders.variables)}
    recipe["descriptors"] = [descriptor.name for descriptor in descriptors]
    if encoders.templates is not None:
        recipe["templates"] = fingerprint(encoders.templates._asdict())
    counts = config.h.num_pairs, min(config.h.num_audio_pairs, config.h.num_pairs)
    train = extract_pairs(pairs.train, features, *counts, folder=folder, recipe=recipe, exchange=EXCHANGE)
    return StagePairs(train, [feature_batch(batch, features) for batch in pairs.valid], pairs.test)
