"""How often an LFO's rate and settings are estimated right from the reference; prints one JSON object.

    python -m benchmarks.studies.lfo_rates [--pairs 200] [EFFECT ...]

For each effect (Phaser and Chorus) references are rendered as for an evaluation, of recordings of the test split of the
training corpora (`dafxvae data fetch train`). `within` is the share of all of them in which the rate of a
descriptor (`lfo`, `lfo_lags`) is right to .04 Hz, `clear_half` that of the half that stands out most, by
the clip's length; rates below .2 Hz, a quarter of them, cannot be among them. `lfo_templates` is the
same for that descriptor, and `error` there the mean absolute error of each normalised setting in the half,
third and fifth that are clearest, and that of guessing the middle. `backgrounds` are the constants of
`dafxvae.descriptors.lfo.Background`, fitted to the untreated clips.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks.common import make_parser, print_json, use_training_corpora
from dafxvae.config import Config, base_config, resolve_preset
from dafxvae.core.command_line import run_cli
from dafxvae.data.pairs.draws import PairMaker, PairOptions, make_cutter
from dafxvae.descriptors import lfo, lfo_templates
from dafxvae.descriptors.descriptor import Descriptor, Recordings
from dafxvae.descriptors.lfo_measurement import measure_templates
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
    templates: lfo_templates.Templates


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
        num_templates = config.h.lfo.num_templates
        templates = measure_templates(host, RATE, num_templates, config.seed, config.sample_rate, progress=False)
        return Drawn(batches, unit_params, rates_hz, templates)


def describe(drawn: Drawn, descriptor: Descriptor, clip: int, rate: int) -> np.ndarray:
    """A descriptor `[N, S]` of all references, cut to a length."""

    def one(audio: Array) -> Array:
        return descriptor.compute(Recordings(audio[None], rate, templates=drawn.templates))[0]

    every = jax.jit(lambda clips: jax.lax.map(one, clips))
    return np.concatenate([np.asarray(every(jnp.asarray(batch.reference[:, :clip]))) for batch in drawn.batches])


def shares(drawn: Drawn, log_rate: np.ndarray, confidence: np.ndarray) -> dict[str, float]:
    """How often a rate was right, among all and among the clear half."""
    right = np.abs(np.exp(log_rate) - drawn.rates_hz) < RIGHT_HZ
    clear = confidence >= np.median(confidence)
    return {"within": round(float(right.mean()), 3), "clear_half": round(float(right[clear].mean()), 3)}


def errors(drawn: Drawn, found: np.ndarray) -> dict[str, list[float]]:
    """Of each setting but the rate, among the clearest."""
    settings = found[:, lfo_templates.SETTINGS :] / lfo_templates.SPREAD + 0.5
    off = np.abs(settings - drawn.unit_params)[:, 1:]
    order = np.argsort(-found[:, lfo_templates.CONFIDENCE])
    kept = {name: off[order[: round(share * len(off))]] for name, share in CLEAREST.items()}
    kept["guess"] = np.abs(drawn.unit_params - 0.5)[:, 1:]
    return {name: rows.mean(0, dtype=np.float64).round(3).tolist() for name, rows in kept.items()}


def fit_background(batches: list[PairBatch], frames: Callable[[Array, int], Array], rate: int) -> dict[str, float]:
    """Level, slope and tilt of what untreated recordings move by themselves, each octave counting the same."""
    compiled = jax.jit(lambda clips: frames(clips, rate))
    moving = np.concatenate([np.asarray(compiled(jnp.asarray(batch.dry))) for batch in batches])
    moving = (moving - moving.mean(1, keepdims=True)) @ lfo.cosine_transform(moving.shape[-1])[:, :NUM_COMPONENTS]
    hz = np.fft.rfftfreq(moving.shape[1], lfo.HOP_SEC)
    used = (hz > SMALLEST_HZ) & (hz < LARGEST_HZ)
    power = (np.abs(np.fft.rfft(moving, axis=1)) ** 2).mean(0)[used] / moving.shape[1]
    places = np.log(hz[used])[:, None], np.log(np.arange(1, NUM_COMPONENTS + 1))[None]
    columns = np.stack([np.ones_like(power), *(place + 0.0 * power for place in places)], axis=-1).reshape(-1, 3)
    weights = np.repeat(hz[used] ** -0.5, NUM_COMPONENTS)
    found = np.linalg.lstsq(columns * weights[:, None], np.log(power).ravel() * weights, rcond=None)[0]
    return dict(zip(lfo.Background._fields, found.round(2).tolist()))


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
            for descriptor in (lfo.LFO, lfo.LFO_LAGS, lfo_templates.LFO_TEMPLATES):
                columns = describe(drawn, descriptor, clip, rate)
                row = shares(drawn, columns[:, descriptor.direct[0]], columns[:, descriptor.confidence])
                if descriptor.estimates is not None:
                    row |= {"error": errors(drawn, columns)}
                found[f"{descriptor.name}, {clip}"] = row
        frames = {"lfo": lfo.mel_frames, "lfo_lags": lfo.lag_frames}
        backgrounds = {name: fit_background(drawn.batches, each, rate) for name, each in frames.items()}
        results[effect] = {"rates": found, "backgrounds": backgrounds}
    print_json({"pairs": arguments.pairs, "effects": results})


if __name__ == "__main__":
    run_cli(main)
