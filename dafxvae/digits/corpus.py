"""Spoken digits: a folder in FSDD layout, or one that dafxvae makes; clips of one length, split by speaker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dafxvae.audio.io import resample, to_channels, write_audio
from dafxvae.core.errors import UserError
from dafxvae.core.files import whole_folder, write_json
from dafxvae.core.paths import user_path
from dafxvae.core.progress import progress_bar
from dafxvae.core.rng import host_rng
from dafxvae.core.threads import map_in_threads
from dafxvae.data.corpora.files import AudioFile, decode, find_audio, folder_layout, read_header
from dafxvae.data.corpora.layouts import DIGITS_LAYOUT
from dafxvae.data.corpora.tracks import SPLITS, Skipped, assign_splits
from dafxvae.digits.synthesiser import Synthesiser, choose_synthesiser
from dafxvae.types import DigitBatch

PEAK = 0.5  # of every clip: a digit's level says nothing of it
BLOCK_SEC = 0.01
SILENCE_DB = -36.0  # of a block's peak below the loudest one, at the ends of a recording
MANIFEST = "synthesiser.json"


class Digits(NamedTuple):
    """Clips in memory; one word each, in the middle, silence around it."""

    pcm: np.ndarray  # [M, T] int16
    digit: np.ndarray  # [M] int32
    speaker: np.ndarray  # [M] str
    sample_rate: int  # Hz
    source: str  # where they come from, for people
    skipped: tuple[Skipped, ...] = ()

    def split(self, name: str) -> "Digits":
        """The clips of the speakers that belong to "train", "valid" or "test", by the hash of a speaker's name."""
        assigned = assign_splits(self.speaker.tolist())
        chosen = np.asarray([assigned[speaker] == name for speaker in self.speaker.tolist()])
        return self._replace(pcm=self.pcm[chosen], digit=self.digit[chosen], speaker=self.speaker[chosen])


def make_digits(
    folder: Path,
    *,
    synthesiser: Synthesiser,
    num_speakers: int,
    num_takes: int,
    seed: int,
    sample_rate: int,
    progress: bool = True,
) -> None:
    """Speaks `num_speakers * 10 * num_takes` digits into a new folder in FSDD layout: whole or not at all.

    Args:
        folder: where to; left alone when it is there.
        synthesiser: what speaks.
        num_speakers: three or more, so that each split has its own.
        num_takes: of each digit by each speaker.
        seed: of speakers and takes.
        sample_rate: Hz.
        progress: show a progress bar on stderr.

    Raises:
        UserError: too few or too many speakers or takes, or the disk refuses.
    """
    if folder.exists():
        return
    if num_speakers < len(SPLITS) or num_takes < 1:
        raise UserError(
            f"digits.num_speakers must be {len(SPLITS)} or more and digits.num_takes positive, "
            f"got {num_speakers} and {num_takes}"
        )
    people = synthesiser.speakers(num_speakers, seed)
    jobs = [(digit, speaker, take) for speaker in people for digit in range(10) for take in range(num_takes)]
    with whole_folder(folder) as scratch:

        def speak(job: tuple[int, Any, int]) -> None:
            digit, speaker, take = job
            audio = synthesiser.say(digit, speaker, take, seed, sample_rate)
            write_audio(scratch / f"{digit}_{speaker.name}_{take}.wav", audio, sample_rate, subtype="PCM_16")

        with progress_bar(f"speaking digits ({synthesiser.name})", len(jobs), progress) as advance:
            for _ in map_in_threads(speak, jobs):
                advance()
        manifest = {"synthesiser": synthesiser.name, "version": synthesiser.version(), "seed": seed}
        write_json(scratch / MANIFEST, manifest | {"speakers": [speaker._asdict() for speaker in people]})


def open_digits(
    folder: str,
    *,
    sample_rate: int,
    clip_samples: int,
    synthesiser: str,
    num_speakers: int,
    num_takes: int,
    seed: int,
    cache: Path,
    progress: bool = True,
) -> Digits:
    """Digits of a folder, or, where none is given, those that dafxvae makes (once; they are kept in the cache).

    Args:
        folder: `{digit}_{speaker}_{index}.wav`, as FSDD and AudioMNIST have it, in any depth and of any rate; or "".
        sample_rate: Hz.
        clip_samples: T.
        synthesiser: see `choose_synthesiser`; it and what follows count only without a folder.
        num_speakers, num_takes, seed: see `make_digits`.
        cache: folder of prepared corpora.
        progress: show a progress bar on stderr.

    Raises:
        UserError: no such folder, another layout, fewer than three speakers, or bad values.
    """
    if folder:
        return load_digits(user_path(folder), f"folder {folder}", sample_rate, clip_samples)
    chosen = choose_synthesiser(synthesiser)
    made = cache / f"digits-{chosen.name}-{chosen.version()}-seed{seed}-{sample_rate}hz-{num_speakers}x{num_takes}"
    make_digits(
        made,
        synthesiser=chosen,
        num_speakers=num_speakers,
        num_takes=num_takes,
        seed=seed,
        sample_rate=sample_rate,
        progress=progress,
    )
    return load_digits(made, f"spoken by {chosen.title}", sample_rate, clip_samples)


