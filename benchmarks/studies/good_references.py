"""What spoils a reference: the same records whole, faded, silent in part, short or dull; prints one JSON object.

    python -m benchmarks.studies.good_references [--pairs 20] [--controllers eq compressor]

Takes and records are the first pairs of `dafxvae evaluate masters`, with the record through known settings.
`ratio`: MRSTFT at matched loudness of the output to the take through the same settings, over that of the take, with its
95 % bootstrap interval. `further`: the share of takes that these true settings move away from the reference in
spectrum. "elsewhere": the reference is the take's own recording, a metal guitar, 24.5 s later.
"""

from collections.abc import Callable
from contextlib import closing
from itertools import cycle, islice
from typing import Any

import numpy as np
from scipy.signal import butter, sosfiltfilt

from benchmarks.common import make_parser, print_json
from dafxvae.audio.io import AudioReader
from dafxvae.core.command_line import run_cli
from dafxvae.core.paths import data_dir
from dafxvae.evaluate import masters
from dafxvae.evaluate.held_out import held_out_of_kind
from dafxvae.evaluate.masters import RATE, Pair
from dafxvae.evaluate.plan import Plan
from dafxvae.metrics import MATCHED, bootstrap_ratio, score_outputs
from dafxvae.transfer.api import StyleTransfer, load_controller
from dafxvae.transfer.fit import SPECTRUM, measure_fit
from dafxvae.transfer.recordings import ArrayRecording
from dafxvae.transfer.results import Options

SONGS, SPEECH = "fretsonfire-songs-sectoid", "asterisk-core-sounds-it-g722"
CLIP_SAMPLES = Plan(2, 0, 5.46).clip_samples(RATE)
APART_SEC = 30.0  # from the beginning of a take to the end of its reference
QUIETEST = 0.01  # RMS


def below(hz: float) -> Callable[[np.ndarray], np.ndarray]:
    """What is left of audio `[T, C]` below a frequency."""
    return lambda audio: sosfiltfilt(butter(10, hz, fs=RATE, output="sos"), audio, axis=0).astype(np.float32)


SPOILED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda audio: audio,
    "faded in": lambda audio: audio * np.linspace(0, 1, len(audio), dtype=np.float32)[:, None],
    "60 % silent": lambda audio: audio * (np.arange(len(audio)) >= int(0.6 * len(audio)))[:, None].astype(np.float32),
    "1 s": lambda audio: audio[:RATE],
    "below 9.7 kHz": below(9700.0),
    "below 4 kHz": below(4000.0),
}


def draw_elsewhere(count: int) -> list[Pair]:
    """Two sections of one recording."""
    rng, pairs = np.random.default_rng(0), []
    for path in islice(cycle(sorted((data_dir() / "held_out" / SONGS).glob("*/guitar.ogg"))), count):
        with AudioReader(path) as file:
            while True:
                start = int(rng.integers(0, file.frames - int(APART_SEC) * RATE))
                mono = file.read(start, int(APART_SEC) * RATE).mean(axis=1, keepdims=True)
                sections = mono[:CLIP_SAMPLES], mono[-CLIP_SAMPLES:]
                if min(one.std() for one in sections) > QUIETEST:
                    break
        pairs.append(Pair(*(ArrayRecording(one, RATE, "a section") for one in sections)))
    return pairs


def measure(transfer: StyleTransfer, pairs: list[Pair], spoiled: dict[str, Any]) -> dict[str, Any]:
    """Ratios by what was done to the references, and the share that the true settings move away."""
    scores: dict[str, list[np.ndarray]] = {name: [] for name in spoiled}
    further = []
    for item, pair in enumerate(pairs):
        settings, target, record = masters.draw_truth(transfer, pair, 0, item)
        with closing(transfer.play(pair.take, settings, 0.0)) as rendered:
            fit = measure_fit(pair.take, [record], rendered, transfer.host.chain)
        further.append(fit.after[SPECTRUM] > fit.before[SPECTRUM])
        for name, spoil in spoiled.items():
            outcome = transfer.run(pair.take, [ArrayRecording(spoil(record.audio), RATE, name)], Options())
            with closing(outcome.rendered) as rendered:
                output = rendered.read(0, pair.take.frames)
            scores[name].append(score_outputs(np.stack([output, pair.take.audio]), target, RATE)[MATCHED])
    ratios = {name: bootstrap_ratio(*np.asarray(rows, float).T)._asdict() for name, rows in scores.items()}
    return {"further": float(np.mean(further)), "ratio": ratios}


def main() -> None:
    """Transfers from every reference."""
    parser = make_parser(__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--controllers", nargs="+", default=["eq", "compressor"])
    arguments = parser.parse_args()
    takes = masters.open_corpora([SONGS, SPEECH], 1)
    records = masters.open_corpora(held_out_of_kind("masters"), 2)
    pairs = masters.draw_pairs(takes, records, CLIP_SAMPLES, arguments.pairs, 0)
    found = {}
    for name in arguments.controllers:
        with load_controller(name) as transfer:
            found[name] = {
                "records": measure(transfer, pairs, SPOILED),
                "elsewhere": measure(transfer, draw_elsewhere(arguments.pairs), {"as it is": SPOILED["as it is"]}),
            }
    print_json(found)


if __name__ == "__main__":
    run_cli(main)
