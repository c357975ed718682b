"""A folder of audio as a corpus: decoded, resampled and checked once, kept as FLAC in the cache."""

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dafxvae.audio.io import resample, to_channels, write_audio
from dafxvae.core.errors import UserError
from dafxvae.core.paths import user_path
from dafxvae.core.progress import progress_bar
from dafxvae.core.threads import map_in_threads
from dafxvae.data.composer.pieces import pcm_rms_db, pcm_sha256
from dafxvae.data.corpora.files import (
    SILENT_PEAK,
    AudioFile,
    content_digest,
    decode,
    file_stamp,
    find_audio,
    folder_layout,
    read_header,
)
from dafxvae.data.corpora.index import CorpusIndex
from dafxvae.data.corpora.layouts import Layout
from dafxvae.data.corpora.tracks import Corpus, Skipped, Track, track_of

STORE_VERSION = 2
SEGMENT_SEC = 300.0  # longer recordings become several tracks
SHORT_SEC = 15.0  # shorter ones of one speaker or song are joined
ALONE_SEC = 6.0  # from here on a file alone has clips enough
JOINED_SEC = 60.0
PEAK = 0.99


@dataclass(frozen=True)
class Unit:
    """What becomes one track: a stretch of one file, or several short files in a row."""

    sources: tuple[AudioFile, ...]
    start: int = 0
    frames: int = -1

    @property
    def key(self) -> str:
        text = "\n".join(f"{s.name}\t{s.stamp}\t{s.group}\t{s.split}\t{s.licence}" for s in self.sources)
        return hashlib.sha256(f"{text}\n{self.start}\t{self.frames}".encode(errors="surrogateescape")).hexdigest()[:20]

    @property
    def name(self) -> str:
        first = self.sources[0]
        if len(self.sources) > 1:
            return f"{first.name} and {len(self.sources) - 1} more"
        return first.name if self.start == 0 else f"{first.name}@{self.start / first.sample_rate:.0f}s"


def open_folder(
    folder: str | os.PathLike[str], *, sample_rate: int, num_channels: int, cache: Path, progress: bool = True
) -> Corpus:
    """A folder of audio as a corpus; what the cache lacks is prepared first, what cannot be used is in `.skipped`.

    Args:
        folder: any audio of any rate, mono or stereo, in any depth; known data sets are recognised by their layout.
        sample_rate: Hz to resample to.
        num_channels: 1 or 2.
        cache: folder of prepared corpora.
        progress: show a progress bar on stderr.

    Raises:
        UserError: nothing usable is in the folder, or the cache cannot be written.
    """
    root = user_path(folder).resolve()
    found = find_audio(root)
    short = hashlib.sha256(str(root).encode(errors="surrogateescape")).hexdigest()[:8]
    store = CorpusIndex(cache / f"folder-v{STORE_VERSION}-{root.name[:40]}-{short}-{sample_rate}hz-{num_channels}ch")
    with store.lock():
        index = _FileIndex(root, store)
        layout = folder_layout(root, found, lambda path: index.once("content", path, _content)["sha256"])
        skipped, units = _scan(root, layout, index)
        entries = _known(store)
        missing = [unit for unit in units if unit.key not in entries]
        prepare = _Preparer(store, sample_rate, num_channels)
        with progress_bar(f"preparing {root.name}", len(missing), progress) as advance:
            for entry in map_in_threads(prepare, missing):
                store.append(entry)
                entries[entry["key"]] = entry
                advance()
    used = [entries[unit.key] for unit in units]
    skipped += [Skipped(path, reason) for entry in used for path, reason in entry["skipped"]]
    tracks: dict[str, Track] = {}
    for entry in used:
        if "file" in entry:
            twin = tracks.setdefault(entry["sha256"], track_of(entry, store.folder))
            if twin.name != entry["name"]:
                skipped.append(Skipped(entry["name"], f"the same samples as {twin.name}"))
    if not tracks:
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in skipped[:3])
        raise UserError(f"nothing usable among the {len(skipped)} audio files below {root}: {reasons}")
    return Corpus(
        layout.name or root.name, sample_rate, num_channels, tuple(tracks.values()), tuple(sorted(set(skipped)))
    )


def _known(store: CorpusIndex) -> dict[str, dict[str, Any]]:
    entries = {}
    for entry in store.entries():
        if entry.get("kind") == "unit" and ("file" not in entry or (store.folder / entry["file"]).is_file()):
            entries[entry["key"]] = entry
    return entries


