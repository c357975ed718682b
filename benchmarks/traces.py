"""What the traces tell of single effects that the rest of f's encoding does not; prints one JSON object.

    python benchmarks/traces.py [--train 1600] [--test 400] [EFFECT ...]

A random forest reads the settings of an effect off the encoding of a processed recording: of its part from the
spectrogram (statistics of the beta-VAE, levels, style), of the traces, of both. R² on recordings of the validation
split of the corpora that f was trained on (`python -m dafxvae.data fetch train`), which the forest has not seen.
"""

import argparse
import json
import sys

import numpy as np

from dafxvae import build, networks
from dafxvae.audio.traces import NUM_TRACES
from dafxvae.config import Config, base_config, resolve_preset
from dafxvae.data.corpus import Corpus
from dafxvae.effects.bank import EffectBank
from dafxvae.errors import run_cli
from dafxvae.latent.probes import Parts, forest_values
from dafxvae.networks import Encoders
from dafxvae.paths import data_dir
from dafxvae.runs.encoder_store import SHIPPED, load_encoders, stored_encoders_path

EFFECTS = ("Delay", "Chorus", "Phaser", "Bitcrush", "NoiseGate", "Limiter")
BATCH = 16


def examples(config: Config, corpus: Corpus, bank: EffectBank, encoders: Encoders, split: str, count: int) -> tuple:
    """Encodings `[count, E]` of processed recordings, and their settings `[count, K]`."""
    encode = networks.build_encode(encoders, config.sample_rate)
    pairs = build.build_train_pairs(config, "h", corpus, bank, BATCH, split=split)
    batches = [pairs[step] for step in range(count // BATCH)]
    encodings = np.concatenate([np.asarray(encode(batch.reference)) for batch in batches])
    return encodings, np.concatenate([batch.unit_params for batch in batches])


def measure(effect: str, config: Config, corpus: Corpus, encoders: Encoders, sizes: dict[str, int]) -> dict:
    """R² of each setting by each part of the encoding."""
    with build.build_bank(config, [effect]) as bank:
        (train, known), (test, asked) = (
            examples(config, corpus, bank, encoders, split, count) for split, count in sizes.items()
        )
        names = bank.parameter_names
    first = train.shape[1] - sum(NUM_TRACES)
    parts = {"spectrogram": slice(0, first), "traces": slice(first, None), "both": slice(None)}
    found = {}
    for name, columns in parts.items():
        told = forest_values(Parts(train[:, columns], test[:0, columns], test[:, columns]), known, 0)
        r2 = 1.0 - ((told - asked) ** 2).mean(0) / asked.var(0)
        found[name] = {parameter: round(float(value), 3) for parameter, value in zip(names, r2, strict=True)}
    return found


def main() -> None:
    """Measures each effect in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("effects", nargs="*", default=EFFECTS, metavar="EFFECT")
    parser.add_argument("--train", type=int, default=1600)
    parser.add_argument("--test", type=int, default=400)
    arguments = parser.parse_args()
    config = resolve_preset(base_config())
    config.data.update({"folder": str(data_dir() / "train"), "with_embedded": True, "mode": "mixed"})
    config.data.options.untouched_share = 0.0
    corpus, encoders = build.build_corpus(config), load_encoders(stored_encoders_path(SHIPPED))
    sizes = {"train": arguments.train, "valid": arguments.test}
    found = {effect: measure(effect, config, corpus, encoders, sizes) for effect in arguments.effects}
    sys.stdout.write(json.dumps({"pairs": sizes, "r2": found}) + "\n")


if __name__ == "__main__":
    run_cli(main)
