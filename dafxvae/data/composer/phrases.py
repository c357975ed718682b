"""A seeded composer of short multi-instrument pieces (keys, forms, progressions, parts), as notes.

Piece `index` of `seed` is a pure function of the two. Every second piece is one instrument alone, for dry single
recordings are what users bring; the rest are duos and bands.
"""

from dataclasses import dataclass

import numpy as np

from dafxvae.core.rng import host_rng
from dafxvae.data.composer import music
from dafxvae.data.composer.parts import RING_SEC, WRITERS, Note, PartWriter, Sketch

MIN_LENGTH_SEC, MAX_LENGTH_SEC = 20.0, 30.0
LOUDNESS_DB = (-30.0, -12.0)  # RMS dBFS over the piece


@dataclass(frozen=True)
class Part:
    """One instrument's notes."""

    instrument: str  # a key of `music.VOICES`, or "drums"
    pan: int  # MIDI pan, 64 is the centre
    volume: int  # MIDI channel volume
    notes: tuple[Note, ...]


def sketch_piece(seed: int, index: int) -> Sketch:
    """Decides instruments, tempo, key, meter and length of piece `index`.

    Args:
        seed: the corpus's seed, >= 0.
        index: the piece's number, >= 0.
    """
    rng = host_rng(seed, "corpus/sketch", index)
    arrangement = "solo" if index % 2 == 0 else str(rng.choice(["duo", "band"], p=[0.4, 0.6]))
    if arrangement == "solo":  # every instrument once before any comes again
        turn, place = divmod(index // 2, len(music.SOLOS))
        order = host_rng(seed, "corpus/solos", turn).permutation(len(music.SOLOS))
        name = music.SOLOS[order[place]]
        role = "drums" if name == "drums" else str(rng.choice(music.VOICES[name].roles))
        instruments = [(role, name)]
    elif arrangement == "duo":
        second = str(rng.choice(["chords", "bass", "pad", "drums"], p=[0.5, 0.2, 0.15, 0.15]))
        instruments = [("lead", str(rng.choice(music.LEADS))), (second, _pick(rng, second))]
    else:
        roles = ["drums", "bass", "chords"]
        roles += [role for role, share in (("lead", 0.75), ("pad", 0.5)) if rng.random() < share]
        instruments = [(role, _pick(rng, role)) for role in roles]
    meter = str(rng.choice(list(music.METERS), p=[0.72, 0.14, 0.14]))
    tempo_bpm = float(np.round(rng.triangular(60.0, 105.0, 170.0), 1))
    beats, quarter = music.METERS[meter]
    bar_sec = beats * quarter * 60.0 / tempo_bpm
    fewest, most = (int(np.ceil((sec - RING_SEC) / bar_sec)) for sec in (MIN_LENGTH_SEC, MAX_LENGTH_SEC))
    whole_phrases = [bars for bars in range(fewest, most) if bars % 4 == 0]
    bars = int(rng.choice(whole_phrases)) if whole_phrases else fewest
    return Sketch(
        seed=seed,
        index=index,
        arrangement=arrangement,
        instruments=tuple(instruments),
        tempo_bpm=tempo_bpm,
        meter=meter,
        mode=str(rng.choice(list(music.SCALES), p=[0.38, 0.26, 0.14, 0.14, 0.08])),
        tonic=int(rng.integers(12)),
        bars=bars,
        density=float(rng.uniform(0.15, 1.0)),
        swing=float(rng.choice([0.0, 0.0, 0.18, 0.33])),
        loudness_db=float(rng.uniform(*LOUDNESS_DB)),
    )


def compose(sketch: Sketch) -> tuple[Part, ...]:
    """Writes the notes of a sketch; the same sketch gives the same notes."""
    rng = host_rng(sketch.seed, "corpus/notes", sketch.index)
    progressions = music.PROGRESSIONS[sketch.mode]
    first, second = (progressions[i] for i in rng.choice(len(progressions), 2, replace=False))
    form = [(0, first), (0, first), (1, second), (0, first)] if rng.random() < 0.6 else [(0, first), (1, second)]
    degrees, sections = [], []
    for bar in range(sketch.bars):
        section, chords = form[(bar // 4) % len(form)]
        degrees.append(chords[bar % 4])
        sections.append(section)
    if degrees:
        degrees[-1] = 0  # it ends at home
    levels = rng.uniform(0.3, 1.0, 2)
    dynamics = [float(np.clip(levels[section] + rng.normal(0, 0.06), 0.1, 1.0)) for section in sections]
    parts = []
    for role, instrument in sketch.instruments:
        writer = PartWriter(sketch, rng, degrees, dynamics, sections)
        WRITERS[role](writer, instrument)
        alone = len(sketch.instruments) == 1
        pan = 64 if alone or role in ("bass", "drums") else int(np.clip(64 + rng.normal(0, 26), 8, 120))
        volume = 120 if alone else int(rng.integers(80, 118) - (12 if role == "pad" else 0))
        parts.append(Part(instrument, pan, volume, tuple(writer.notes)))
    return tuple(parts)


def _pick(rng: np.random.Generator, role: str) -> str:
    choices = {"lead": music.LEADS, "chords": music.CHORDS, "bass": music.BASSES, "pad": music.PADS}
    return "drums" if role == "drums" else str(rng.choice(choices[role]))