class _FileIndex:
    """What was found out about each file, kept in the index until the file changes."""

    def __init__(self, root: Path, store: CorpusIndex) -> None:
        self.root, self._store = root, store
        self._known = {(e["kind"], e["name"], e["stamp"]): e for e in store.entries() if "stamp" in e}

    def once(self, kind: str, path: Path, compute: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        """What `compute` gives for a file, with its "name" and "stamp"."""
        key = kind, path.relative_to(self.root).as_posix(), file_stamp(path)
        if key not in self._known:
            self._known[key] = dict(zip(("kind", "name", "stamp"), key)) | compute(path)
            self._store.append(self._known[key])
        return self._known[key]


def _content(path: Path) -> dict[str, Any]:
    return {"sha256": content_digest(path)}


def _scan(root: Path, layout: Layout, index: _FileIndex) -> tuple[list[Skipped], list[Unit]]:
    """Reads the headers and plans the tracks."""
    skipped, sources = [Skipped(str(path.relative_to(root)), reason) for path, reason in layout.left_out], []
    for item in layout.files:
        header = index.once("header", item.path, read_header)
        name, stamp, frames, rate = (header[key] for key in ("name", "stamp", "frames", "rate"))
        if header["reason"]:
            skipped.append(Skipped(name, header["reason"]))
        else:
            sources.append(AudioFile(name, item.path, stamp, frames, rate, item.group, item.split, item.licence))
    return skipped, plan_units(with_groups(sources))


def with_groups(sources: Sequence[AudioFile]) -> list[AudioFile]:
    """Files whose folder does not tell their group: a long one is a song of its own, short ones belong together.

    Short files are those of a speaker or session: of one folder, and of one name but for its last number
    (`anna_001.wav`). What is then alone is a song of its own, too, or, where it is too short for that, grouped with the
    others of its folder that are.
    """
    found = [source if source.group or _is_short(source) else replace(source, group=source.name) for source in sources]
    names = [re.sub(r"[-_ .]*\d+$", "", source.name.rpartition(".")[0]) for source in found]
    count = Counter(name for name, source in zip(names, found) if not source.group)
    for i, (name, source) in enumerate(zip(names, found)):
        if not source.group:
            is_usable = source.frames / source.sample_rate >= ALONE_SEC
            alone = source.name if is_usable else source.name.rpartition("/")[0] or "."
            found[i] = replace(source, group=name if count[name] > 1 else alone)
    return found


def _is_short(source: AudioFile) -> bool:
    return source.frames / source.sample_rate < SHORT_SEC


def plan_units(sources: Sequence[AudioFile]) -> list[Unit]:
    """Long files are cut, short ones of one group and split joined in order, the rest are tracks as they are."""
    units, short = [], defaultdict(list)
    for source in sources:
        length_sec = source.frames / source.sample_rate
        if _is_short(source):
            short[source.group, source.split].append(source)
        elif length_sec <= 1.5 * SEGMENT_SEC:
            units.append(Unit((source,)))
        else:
            segment = round(SEGMENT_SEC * source.sample_rate)
            for start in range(0, source.frames - segment // 4, segment):
                units.append(Unit((source,), start, segment))
    for group in short.values():
        row: list[AudioFile] = []
        for source in group:
            if row and sum(s.frames / s.sample_rate for s in row) + source.frames / source.sample_rate > JOINED_SEC:
                units.append(Unit(tuple(row)))
                row = []
            row.append(source)
        units.append(Unit(tuple(row)))
    return sorted(units, key=lambda unit: (unit.sources[0].name, unit.start))


@dataclass(frozen=True)
class _Preparer:
    store: CorpusIndex
    sample_rate: int
    num_channels: int

    def __call__(self, unit: Unit) -> dict[str, Any]:
        """Decodes, checks, resamples and stores one track; returns its line of the index."""
        pieces, used, skipped = [], [], []
        for source in unit.sources:
            audio, reason = decode(source, unit.start, unit.frames)
            if reason:
                where = "" if unit.start == 0 else f" (from {unit.start / source.sample_rate:.0f} s)"
                skipped.append((source.name, reason + where))
                continue
            audio = resample(to_channels(audio, self.num_channels), source.sample_rate, self.sample_rate)
            peak = float(np.abs(audio).max(initial=0.0))
            if peak < SILENT_PEAK:  # once mixed and without what lies above half of the rate
                skipped.append((source.name, f"silent in {self.num_channels} channels at {self.sample_rate} Hz"))
                continue
            pieces.append(audio * np.float32(min(1.0, PEAK / peak)))
            used.append(source.name)
        entry: dict[str, Any] = {"kind": "unit", "key": unit.key, "skipped": skipped}
        if not pieces:
            return entry
        pcm = np.round(np.concatenate(pieces) * np.float32(32767.0)).astype(np.int16)
        write_audio(self.store.folder / f"{unit.key}.flac", pcm, self.sample_rate, subtype="PCM_16")
        return entry | {
            "name": unit.name,
            "file": f"{unit.key}.flac",
            "frames": pcm.shape[0],
            "group": unit.sources[0].group,
            "split": unit.sources[0].split,
            "rms_db": round(pcm_rms_db(pcm), 2),
            "sha256": pcm_sha256(pcm),
            "sources": used,
            "licence": unit.sources[0].licence,
        }
