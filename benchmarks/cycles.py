"""How often an LFO's rate is read off the reference; prints one JSON object.

    python benchmarks/cycles.py [--pairs 200] [EFFECT ...]

For each effect (Phaser and Chorus) references are rendered as for an evaluation, of recordings of the test split of the
training corpora (`python -m dafxvae.data fetch train`). `within` is the share of all of them in which the rate of a
group of `dafxvae.audio.cycles.GROUPS` is right to .04 Hz, `clear_half` that of the half that stands out most, by the
clip's length; rates below .2 Hz, a quarter of them, cannot be among them. `kinds` are the constants of
`dafxvae.audio.cycles.Kind`, fitted to the untreated clips.
"""

import argparse
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np

from dafxvae import build
from dafxvae.audio import cycles
from dafxvae.config import Config, base_config, resolve_preset
from dafxvae.data.draws import PairMaker, PairOptions, make_cutter
from dafxvae.errors import run_cli
from dafxvae.evaluate.corpora import long_enough
from dafxvae.paths import data_dir
from dafxvae.types import PairBatch

CLIPS = (65536, 131072)
BATCH = 20
RIGHT_HZ = 0.04
NUM_COMPONENTS = 12  # to which the constants are fitted
SMALLEST_HZ, LARGEST_HZ = 0.2, 22.0  # between which the constants are fitted


def draw(config: Config, effect: str, count: int) -> tuple[list[PairBatch], np.ndarray]:
    """Pairs of the longest clips, and the rates of their LFOs in Hz."""
    corpus = long_enough(build.build_corpus(config).split("test"), max(CLIPS), "other_section")
    options = PairOptions()
    with build.build_bank(config, [effect]) as bank:
        cutter = make_cutter(corpus, max(CLIPS), options, None)
        maker = PairMaker(cutter, bank, seed=0, stream="cycles", mode="other_section", options=options)
        batches = [maker.make(np.arange(start, start + BATCH))[0] for start in range(0, count, BATCH)]
        unit_params = np.concatenate([batch.unit_params for batch in batches])
        place = next(i for i, name in enumerate(bank.parameter_names) if name.endswith("rate_hz"))
        return batches, bank.hosts[0].parameters.to_physical(unit_params)[:, place]


def find(batches: list[PairBatch], name: str, clip: int, rate: int) -> np.ndarray:
    """The cycles of all references, cut to a length; `[N, NUM_CYCLES]`."""
    one = jax.jit(lambda clips: jax.lax.map(lambda audio: cycles.GROUPS[name](audio[None], rate)[0], clips))
    return np.concatenate([np.asarray(one(jnp.asarray(batch.reference[:, :clip]))) for batch in batches])


def fit_kind(batches: list[PairBatch], name: str, rate: int) -> dict[str, float]:
    """Level, slope and tilt of what untreated recordings move by themselves, each octave counting the same."""
    frames = jax.jit(lambda clips: cycles.FRAMES[name](clips, rate))
    moving = np.concatenate([np.asarray(frames(jnp.asarray(batch.dry))) for batch in batches])
    moving = (moving - moving.mean(1, keepdims=True)) @ cycles.cosines(moving.shape[-1])[:, :NUM_COMPONENTS]
    hz = np.fft.rfftfreq(moving.shape[1], cycles.HOP_SEC)
    used = (hz > SMALLEST_HZ) & (hz < LARGEST_HZ)
    power = (np.abs(np.fft.rfft(moving, axis=1)) ** 2).mean(0)[used] / moving.shape[1]
    places = np.log(hz[used])[:, None], np.log(np.arange(1, NUM_COMPONENTS + 1))[None]
    columns = np.stack([np.ones_like(power), *(place + 0.0 * power for place in places)], axis=-1).reshape(-1, 3)
    weights = np.repeat(hz[used] ** -0.5, NUM_COMPONENTS)
    found = np.linalg.lstsq(columns * weights[:, None], np.log(power).ravel() * weights, rcond=None)[0]
    return dict(zip(cycles.Kind._fields, found.round(2).tolist()))


def main() -> None:
    """Measures each effect in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("effects", nargs="*", default=["Phaser", "Chorus"], metavar="EFFECT")
    parser.add_argument("--pairs", type=int, default=200)
    arguments = parser.parse_args()
    config = resolve_preset(base_config())
    config.data.update({"folder": str(data_dir() / "train"), "with_embedded": True})
    results = {}
    for effect in arguments.effects:
        batches, rates = draw(config, effect, arguments.pairs)
        found = {}
        for name in cycles.GROUPS:
            for clip in CLIPS:
                columns = find(batches, name, clip, config.sample_rate)
                right = np.abs(np.exp(columns[:, cycles.RATE]) - rates) < RIGHT_HZ
                clear = columns[:, cycles.CLEARNESS] >= np.median(columns[:, cycles.CLEARNESS])
                shares = {"within": right.mean(), "clear_half": right[clear].mean()}
                found[f"{name}, {clip}"] = {key: round(float(share), 3) for key, share in shares.items()}
        kinds = {name: fit_kind(batches, name, config.sample_rate) for name in cycles.GROUPS}
        results[effect] = {"rates": found, "kinds": kinds}
    sys.stdout.write(json.dumps({"pairs": arguments.pairs, "effects": results}, indent=1) + "\n")


if __name__ == "__main__":
    run_cli(main)
