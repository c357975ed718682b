"""Which descriptors of the reference should be input features of a controller's h; prints one JSON object.

    python -m benchmarks.studies.descriptor_choice [--train 2560] [--test 480] [CONFIG ...]

For each configuration (all controllers of `configs/`) pairs of its effect are drawn and encoded once. Then h learns
their known settings, as in the warm start (`dafxvae.training.warm_start`): from the latent alone (""), with each
descriptor of `dafxvae.descriptors.catalog`, with each two and with all (`lfo_templates` only where the configuration
names the rate of an LFO). `error` is the mean squared error of the settings, `r2` the mean of their R², on recordings
of the validation split: each half of them after stopping by the other. The corpora are those that f was trained on
(`dafxvae data fetch train`).
"""

import json
import runpy
import sys
import tempfile
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import jax
import numpy as np

from benchmarks.common import make_parser, print_json, use_training_corpora
from dafxvae.config import Config, resolve_preset
from dafxvae.controllers.encoders import load_encoders
from dafxvae.core.command_line import run_cli
from dafxvae.core.paths import SHIPPED, stored_encoders_path
from dafxvae.data.corpora.corpus import Corpus
from dafxvae.descriptors import catalog
from dafxvae.descriptors.lfo_measurement import known_curves
from dafxvae.effects.bank import EffectBank
from dafxvae.effects.host import EffectHost
from dafxvae.models import networks
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.models.networks import Encoders
from dafxvae.runs import build, stage_pairs
from dafxvae.runs.options import packaged_configs
from dafxvae.training.warm_start import KnownPairs, fit_settings

BATCH = 16
OTHERS = ("pretrain", "spoken_digits", "vst3")


def available(encoders: Encoders) -> tuple[str, ...]:
    """The descriptors that can be computed with these encoders."""
    return tuple(
        each.name for each in catalog.DESCRIPTORS if not each.needs_templates or encoders.templates is not None
    )


def encoded(
    config: Config, corpus: Corpus, bank: EffectBank, encoders: Encoders, split: str, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Encodings `[2, count, E + X]` of the valid pairs of a split, all descriptors, and settings `[count, K]`."""
    extractor = FeatureExtractor(encoders, config.sample_rate, catalog.find_descriptors(available(encoders)))
    pairs = stage_pairs.build_train_pairs(config, "h", corpus, bank, BATCH, split=split)
    joint, settings = [], []
    for batch in (pairs[step] for step in range(count // BATCH)):
        both = np.stack([extractor.encode(clips) for clips in (batch.dry, batch.reference)])
        joint.append(both[:, batch.valid > 0])
        settings.append(batch.unit_params[batch.valid > 0])
    return np.concatenate(joint, axis=1), np.concatenate(settings)


def with_descriptors(encoders: Encoders, encodings: np.ndarray, groups: Sequence[str], num_params: int) -> np.ndarray:
    """The columns of `encoded` that are there where only these groups are asked for."""
    every = [each for each in catalog.find_descriptors(available(encoders)) if not each.in_encoding]
    columns = catalog.columns_of(every, num_params)
    kept = [encodings[..., columns[name]] for name in groups if name in columns]
    return np.concatenate([encodings[..., : encoders.f.encoding_size], *kept], axis=-1)


def score(
    config: Config, host: EffectHost, groups: tuple[str, ...], train: KnownPairs, halves: Sequence[KnownPairs]
) -> dict[str, float]:
    """h's error on each half of other recordings, stopped by the other half."""
    config = config.copy_and_resolve_references()
    with config.ignore_type():
        config.h.descriptors = groups
    num_params = train.unit_params.shape[1]
    descriptors = catalog.find_descriptors(groups)
    known = known_curves(host, config.h.lfo.rate, catalog.rate_estimates(descriptors))
    uncertain = catalog.uncertain_columns(train.features.shape[1], descriptors, num_params)
    h = networks.build_h(config, num_params)
    params = h.init(jax.random.key(0), train.features[:1])["params"]
    errors, r2 = [], []
    for stop, test in (halves, halves[::-1]):
        found = fit_settings(h, params, train, stop, config.h.warm_start, jax.random.key(1), uncertain, known)
        squares = (np.asarray(h.apply({"params": found.params}, test.features)) - test.unit_params) ** 2
        errors.append(squares.mean())
        r2.append((1.0 - squares.mean(0) / test.unit_params.var(0)).mean())
    return {"error": round(float(np.mean(errors)), 4), "r2": round(float(np.mean(r2)), 3)}


def measure(config: Config, corpus: Corpus, encoders: Encoders, num_train: int, num_test: int) -> dict[str, dict]:
    """The scores of one controller, by the descriptors that its h takes."""
    with build.build_bank(config, [config.effect]) as bank, tempfile.TemporaryDirectory() as folder:
        encoders, host = build.measure_effect(config, bank, encoders, Path(folder)), bank.hosts[0]
        (joint, settings), (other, asked) = (
            encoded(config, corpus, bank, encoders, *which) for which in (("train", num_train), ("valid", num_test))
        )
    scores = {}
    names = available(encoders)
    for groups in [(), *((name,) for name in names), *combinations(names, 2), names]:
        extractor = FeatureExtractor(encoders, config.sample_rate, catalog.find_descriptors(groups))
        seen, unseen = (
            extractor.join(*with_descriptors(encoders, rows, groups, settings.shape[1])) for rows in (joint, other)
        )
        train = KnownPairs(seen, settings, np.ones(len(settings)))
        halves = [KnownPairs(unseen[i::2], asked[i::2], np.ones(len(asked[i::2]))) for i in (0, 1)]
        scores[" ".join(groups)] = score(config, host, groups, train, halves)
    return scores


def main() -> None:
    """Measures each configuration in turn."""
    parser = make_parser(__doc__)
    default = [path for name, path in packaged_configs().items() if name not in OTHERS]
    parser.add_argument("configs", nargs="*", type=Path, default=default, metavar="CONFIG")
    parser.add_argument("--train", type=int, default=2560)
    parser.add_argument("--test", type=int, default=480)
    arguments = parser.parse_args()
    encoders = load_encoders(stored_encoders_path(SHIPPED))
    found = {}
    for path in arguments.configs:
        config = resolve_preset(runpy.run_path(str(path))["get_config"]())
        use_training_corpora(config)
        config.data.mode = "mixed"
        corpus = build.build_corpus(config)
        found[path.stem] = measure(config, corpus, encoders, arguments.train, arguments.test)
        sys.stderr.write(json.dumps({path.stem: found[path.stem]}) + "\n")
    sizes = {"train": arguments.train, "test": arguments.test}
    print_json({"pairs": sizes, "by_groups": found})


if __name__ == "__main__":
    run_cli(main)
