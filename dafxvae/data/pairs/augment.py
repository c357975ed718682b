"""Pitch and tempo changes of clips, by the time stretcher that comes with Pedalboard."""

import numpy as np

MAX_SEMITONES, MAX_TEMPO_CHANGE = 4.0, 0.2


def source_frames(frames: int, tempo: float) -> int:
    """How many samples of a recording fill `frames` at the given tempo, with a little to spare."""
    return frames if tempo == 1.0 else int(np.ceil(frames * tempo)) + 256


def change_pitch_and_tempo(
    audio: np.ndarray, frames: int, sample_rate: int, semitones: float, tempo: float
) -> np.ndarray:
    """Shifts pitch and stretches time; the same bits for the same arguments.

    Args:
        audio: float32 `[T, C]`, T = `source_frames(frames, tempo)` or less.
        frames: length of the result.
        sample_rate: Hz.
        semitones: of pitch shift; 0 keeps it.
        tempo: above 1 is faster; 1 keeps it.

    Returns:
        float32 `[frames, C]`, zeros where the audio ends early.
    """
    import pedalboard  # heavy, and most runs do not augment

    if semitones or tempo != 1.0:
        stretched = pedalboard.time_stretch(
            np.ascontiguousarray(audio.T), sample_rate, stretch_factor=tempo, pitch_shift_in_semitones=semitones
        )
        audio = np.asarray(stretched, np.float32).T
    return np.pad(audio[:frames], ((0, max(frames - len(audio), 0)), (0, 0)))
