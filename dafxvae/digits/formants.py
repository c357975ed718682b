"""Ten spoken digits from a small formant synthesiser: for machines on which espeak-ng is not installed.

Source and filter, as Klatt (1980) has it: glottal pulses go through four resonators in cascade (the vocal tract),
noise through one resonator (friction). Targets of the phonemes are joined by straight lines and smoothed, as mouths do.
"""

from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from dafxvae.audio.io import resample
from dafxvae.core.rng import host_rng

VERSION = 1  # raise it when the sound changes: caches of other versions are left alone
RATE = 16000  # Hz, of the synthesis
FRAME = 80  # samples in which the filters stand still: 5 ms
SMOOTH_FRAMES, SMOOTH_AMPLITUDE_FRAMES = 9, 3  # Hann windows over the tracks of formants and amplitudes: 45, 15 ms
BANDWIDTHS_HZ = (70.0, 90.0, 130.0, 200.0)
FOURTH_HZ = 3500.0
MUTE = np.asarray((1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0))  # the same mouth without a sound; columns of `_tracks`
WORDS = (
    "z IH r OW UH",
    "w AH n",
    "t UW",
    "th r IY",
    "f AO r",
    "f AA IH v",
    "s IH k s",
    "s EH v AX n",
    "EH IH t",
    "n AA IH n",
)


class Phoneme(NamedTuple):
    """Targets of one sound, for a vocal tract of 17 cm."""

    length_ms: float
    formants_hz: tuple[float, float, float]
    voice: float  # amplitude of the glottal pulses
    noise: float = 0.0  # amplitude of the friction
    noise_hz: float = 3500.0  # where it is strongest
    noise_width_hz: float = 2000.0
    closure_ms: float = 0.0  # silence before it: a stop


PHONEMES = {  # vowels after Peterson & Barney (1952), men
    "IY": Phoneme(160.0, (270.0, 2290.0, 3010.0), 1.0),
    "IH": Phoneme(90.0, (390.0, 1990.0, 2550.0), 1.0),
    "EH": Phoneme(100.0, (530.0, 1840.0, 2480.0), 1.0),
    "AX": Phoneme(60.0, (500.0, 1500.0, 2500.0), 0.7),
    "AH": Phoneme(130.0, (640.0, 1190.0, 2390.0), 1.0),
    "AA": Phoneme(120.0, (730.0, 1090.0, 2440.0), 1.0),
    "AO": Phoneme(150.0, (570.0, 840.0, 2410.0), 1.0),
    "OW": Phoneme(120.0, (480.0, 900.0, 2300.0), 1.0),
    "UH": Phoneme(80.0, (400.0, 950.0, 2240.0), 0.9),
    "UW": Phoneme(170.0, (300.0, 870.0, 2240.0), 1.0),
    "w": Phoneme(70.0, (300.0, 650.0, 2200.0), 0.6),
    "r": Phoneme(80.0, (400.0, 1150.0, 1500.0), 0.7),
    "n": Phoneme(90.0, (260.0, 1300.0, 2300.0), 0.35),
    "v": Phoneme(60.0, (300.0, 1100.0, 2200.0), 0.35, 0.08, 2500.0, 4000.0),
    "z": Phoneme(90.0, (300.0, 1500.0, 2500.0), 0.25, 0.25, 5000.0, 1800.0),
    "s": Phoneme(120.0, (350.0, 1600.0, 2600.0), 0.0, 0.5, 5000.0, 1800.0),
    "th": Phoneme(90.0, (350.0, 1300.0, 2500.0), 0.0, 0.12, 3500.0, 5000.0),
    "f": Phoneme(100.0, (350.0, 1000.0, 2200.0), 0.0, 0.14, 2500.0, 5000.0),
    "t": Phoneme(35.0, (350.0, 1700.0, 2600.0), 0.0, 0.6, 3800.0, 2000.0, 50.0),
    "k": Phoneme(35.0, (350.0, 1900.0, 2500.0), 0.0, 0.5, 2000.0, 800.0, 55.0),
}


class FormantSpeaker(NamedTuple):
    """One voice."""

    name: str
    pitch_hz: float
    tract: float  # formants are multiplied by it: above 1 the tract is shorter
    tempo: float  # above 1 faster
    breath: float  # noise beside the glottal pulses
    fall: float  # octaves by which the pitch falls along a word
    tilt: float  # pole of the glottal low-pass in [0, 1): higher is darker


def formant_speakers(count: int, seed: int) -> list[FormantSpeaker]:
    """`count` different voices, high and low in turn; the first ones are the same whatever the count."""
    voices = []
    for index in range(count):
        rng = host_rng(seed, "formants/speaker", index)
        high = index % 2
        voices.append(
            FormantSpeaker(
                f"formant{index:03d}",
                pitch_hz=float(rng.uniform(165.0, 250.0) if high else rng.uniform(85.0, 150.0)),
                tract=float(rng.uniform(1.08, 1.22) if high else rng.uniform(0.92, 1.06)),
                tempo=float(rng.uniform(0.8, 1.25)),
                breath=float(rng.uniform(0.005, 0.05)),
                fall=float(rng.uniform(0.1, 0.6)),
                tilt=float(rng.uniform(0.6, 0.92)),
            )
        )
    return voices