def load_digits(folder: Path, source: str, sample_rate: int, clip_samples: int) -> Digits:
    """Reads a folder in FSDD layout; what cannot be used, or is longer than a clip, is in `.skipped`."""
    root = folder.resolve()
    layout = folder_layout(root, find_audio(root))
    if layout.name != DIGITS_LAYOUT:
        raise UserError(f"{folder} is no folder of spoken digits: its files must be named DIGIT_SPEAKER_INDEX.wav")

    def read(path: Path) -> tuple[np.ndarray, str]:
        header = read_header(path)
        if header["reason"]:
            return np.zeros(0, np.int16), header["reason"]
        audio, reason = decode(AudioFile(path.name, path, "", header["frames"], header["rate"], "", ""))
        if reason:
            return np.zeros(0, np.int16), reason
        word = trim(resample(to_channels(audio, 1), header["rate"], sample_rate)[:, 0], sample_rate)
        if len(word) > clip_samples:
            longest = clip_samples / sample_rate
            return word, f"lasts {len(word) / sample_rate:.2f} s without its silence, a clip {longest:.2f} s"
        return _centre(word, clip_samples), ""

    paths = [file.path for file in layout.files]
    skipped = [Skipped(path.relative_to(root).as_posix(), reason) for path, reason in layout.left_out]
    clips, digits, speakers = [], [], []
    for file, (pcm, reason) in zip(layout.files, map_in_threads(read, paths)):
        if reason:
            skipped.append(Skipped(file.path.relative_to(root).as_posix(), reason))
            continue
        clips.append(pcm)
        digits.append(int(file.path.name[0]))
        speakers.append(file.group)
    if len(set(speakers)) < len(SPLITS):
        reasons = "".join(f"; {item.path}: {item.reason}" for item in skipped[:3])
        raise UserError(
            f"{folder} holds usable digits of {len(set(speakers))} speakers: training, validation and test "
            f"need one each{reasons}"
        )
    return Digits(
        np.stack(clips), np.asarray(digits, np.int32), np.asarray(speakers), sample_rate, source, tuple(skipped)
    )


def trim(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """A word without the silence before and after it; `[T] -> [T']`."""
    block = round(BLOCK_SEC * sample_rate)
    blocks = np.abs(np.pad(audio, (0, -len(audio) % block))).reshape(-1, block).max(1)
    loud = np.flatnonzero(blocks > blocks.max() * 10.0 ** (SILENCE_DB / 20.0))
    return audio[loud[0] * block : (loud[-1] + 1) * block]


def _centre(word: np.ndarray, clip_samples: int) -> np.ndarray:
    """A word in the middle of a clip at the common peak, int16."""
    before = (clip_samples - len(word)) // 2
    level = word * (PEAK * 32767.0 / np.abs(word).max())
    return np.pad(np.round(level).astype(np.int16), (before, clip_samples - len(word) - before))


def batch_of(digits: Digits, rows: np.ndarray, items: np.ndarray, shifts: np.ndarray | None = None) -> DigitBatch:
    """Clips as a batch.

    Args:
        digits: the clips.
        rows: which ones, `[B]`; -1 pads with an example that does not count.
        items: global indices `[B]`.
        shifts: samples by which each clip is moved, `[B]`; what leaves on one side is lost, silence comes in.
    """
    pcm = digits.pcm[rows]
    if shifts is not None:
        pcm = np.stack([_shifted(clip, int(shift)) for clip, shift in zip(pcm, shifts)])
    audio = (pcm.astype(np.float32) / np.float32(32768.0))[..., None]
    return DigitBatch(audio, digits.digit[rows], (rows >= 0).astype(np.float32), items.astype(np.int64))


def _shifted(clip: np.ndarray, shift: int) -> np.ndarray:
    padded = np.pad(clip, (max(shift, 0), max(-shift, 0)))
    return padded[: len(clip)] if shift >= 0 else padded[-len(clip) :]


def train_batches(digits: Digits, *, batch_size: int, max_shift: int, seed: int, start: int) -> Iterator[DigitBatch]:
    """Batches without end from step `start` on, each a pure function of (seed, step).

    Args:
        digits: the training split.
        batch_size: B.
        max_shift: clips are moved by up to so many samples either way.
        seed: of the run.
        start: first step.
    """
    step = start
    while True:
        rng = host_rng(seed, "digits/train", step)
        rows = rng.integers(len(digits.digit), size=batch_size)
        shifts = rng.integers(-max_shift, max_shift + 1, size=batch_size)
        yield batch_of(digits, rows, step * batch_size + np.arange(batch_size), shifts)
        step += 1


def fixed_batches(digits: Digits, batch_size: int) -> list[DigitBatch]:
    """All clips in order in batches of one size; the last one is filled with examples that do not count."""
    rows = np.arange(-(-len(digits.digit) // batch_size) * batch_size)
    rows = np.where(rows < len(digits.digit), rows, -1).reshape(-1, batch_size)
    return [batch_of(digits, part, part) for part in rows]
