"""Speed and memory of the data pipeline; prints one JSON object. Ends within two minutes on two cores.

    python -m benchmarks.data

On-the-fly Reverb pairs of 131072 samples at 24 kHz, batches of 8. `pool_share` compares the renders a second that reach
a training loop as pairs (clips read, levels drawn, checked, redrawn) with what the bare rendering pool does on clips
that lie ready; both run in interleaved rounds, and the median of the rounds' ratios counts, so that a slow moment of
the machine meets both.
"""

import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import make_parser, print_json, seconds_of
from dafxvae.audio.io import read_audio
from dafxvae.data.corpora.corpus import Corpus, open_corpus
from dafxvae.data.corpora.tracks import PcmCache
from dafxvae.data.pairs.stream import PairIterator, PairStream, iterate, make_pairs
from dafxvae.effects.bank import EffectBank, open_bank

SAMPLES, RATE, BATCH = 131072, 24000, 8
ROUNDS, ROUND_BATCHES = 6, 24
MEMORY_EXAMPLES = 20000


def rss_mb() -> float:
    """Memory that the process holds now, in MB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def pool_rates(pairs: PairStream, bank: EffectBank) -> dict[str, float]:
    """Renders a second of the bare pool and of the pipeline, and the share that arrives."""
    batch = pairs[0]
    clips = np.concatenate([batch.dry, batch.reference])
    effect, settings = np.tile(batch.effect, 2), np.tile(batch.unit_params, (2, 1))

    def render() -> None:
        for _ in range(ROUND_BATCHES):
            bank.render(clips, effect, settings, RATE)

    def take(batches: PairIterator) -> None:
        for _ in range(ROUND_BATCHES):
            next(batches)

    bare, arriving = [], []
    for number in range(ROUNDS):
        bare.append(seconds_of(render))
        with iterate(pairs, number * 1000) as batches:
            for _ in range(6):  # the stock of batches made ahead is used up before the clock starts
                next(batches)
            arriving.append(seconds_of(lambda batches=batches: take(batches)))
        bare.append(seconds_of(render))
    renders = 2 * BATCH * ROUND_BATCHES
    shares = [(bare[2 * i] + bare[2 * i + 1]) / 2 / arriving[i] for i in range(1, ROUNDS)]  # the first round warms up
    return {
        "pool_share": float(np.median(shares)),
        "pool_share_least": min(shares),
        "pool_share_most": max(shares),
        "pool_renders_per_sec": renders / float(np.median(bare)),
        "pipeline_renders_per_sec": renders / float(np.median(arriving[1:])),
    }


def decode_rates(corpus: Corpus) -> dict[str, float]:
    """Seconds of audio a second of one core: random crops straight from the FLAC files, and from decoded ones."""
    rng = np.random.default_rng(0)
    places = [(t, int(rng.integers(t.frames - SAMPLES))) for t in corpus.tracks if t.frames > SAMPLES] * 2
    seconds = len(places) * SAMPLES / RATE
    crop_sec = seconds_of(lambda: [read_audio(track.path, start=start, frames=SAMPLES) for track, start in places])
    cache = PcmCache()
    whole_sec = seconds_of(lambda: [cache.read(track, 0, SAMPLES) for track in corpus.tracks])
    cached_sec = seconds_of(lambda: [cache.read(t, start, SAMPLES).astype(np.float32) for t, start in places])
    return {
        "decode_realtime": seconds / crop_sec,
        "decode_whole_files_realtime": corpus.minutes * 60.0 / whole_sec,
        "crop_of_decoded_realtime": seconds / cached_sec,
    }


def memory_growth(corpus: Corpus) -> dict[str, float]:
    """Memory after the first 4000 examples and after 20,000; short clips and a cheap effect make it quick."""
    with open_bank(["Gain"]) as bank:
        pairs = make_pairs(corpus, bank, clip_samples=4096, batch_size=4 * BATCH, seed=0, stream="memory")
        marks = []
        with iterate(pairs) as batches:
            for step in range(MEMORY_EXAMPLES // (4 * BATCH)):
                next(batches)
                if (step + 1) * 4 * BATCH % 4000 == 0:
                    marks.append(rss_mb())
    return {"rss_mb": marks[-1], "rss_growth": marks[-1] / marks[0] - 1.0}


def main() -> None:
    """Runs all parts."""
    parser = make_parser(__doc__)
    parser.add_argument("--skip-memory", action="store_true", help="leave the memory test out")
    given = parser.parse_args()
    start = time.perf_counter()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        arguments: dict[str, Any] = {"folder": None, "sample_rate": RATE, "num_channels": 1, "seed": 0}
        arguments |= {"minutes": 10.0, "cache": Path(folder), "progress": False}
        seconds = seconds_of(lambda: open_corpus(**arguments))
        corpus = open_corpus(**arguments)
        result["corpus_render_realtime"] = corpus.minutes * 60.0 / seconds
        result |= decode_rates(corpus)
        with open_bank(["Reverb"]) as bank:
            pairs = make_pairs(corpus, bank, clip_samples=SAMPLES, batch_size=BATCH, seed=0, stream="train")
            result |= pool_rates(pairs, bank)
            counts = pairs.counts
        result["redrawn_share"] = 1.0 - counts["pairs"] / sum(counts.values())
        if not given.skip_memory:
            result |= memory_growth(corpus)
    result["wall_sec"] = time.perf_counter() - start
    print_json({key: round(value, 4) for key, value in result.items()}, indent=None)


if __name__ == "__main__":
    main()
