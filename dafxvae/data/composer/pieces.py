"""Notes of the embedded corpus to dry audio, through the General-MIDI soundfont that pretty_midi brings.

The synthesiser (midirenderer, a Rust port of a SoundFont player) adds reverb and chorus by default; both sends are
turned off on every channel, for the corpus must be dry.
"""

import functools
import hashlib
import io
import warnings
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np

from dafxvae.audio.io import decode_audio, resample, to_channels, write_audio
from dafxvae.data.composer.music import VOICES
from dafxvae.data.composer.phrases import Part, compose, sketch_piece

VERSION = 1  # raise it when a piece's notes or sound change: caches of other versions are left alone
REVERB_SEND, CHORUS_SEND, VOLUME, PAN = 91, 93, 7, 10  # MIDI controllers
PEAK = 0.97
FADE_SEC = 0.05


@functools.cache
def soundfont() -> bytes:
    """The bytes of the General-MIDI soundfont that comes inside pretty_midi's wheel (TimGM6mb, GPL-2)."""
    return (resources.files("pretty_midi") / "TimGM6mb.sf2").read_bytes()


def version_key() -> str:
    """Names everything that the bits of the corpus depend on: the composer, the synthesiser and the resampler."""
    return f"v{VERSION}-midirenderer{metadata.version('midirenderer')}-soxr{metadata.version('soxr')}"


def midi_bytes(parts: tuple[Part, ...]) -> bytes:
    """Parts as a standard MIDI file, with the synthesiser's reverb and chorus off."""
    with warnings.catch_warnings():  # some versions warn about pkg_resources as they are imported
        warnings.simplefilter("ignore")
        import pretty_midi
    song = pretty_midi.PrettyMIDI(resolution=480)
    for part in parts:
        drums = part.instrument == "drums"
        track = pretty_midi.Instrument(program=0 if drums else VOICES[part.instrument].program, is_drum=drums)
        for number, value in ((REVERB_SEND, 0), (CHORUS_SEND, 0), (VOLUME, part.volume), (PAN, part.pan)):
            track.control_changes.append(pretty_midi.ControlChange(number, value, 0.0))
        track.notes = [pretty_midi.Note(n.velocity, n.pitch, n.start_sec, n.end_sec) for n in part.notes]
        song.instruments.append(track)
    buffer = io.BytesIO()
    song.write(buffer)
    return buffer.getvalue()


def synthesise(parts: tuple[Part, ...], sample_rate: int) -> np.ndarray:
    """Plays parts through the soundfont.

    Args:
        parts: the music; notes in seconds.
        sample_rate: Hz.

    Returns:
        float32 stereo `[T, 2]`, at the synthesiser's own level.
    """
    import midirenderer

    audio, rate = decode_audio(midirenderer.render_wave_from(soundfont(), midi_bytes(parts)))
    return resample(audio, rate, sample_rate)


def render_piece(seed: int, index: int, sample_rate: int, num_channels: int) -> np.ndarray:
    """One piece of the corpus at its own loudness (never normalised to one value), with a fade at its very end.

    Args:
        seed: the corpus's seed.
        index: the piece's number.
        sample_rate: Hz.
        num_channels: 1 or 2.

    Returns:
        int16 `[T, C]`, T = `piece_frames(...)`; the same bits every time.
    """
    sketch = sketch_piece(seed, index)
    frames = piece_frames(seed, index, sample_rate)
    audio = to_channels(synthesise(compose(sketch), sample_rate), num_channels)[:frames]
    audio = np.pad(audio, ((0, frames - audio.shape[0]), (0, 0)))
    fade = np.linspace(1.0, 0.0, round(FADE_SEC * sample_rate), dtype=np.float32)[:, None]
    audio[-fade.shape[0] :] *= fade
    rms, peak = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))), float(np.abs(audio).max())
    gain = min(10.0 ** (sketch.loudness_db / 20.0) / max(rms, 1e-6), PEAK / max(peak, 1e-6))
    return np.round(audio * np.float32(gain * 32767.0)).astype(np.int16)


def piece_frames(seed: int, index: int, sample_rate: int) -> int:
    """Length of a piece in samples, known before it is composed."""
    return round(sketch_piece(seed, index).length_sec * sample_rate)


def pcm_sha256(pcm: np.ndarray) -> str:
    """SHA-256 of the samples themselves (int16, little endian), whatever the encoder of the file."""
    return hashlib.sha256(np.ascontiguousarray(pcm, dtype="<i2").tobytes()).hexdigest()


def pcm_rms_db(pcm: np.ndarray) -> float:
    """RMS level of int16 samples in dBFS; -120 for digital silence."""
    power = float(np.mean(np.square(pcm, dtype=np.float64))) / 32768.0**2 if pcm.size else 0.0
    return 10.0 * float(np.log10(power + 1e-12))


def store_piece(seed: int, index: int, sample_rate: int, num_channels: int, folder: str) -> dict[str, Any]:
    """Renders a piece into `folder` (whole or not at all) and returns its line of the index."""
    pcm = render_piece(seed, index, sample_rate, num_channels)
    name = f"piece-{index:05d}"
    write_audio(Path(folder) / f"{name}.flac", pcm, sample_rate, subtype="PCM_16")
    return {
        "name": name,
        "file": f"{name}.flac",
        "frames": pcm.shape[0],
        "group": name,
        "rms_db": round(pcm_rms_db(pcm), 2),
        "sha256": pcm_sha256(pcm),
        "sources": [sketch_piece(seed, index).title],
        "licence": "GPL-3.0-or-later (composer), GPL-2.0 (TimGM6mb soundfont)",
    }
