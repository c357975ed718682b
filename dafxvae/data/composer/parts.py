"""Writers of chord, pad, bass, melody and drum parts of the embedded corpus."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dafxvae.data.composer import music

RING_SEC = 1.5  # after the last bar, for the last notes to die away


@dataclass(frozen=True)
class Note:
    """One note; times in seconds from the start of the piece."""

    pitch: int  # MIDI note
    velocity: int  # 1..127
    start_sec: float
    end_sec: float


@dataclass(frozen=True)
class Sketch:
    """What is decided before a note is written; cheap, so a corpus can be planned without composing it."""

    seed: int
    index: int
    arrangement: str  # "solo", "duo", "band"
    instruments: tuple[tuple[str, str], ...]  # (role, instrument)
    tempo_bpm: float  # quarter notes a minute
    meter: str
    mode: str
    tonic: int  # pitch class
    bars: int
    density: float  # 0 sparse .. 1 busy
    swing: float  # delay of every second eighth, in eighths
    loudness_db: float

    @property
    def bar_sec(self) -> float:
        beats, quarter = music.METERS[self.meter]
        return beats * quarter * 60.0 / self.tempo_bpm

    @property
    def length_sec(self) -> float:
        return self.bars * self.bar_sec + RING_SEC

    @property
    def title(self) -> str:
        return f"{self.arrangement}: {', '.join(instrument for _, instrument in self.instruments)}"


@dataclass
class PartWriter:
    """What the part writers share: the sketch, the harmony of every bar, loudness of every bar, the generator."""

    sketch: Sketch
    rng: np.random.Generator
    degrees: list[int]  # chord of every bar
    dynamics: list[float]  # 0..1 of every bar
    sections: list[int]  # section number of every bar
    notes: list[Note] = field(default_factory=list)

    def pitch(self, degree: int, near: int) -> int:
        """MIDI note of a scale degree (any integer), in the octave nearest to the note `near`."""
        scale = music.SCALES[self.sketch.mode]
        pitch_class = (self.sketch.tonic + scale[degree % 7]) % 12
        return near + (pitch_class - near + 6) % 12 - 6

    def add(self, pitch: int, bar: int, position: float, length: float, loudness: float) -> None:
        """Adds a note; position and length in bars from the start of the bar; loudness 0..1."""
        sketch = self.sketch
        eighth = 0.5 * 60.0 / sketch.tempo_bpm
        start = (bar + position) * sketch.bar_sec + self.rng.normal(0.0, 0.006)
        if sketch.swing and round(position * sketch.bar_sec / eighth, 3) % 2 == 1:
            start += sketch.swing * eighth
        velocity = 25 + 95 * loudness * (0.55 + 0.45 * self.dynamics[bar]) + self.rng.normal(0.0, 5.0)
        start = max(start, 0.0)
        end = start + max(length * sketch.bar_sec, 0.05)
        self.notes.append(Note(int(np.clip(pitch, 0, 127)), int(np.clip(velocity, 12, 127)), start, end))


def _chord(writer: PartWriter, bar: int, centre: int, size: int) -> list[int]:
    """Triad (or with its seventh) of the bar, each tone in the octave nearest to `centre`: smooth voice leading."""
    degree = writer.degrees[bar]
    return sorted({writer.pitch(degree + step, centre) for step in (0, 2, 4, 6)[:size]})


def write_chords(writer: PartWriter, instrument: str) -> None:
    voice = music.VOICES[instrument]
    rng, beats = writer.rng, music.METERS[writer.sketch.meter][0]
    centre = int(np.clip(rng.normal(60, 4), voice.low + 8, voice.high - 8))
    size = int(rng.choice([3, 4], p=[0.7, 0.3]))
    styles = [str(rng.choice(["block", "arpeggio", "strum", "offbeat"])) for _ in range(2)]
    for bar in range(writer.sketch.bars):
        chord, style = _chord(writer, bar, centre, size), styles[writer.sections[bar]]
        if style == "arpeggio":
            steps = beats * (2 if beats < 6 and writer.sketch.density > 0.35 else 1)
            line = [*chord, chord[0] + 12, *chord[::-1]] * 4
            for step in range(steps):
                writer.add(line[step], bar, step / steps, 1.6 / steps, 0.62 + 0.14 * (step == 0))
            continue
        hits = [0.0] if style == "block" else [beat / beats for beat in range(beats)]
        if style == "offbeat":
            hits = [(beat + 0.5) / beats for beat in range(beats)]
        elif style == "block" and writer.sketch.density > 0.5:
            hits = [0.0, (beats // 2) / beats]
        length = (0.92 / len(hits)) * (0.4 if style == "offbeat" else 1.0)
        for hit in hits:
            if rng.random() < 0.92 or hit == 0.0:
                for order, pitch in enumerate(chord):  # a strum rolls through the strings
                    delay = (0.012 if style == "strum" else 0.003) * order / writer.sketch.bar_sec
                    writer.add(pitch, bar, hit + delay, length, 0.6 + 0.16 * (hit == 0.0))


def write_pad(writer: PartWriter, instrument: str) -> None:
    voice = music.VOICES[instrument]
    centre = int(np.clip(writer.rng.normal(63, 4), voice.low + 8, voice.high - 8))
    size = int(writer.rng.choice([2, 3, 4], p=[0.2, 0.6, 0.2]))
    bar = 0
    while bar < writer.sketch.bars:  # neighbours with one chord are held over the bar line
        until = bar + 1
        while until < writer.sketch.bars and writer.degrees[until] == writer.degrees[bar]:
            until += 1
        for pitch in _chord(writer, bar, centre, size):
            writer.add(pitch, bar, 0.0, (until - bar) * 0.97, 0.6)
        bar = until


def write_bass(writer: PartWriter, instrument: str) -> None:
    voice, rng = music.VOICES[instrument], writer.rng
    beats = music.METERS[writer.sketch.meter][0]
    styles = [str(rng.choice(["roots", "octaves", "walking", "eighths"])) for _ in range(2)]
    centre = min(max(voice.low + 9, 38), voice.high - 9)
    for bar in range(writer.sketch.bars):
        root = writer.pitch(writer.degrees[bar], centre)
        style = styles[writer.sections[bar]]
        if style == "roots":
            busy = rng.random() < writer.sketch.density
            pattern = [(0.0, root, 0.45), (0.5, root, 0.4)] if busy else [(0.0, root, 0.9)]
        elif style == "octaves":
            pattern = [(b / beats, root + 12 * (b % 2), 0.7 / beats) for b in range(beats)]
        elif style == "eighths":
            pattern = [(s / (2 * beats), root, 0.42 / beats) for s in range(2 * beats) if rng.random() < 0.9]
        else:
            target = writer.pitch(writer.degrees[(bar + 1) % writer.sketch.bars], centre)
            walk = [0, 2, 4, 5 if rng.random() < 0.5 else 7, 4, 2]
            tones = [writer.pitch(writer.degrees[bar] + step, root + 4) for step in walk[:beats]]
            tones[0], tones[-1] = root, target + int(rng.choice([-1, 1]))
            pattern = [(b / beats, tone, 0.85 / beats) for b, tone in enumerate(tones)]
        for position, pitch, length in pattern:
            writer.add(pitch, bar, position, length, 0.72 + 0.12 * (position == 0.0))


def write_lead(writer: PartWriter, instrument: str) -> None:
    voice, rng = music.VOICES[instrument], writer.rng
    beats = music.METERS[writer.sketch.meter][0]
    low, high = voice.low + 3, voice.high - 3
    centre = int(np.clip(rng.normal((low + high) / 2, 4), low, high))
    legato = float(rng.uniform(0.55, 1.05)) if voice.sustains else float(rng.uniform(0.7, 1.4))
    motifs = [[_motif(writer, beats) for _ in range(2)] for _ in range(2)]  # [section][question, answer]
    degree = 0
    for bar in range(writer.sketch.bars):
        if rng.random() < 0.12 and bar:  # a bar's rest
            continue
        chord_degree = writer.degrees[bar]
        degree = min((chord_degree + step + 7 * octave for step in (0, 2, 4) for octave in (-1, 0, 1)),
                     key=lambda tone: abs(tone - degree))  # fmt: skip
        for position, length, step in motifs[writer.sections[bar]][(bar % 4) // 2]:
            degree = int(np.clip(degree + step, -7, 9))
            octave = centre + 12 * (degree // 7)
            pitch = writer.pitch(degree, octave + 3)
            pitch += 12 * (pitch < low) - 12 * (pitch > high)
            writer.add(pitch, bar, position, length * legato, 0.66 + 0.18 * (position == 0.0))


def _motif(writer: PartWriter, beats: int) -> list[tuple[float, float, int]]:
    """One bar of melody as (position, length, step in the scale); lengths in bars."""
    rng, cells, position = writer.rng, [], 0.0
    grid = 0.5 if writer.sketch.density > 0.4 or beats == 6 else 1.0
    while position < beats - 1e-6:
        longest = beats - position
        length = float(min(rng.choice([grid, 2 * grid, 3 * grid, 4 * grid], p=[0.45, 0.35, 0.1, 0.1]), longest))
        if rng.random() > 0.18 or not cells:
            step = int(rng.choice([-2, -1, 0, 1, 2, 3], p=[0.12, 0.3, 0.13, 0.3, 0.1, 0.05]))
            cells.append((position / beats, length / beats, step))
        position += length
    return cells


def write_drums(writer: PartWriter, instrument: str) -> None:
    del instrument
    rng = writer.rng
    grooves = music.GROOVES[writer.sketch.meter]
    chosen = [grooves[i] for i in rng.integers(len(grooves), size=2)]
    for bar in range(writer.sketch.bars):
        fill = bar % 4 == 3 and rng.random() < 0.55
        for drum, steps in chosen[writer.sections[bar]].items():
            for step, digit in enumerate(steps):
                late = fill and step >= len(steps) * 3 // 4
                if digit == "." or late or rng.random() < 0.04:
                    continue
                writer.add(drum, bar, step / len(steps), 0.1, int(digit) / 9)
        if fill:
            count = len(chosen[0][next(iter(chosen[0]))])
            for step in range(count * 3 // 4, count):
                drum = int(rng.choice([music.SNARE, music.HIGH_TOM, music.MID_TOM, music.LOW_TOM]))
                writer.add(drum, bar, step / count, 0.1, float(rng.uniform(0.6, 1.0)))
        if bar % 8 == 0 and rng.random() < 0.6:
            writer.add(music.CRASH, bar, 0.0, 0.5, 0.8)


WRITERS: dict[str, Callable[[PartWriter, str], None]] = {
    "lead": write_lead,
    "chords": write_chords,
    "bass": write_bass,
    "pad": write_pad,
    "drums": write_drums,
}
