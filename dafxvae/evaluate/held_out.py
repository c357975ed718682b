"""Held-out recordings by name, with a check of their length."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from dafxvae.config import Config
from dafxvae.core.errors import UserError, unknown_name
from dafxvae.core.files import read_json, stored_file
from dafxvae.core.paths import stored_data, user_path
from dafxvae.data.corpora.corpus import Corpus, open_corpus
from dafxvae.data.corpora.layouts import MANIFEST

EMBEDDED = "embedded"  # the test split of the corpus that dafxvae renders itself


class HeldOut(NamedTuple):
    """A held-out corpus: its name, its folder, and whether it is speech."""

    name: str  # as it is written in tables
    folder: Path | None  # None for the embedded corpus
    is_speech: bool


def _kind(folder: Path) -> str:
    path = folder / MANIFEST
    if not path.is_file():
        return ""
    with stored_file(path, "mend or delete it"):
        return str(read_json(path).get("kind", ""))


def find_corpus(name: str) -> HeldOut:
    """A corpus by its name in the data folder's `held_out`, by a folder, or "embedded".

    Speech is what the folder's `corpus.json` calls so (`"kind": "speech"`).

    Raises:
        UserError: there is none; with the nearest names.
    """
    if name == EMBEDDED:
        return HeldOut(EMBEDDED, None, False)
    root = stored_data("held_out")
    fetched = {path.name: path for path in sorted(root.iterdir()) if path.is_dir()} if root is not None else {}
    if name in fetched:
        return HeldOut(name, fetched[name], _kind(fetched[name]) == "speech")
    folder = user_path(name)
    if folder.is_dir():
        return HeldOut(folder.resolve().name, folder, _kind(folder) == "speech")
    raise unknown_name("corpus or folder", name, [EMBEDDED, *fetched])


def held_out_of_kind(kind: str) -> list[str]:
    """Names of the fetched corpora of a kind, e.g. "masters"."""
    root = stored_data("held_out")
    return sorted(path.name for path in root.iterdir() if path.is_dir() and _kind(path) == kind) if root else []


def open_held_out(held_out: HeldOut, config: Config) -> Corpus:
    """The recordings at a controller's sample rate and channels.

    Args:
        held_out: where they are.
        config: of the controller; the embedded corpus is its own, of which it was trained on other splits.
    """
    corpus = open_corpus(
        folder=str(held_out.folder) if held_out.folder else None,
        sample_rate=config.sample_rate,
        num_channels=config.num_channels,
        minutes=config.data.minutes,
        seed=config.seed,
    )
    return corpus if held_out.folder else corpus.split("test")


def digest(corpus: Corpus) -> str:
    """Of names and samples: equal exactly when the recordings are."""
    text = "\n".join(f"{track.name} {track.start} {track.frames} {track.sha256}" for track in corpus.tracks)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def long_enough(corpus: Corpus, clip_samples: int, mode: str) -> Corpus:
    """The recordings that hold a whole clip (two for another section of the same file).

    Raises:
        UserError: none does, or a single one where the reference comes from another file.
    """
    needed = 2 * clip_samples if mode == "other_section" else clip_samples
    tracks = tuple(track for track in corpus.tracks if track.frames >= needed)
    wanted = 2 if mode == "other_file" else 1
    if len(tracks) < wanted:
        seconds, rate = needed / corpus.sample_rate, corpus.sample_rate
        longest = max((track.frames for track in corpus.tracks), default=0) / rate
        raise UserError(
            f"corpus '{corpus.name}', mode {mode}: {len(tracks)} of {len(corpus.tracks)} recordings have {seconds:.2f} "
            f"s (the longest has {longest:.2f} s), {wanted} needed: give more audio, a smaller --clip-sec, or other "
            "--modes"
        )
    return replace(corpus, tracks=tracks)
