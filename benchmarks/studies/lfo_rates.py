"""How often an LFO's rate and settings are estimated right from the reference; prints one JSON object.

    python -m benchmarks.studies.lfo_rates [--pairs 200] [EFFECT ...]

For each effect (Phaser and Chorus) references are rendered as for an evaluation, of recordings of the test split of the
training corpora (`python -m dafxvae.data fetch train`). `within` is the share of all of them in which the rate of a
group of `dafxvae.descriptors.cycles.GROUPS` is right to .04 Hz, `clear_half` that of the half that stands out most, by
the clip's length; rates below .2 Hz, a quarter of them, cannot be among them. `matched` is the same for the templates
of `dafxvae.descriptors.matched`, and `error` there the mean absolute error of each normalised setting in the half,
third and fifth that are clearest, and that of guessing the middle. `kinds` are the constants of
`dafxvae.descriptors.cycles.Kind`, fitted to the untreated clips.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks.common import make_parser, print_json, use_training_corpora
from dafxvae.config import Config, base_config, resolve_preset
from dafxvae.core.command_line import run_cli
from dafxvae.data.pairs.draws import PairMaker, PairOptions, make_cutter
from dafxvae.descriptors import cycles, matched
from dafxvae.descriptors.templates import measure_templates
from dafxvae.evaluate.held_out import long_enough
from dafxvae.runs import build
from dafxvae.types import PairBatch

CLIPS = (65536, 131072)
BATCH = 20
RATE = "rate_hz"  # the first of the settings
RIGHT_HZ = 0.04
CLEAREST = {"half": 1 / 2, "third": 1 / 3, "fifth": 1 / 5}
NUM_COMPONENTS = 12  # to which the constants are fitted
SMALLEST_HZ, LARGEST_HZ = 0.2, 22.0  # between which the constants are fitted


class Drawn(NamedTuple):
    """Pairs of the longest clips, and what was done to their references."""

    batches: list[PairBatch]
    unit_params: np.ndarray  # [N, K]
    rates_hz: np.ndarray  # [N]
    templates: matched.Templates


def draw(config: Config, effect: str, count: int) -> Drawn:
    """Pairs of one effect, and the templates of its LFO."""
    corpus = long_enough(build.build_corpus(config).split("test"), max(CLIPS), "other_section")
    options = PairOptions()
    with build.build_bank(config, [effect]) as bank:
        cutter = make_cutter(corpus, max(CLIPS), options, None)
        maker = PairMaker(cutter, bank, seed=0, stream="cycles", mode="other_section", options=options)
        batches = [maker.make(np.arange(start, start + BATCH))[0] for start in range(0, count, BATCH)]
        unit_params = np.concatenate([batch.unit_params for batch in batches])
        host = bank.hosts[0]
        rates_hz = host.parameters.to_physical(unit_params)[:, host.parameters.names.index(RATE)]
        num_templates = config.h.matched.num_templates
        templates = measure_templates(host, RATE, num_templates, config.seed, config.sample_rate, progress=False)
        return Drawn(batches, unit_params, rates_hz, templates)


def find(batches: list[PairBatch], trace: Callable[[Array], Array], clip: int) -> np.ndarray:
    """The traces `[N, S]` of all references, cut to a length."""
    one = jax.jit(lambda clips: jax.lax.map(lambda audio: trace(audio[None])[0], clips))
    return np.concatenate([np.asarray(one(jnp.asarray(batch.reference[:, :clip]))) for batch in batches])


def shares(drawn: Drawn, log_rate: np.ndarray, clearness: np.ndarray) -> dict[str, float]:
    """How often a rate was right, among all and among the clear half."""
    right = np.abs(np.exp(log_rate) - drawn.rates_hz) < RIGHT_HZ
    clear = clearness >= np.median(clearness)
    return {"within": round(float(right.mean()), 3), "clear_half": round(float(right[clear].mean()), 3)}


def errors(drawn: Drawn, found: np.ndarray) -> dict[str, list[float]]:
    """Of each setting but the rate, among the clearest."""
    settings = found[:, matched.SETTINGS :] / matched.SPREAD + 0.5
    off = np.abs(settings - drawn.unit_params)[:, 1:]
    order = np.argsort(-found[:, matched.CLEARNESS])
    kept = {name: off[order[: round(share * len(off))]] for name, share in CLEAREST.items()}
    kept["guess"] = np.abs(drawn.unit_params - 0.5)[:, 1:]
    return {name: rows.mean(0, dtype=np.float64).round(3).tolist() for name, rows in kept.items()}


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
    parser = make_parser(__doc__)
    parser.add_argument("effects", nargs="*", default=["Phaser", "Chorus"], metavar="EFFECT")
    parser.add_argument("--pairs", type=int, default=200)
    arguments = parser.parse_args()
    config = resolve_preset(base_config())
    use_training_corpora(config)
    results = {}
    for effect in arguments.effects:
        drawn, rate = draw(config, effect, arguments.pairs), config.sample_rate
        found = {}
        for clip in CLIPS:
            for name, trace in cycles.GROUPS.items():
                columns = find(drawn.batches, partial(trace, sample_rate=rate), clip)
                found[f"{name}, {clip}"] = shares(drawn, columns[:, cycles.RATE], columns[:, cycles.CLEARNESS])
            match = partial(matched.match_templates, sample_rate=rate, templates=drawn.templates)
            columns = find(drawn.batches, match, clip)
            of_rate = shares(drawn, columns[:, matched.RATE], columns[:, matched.CLEARNESS])
            found[f"matched, {clip}"] = of_rate | {"error": errors(drawn, columns)}
        kinds = {name: fit_kind(drawn.batches, name, rate) for name in cycles.GROUPS}
        results[effect] = {"rates": found, "kinds": kinds}
    print_json({"pairs": arguments.pairs, "effects": results})


if __name__ == "__main__":
    run_cli(main)
