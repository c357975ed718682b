"""Tracks of a prepared corpus: FLAC files of one rate and channel count, split by song or speaker."""

import dataclasses
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dafxvae.audio.io import read_pcm16
from dafxvae.core.errors import UserError

SPLITS = ("train", "valid", "test")
HELD_OUT_SHARE = 0.1  # of the groups, for valid and for test each


class Skipped(NamedTuple):
    """A file that could not be used, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Track:
    """A stretch of audio that clips are cut from: one recording, or short ones of one speaker joined."""

    name: str  # unique in its corpus, the same on every machine
    path: Path  # FLAC, 16 bit, at the corpus's rate and channels
    start: int  # first frame of the file that belongs to the track
    frames: int
    group: str  # song or speaker: never in two splits
    rms_db: float  # dBFS
    sha256: str  # of the samples of the whole file
    sources: tuple[str, ...]  # files (or titles) that it was made of
    licence: str = ""
    official_split: str = ""  # the split that the data set's authors put it in, if they did


@dataclass(frozen=True)
class Corpus:
    """Tracks ready for use, and the files that could not be used."""

    name: str
    sample_rate: int  # Hz
    num_channels: int
    tracks: tuple[Track, ...]
    skipped: tuple[Skipped, ...] = ()

    @property
    def minutes(self) -> float:
        return sum(track.frames for track in self.tracks) / self.sample_rate / 60.0

    @property
    def split_by(self) -> str:
        """What the splits keep apart: "official", "group", "track" (fewer than three groups) or "time" (fewer than
        three tracks: train, valid and test are stretches of the same recordings)."""
        official = {track.official_split for track in self.tracks} - {""}
        if "train" in official:
            return "official"
        if len({track.group for track in self.tracks}) >= len(SPLITS):
            return "group"
        return "track" if len(self.tracks) >= len(SPLITS) else "time"

    def split(self, name: str) -> "Corpus":
        """The part of the corpus for training, validation or test.

        Groups (songs, speakers) go to a split whole, by a hash of their name: deterministic, and stable when tracks
        are added. At least one group is in each split. See `split_by` for corpora too small for that.

        Args:
            name: "train", "valid" or "test".
        """
        if name not in SPLITS:
            raise UserError(f"no split '{name}': use one of {', '.join(SPLITS)}")
        by = self.split_by
        if by == "time":
            tracks = [_time_section(track, name) for track in self.tracks]
            return dataclasses.replace(self, name=f"{self.name}/{name}", tracks=tuple(tracks))
        if by == "official":
            assigned = _official_splits(self.tracks)
        else:
            assigned = assign_splits({track.group if by == "group" else track.name for track in self.tracks})
        chosen = tuple(
            track
            for track in self.tracks
            if assigned[track.name if by in ("official", "track") else track.group] == name
        )
        return dataclasses.replace(self, name=f"{self.name}/{name}", tracks=chosen)


def _unit_hash(text: str) -> float:
    """A stable number in [0, 1) for a name."""
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogateescape")).digest()[:7], "big") / 2.0**56


def assign_splits(groups: Iterable[str]) -> dict[str, str]:
    """Puts each group in a split by the hash of its name; each split gets at least one of three or more groups."""
    ranked = sorted(set(groups), key=lambda group: (_unit_hash(group), group))
    assigned = {}
    for group in ranked:
        position = _unit_hash(group)
        held_out = "test" if position < HELD_OUT_SHARE else "valid" if position < 2 * HELD_OUT_SHARE else "train"
        assigned[group] = held_out
    if len(ranked) < len(SPLITS):
        return assigned
    # By rank, the test groups come first and the training groups last, so each step leaves the others their own.
    for place, split in ((0, "test"), (-1, "train"), (1, "valid")):
        if split not in assigned.values():
            assigned[ranked[place]] = split
    return assigned


def _official_splits(tracks: Sequence[Track]) -> dict[str, str]:
    """Splits of the data set's authors by track name; what they did not hold out (often valid) comes by hash from
    the groups that they train on."""
    official = {track.name: track.official_split or "train" for track in tracks}
    present = set(official.values())
    spare = sorted(
        {t.group for t in tracks if official[t.name] == "train"}, key=lambda group: (_unit_hash(group), group)
    )
    for absent in [split for split in ("valid", "test") if split not in present]:
        if len(spare) < 2:
            break
        count = max(1, min(round(HELD_OUT_SHARE * len(spare)), len(spare) - 1))
        taken, spare = set(spare[:count]), spare[count:]
        official.update({t.name: absent for t in tracks if t.group in taken and official[t.name] == "train"})
    return official


def _time_section(track: Track, split: str) -> Track:
    """The first 80 % of a recording for training, then 10 % for valid, then 10 % for test."""
    valid_at, test_at = round(track.frames * (1 - 2 * HELD_OUT_SHARE)), round(track.frames * (1 - HELD_OUT_SHARE))
    first, last = {"train": (0, valid_at), "valid": (valid_at, test_at), "test": (test_at, track.frames)}[split]
    return dataclasses.replace(track, name=f"{track.name}#{split}", start=track.start + first, frames=last - first)


class PcmCache:
    """Decoded files as int16, the least recently used ones dropped above a bound; safe for threads."""

    def __init__(self, max_bytes: int = 1536 << 20):
        self._max_bytes = max_bytes
        self._files: OrderedDict[Path, np.ndarray] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def read(self, track: Track, start: int, frames: int) -> np.ndarray:
        """Cuts `frames` samples from `start` of a track: int16 `[frames, C]` or fewer at its end; a view."""
        stop = min(start + frames, track.frames)
        return self._file(track.path)[track.start + start : track.start + stop]

    @property
    def num_bytes(self) -> int:
        """Bytes of samples held."""
        return self._bytes

    def _file(self, path: Path) -> np.ndarray:
        with self._lock:
            found = self._files.get(path)
            if found is not None:
                self._files.move_to_end(path)
                return found
        pcm = read_pcm16(path)  # outside the lock: other threads go on
        with self._lock:
            if path not in self._files:
                self._files[path] = pcm
                self._bytes += pcm.nbytes
            while self._bytes > self._max_bytes and len(self._files) > 1:
                self._bytes -= self._files.popitem(last=False)[1].nbytes
        return pcm


def track_of(entry: dict[str, Any], folder: Path) -> Track:
    """A line of a store's index as a track."""
    return Track(
        name=entry["name"],
        path=folder / entry["file"],
        start=0,
        frames=entry["frames"],
        group=entry["group"],
        rms_db=entry["rms_db"],
        sha256=entry["sha256"],
        sources=tuple(entry["sources"]),
        licence=entry.get("licence", ""),
        official_split=entry.get("split", ""),
    )
