"""One process of a run: stage h through the real Reverb, 50 steps on the same 16 examples, on some or all devices.

process_worker.py OUT NUM_DEVICES...     each number in turn; OUT-NUM_DEVICES.npz holds losses and parameters
"""

import os
import sys
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import numpy as np
from tiny import tiny_config

from dafxvae.data.pairs.cache import FeaturePairs
from dafxvae.effects.bank import open_bank
from dafxvae.gradients.estimators import Estimator
from dafxvae.runs import build, stage_pairs
from dafxvae.training import parallel
from dafxvae.training.clock import Clock
from dafxvae.training.session import Cadence, Session
from dafxvae.training.stage import run_stage
from dafxvae.training.writer import MetricWriter
from dafxvae.types import LatentBatch

NUM_STEPS = 50


class Losses:
    """A sink that keeps the losses of every step."""

    def __init__(self):
        self.values = []

    def scalars(self, step, values):
        self.values += [
            value for name, value in values.items() if name in ("h/loss", "h/gradient_norm", "h/valid_loss")
        ]

    def text(self, step, name, text):
        pass

    def close(self):
        pass


def make_pairs(bank, size=16, num_samples=4096):
    rng = np.random.default_rng(0)
    dry = (0.2 * rng.standard_normal((size, num_samples, 1))).astype(np.float32)
    effect, unit_params, _ = bank.sample(rng, size)
    target = bank.render(dry, effect, unit_params, 24000)
    z = rng.standard_normal((size, 4)).astype(np.float32)
    train = FeaturePairs(z, unit_params, np.ones(size, np.float32), dry, target)
    return stage_pairs.StagePairs(train, [LatentBatch(z, dry, target, unit_params, train.valid, np.arange(size))], None)


def main(out, counts):
    parallel.join_processes()
    for count in counts:
        config = tiny_config(h__num_steps=NUM_STEPS, h__batch_size=8, h__learning_rate=5e-3, h__descriptors=(), seed=3)
        with open_bank(["Reverb"], num_workers=1) as bank:
            pairs = make_pairs(bank)
            start = build.warm_start(config, pairs, bank)
            stage = build.build_decoder_stage(config, pairs, bank, start.params, Estimator("spsa", 1, 1e-2), Clock())
            losses = Losses()
            object.__setattr__(stage, "open_writer", lambda directory, losses=losses: MetricWriter(losses))
            session = Session(Cadence(1, 25, 1000), parallel.local_devices(count))
            folder = Path(f"{out}-{count}")
            state = run_stage(stage, folder, session, Clock())
        leaves = {str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state.params))}
        np.savez(f"{out}-{parallel.share().index}-{count}.npz", losses=np.asarray(losses.values), **leaves)


if __name__ == "__main__":
    main(sys.argv[1], [int(number) for number in sys.argv[2:]])