def _smooth(tracks: np.ndarray, frames: int) -> np.ndarray:
    """Each column of `[N, ...]` through a Hann window of an odd number of frames; ends are held."""
    kernel = np.hanning(frames + 2)[1:-1]
    padded = np.pad(tracks, ((frames // 2, frames // 2), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, kernel / kernel.sum(), mode="valid") for column in padded.T], axis=1)


def _tracks(word: str, speaker: FormantSpeaker, rng: np.random.Generator) -> np.ndarray:
    """Parameters by frame: three formants in Hz, amplitude of voice and noise, its frequency and width in Hz;
    `[frames, 7]`."""
    rows: list[np.ndarray] = []
    for name in word.split():
        phoneme = PHONEMES[name]
        frames = RATE / FRAME / 1000.0 / speaker.tempo * rng.uniform(0.9, 1.1)
        formants = np.asarray(phoneme.formants_hz) * speaker.tract * rng.normal(1.0, 0.02, 3)
        target = np.asarray([*formants, phoneme.voice, phoneme.noise, phoneme.noise_hz, phoneme.noise_width_hz])
        rows += [target * MUTE] * round(phoneme.closure_ms * frames) + [target] * max(
            2, round(phoneme.length_ms * frames)
        )
    before, after = ([row * MUTE] * SMOOTH_FRAMES for row in (rows[0], rows[-1]))
    steps = np.asarray(before + rows + after)
    smooth = _smooth(steps, SMOOTH_FRAMES)
    smooth[:, 3:5] = _smooth(steps[:, 3:5], SMOOTH_AMPLITUDE_FRAMES)  # a burst is over before a tongue has moved
    return smooth


def _pulses(frames: int, speaker: FormantSpeaker, rng: np.random.Generator) -> np.ndarray:
    """Glottal source of `frames` frames: pulses with a falling pitch and a little jitter, low-passed."""
    progress = np.linspace(0.0, 1.0, frames * FRAME)
    pitch_hz = speaker.pitch_hz * rng.uniform(0.94, 1.06) * 2.0 ** (speaker.fall * (0.5 - progress))
    jitter = np.repeat(rng.normal(1.0, 0.015, frames), FRAME)
    turns = np.cumsum(pitch_hz * jitter) / RATE
    pulses = np.diff(np.floor(turns), prepend=0.0)  # 1 where a period begins
    pulses = pulses * np.sqrt(RATE / speaker.pitch_hz)  # equal power at any pitch
    source = pulses + speaker.breath * rng.standard_normal(frames * FRAME)
    return np.asarray(lfilter([1.0 - speaker.tilt], [1.0, -speaker.tilt], lfilter([1.0], [1.0, -0.5], source)))


def _resonate(signal: np.ndarray, centre_hz: np.ndarray, width_hz: np.ndarray) -> np.ndarray:
    """A second-order resonator of unit gain at 0 Hz (Klatt 1980, eq. 1-2), steady within a frame."""
    output, state = np.empty_like(signal), np.zeros(2)
    radius = np.exp(-np.pi * width_hz / RATE)
    second = 2.0 * radius * np.cos(2.0 * np.pi * np.minimum(centre_hz, 0.48 * RATE) / RATE)
    for index, (b, c) in enumerate(zip(second, -(radius**2))):
        part = slice(index * FRAME, (index + 1) * FRAME)
        output[part], state = lfilter([1.0 - b - c], [1.0, -b, -c], signal[part], zi=state)
    return output


def say_with_formants(digit: int, speaker: FormantSpeaker, take: int, seed: int, sample_rate: int) -> np.ndarray:
    """One take of a digit; the same bits every time.

    Args:
        digit: 0 to 9.
        speaker: from `formant_speakers`.
        take: takes differ in tempo, pitch and formants by a few per cent.
        seed: of the takes.
        sample_rate: Hz.

    Returns:
        float32 `[T, 1]`, peak 0.5.
    """
    rng = host_rng(seed, f"formants/{speaker.name}", digit, take)
    speaker = speaker._replace(tempo=speaker.tempo * float(rng.uniform(0.92, 1.08)))
    tracks = _tracks(WORDS[digit], speaker, rng)
    voice, noise = (np.interp(np.arange(len(tracks) * FRAME) / FRAME, range(len(tracks)), tracks[:, i]) for i in (3, 4))
    sound = _pulses(len(tracks), speaker, rng) * voice
    fourth = np.full(len(tracks), FOURTH_HZ * speaker.tract)
    for centre_hz, width_hz in zip((*tracks[:, :3].T, fourth), BANDWIDTHS_HZ):
        sound = _resonate(sound, centre_hz, np.full(len(tracks), width_hz))
    hiss = np.diff(rng.standard_normal(len(sound)), prepend=0.0)  # friction has no bass
    hiss = _resonate(hiss, tracks[:, 5], tracks[:, 6])
    level = np.sqrt(np.mean(sound**2)) / np.sqrt(np.mean(hiss**2))
    sound = np.diff(sound + level * noise * hiss, prepend=0.0)  # the lips radiate the higher, the better
    audio = resample((0.5 * sound / np.abs(sound).max()).astype(np.float32)[:, None], RATE, sample_rate)
    return audio * np.float32(0.5 / np.abs(audio).max())
