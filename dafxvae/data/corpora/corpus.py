"""`open_corpus`: the embedded corpus or a folder of the user's, prepared for training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from dafxvae.core.arguments import check_number
from dafxvae.core.errors import UserError
from dafxvae.core.paths import cache_dir, user_path
from dafxvae.core.rng import LARGEST_SEED
from dafxvae.data.corpora.tracks import Corpus, PcmCache, Skipped, Track

__all__ = ["Corpus", "PcmCache", "Skipped", "Track", "open_corpus"]

MIN_RATE, MAX_RATE = 8000, 192000


def open_corpus(
    *,
    folder: str | None,
    sample_rate: int,
    num_channels: int,
    minutes: float,
    seed: int,
    with_embedded: bool = False,
    cache: Path | None = None,
    progress: bool = True,
) -> Corpus:
    """Opens a corpus; whatever of it is not in the cache yet is rendered or decoded first, with a progress bar.

    Safe to kill at any moment and to call from two processes at once; calling it again does only what is missing.

    Args:
        folder: audio of the user's, used whole; None for the embedded corpus, which needs no download.
        with_embedded: a folder and the embedded corpus together.
        sample_rate: Hz.
        num_channels: 1 or 2.
        minutes: of the embedded corpus (a folder alone ignores it); more minutes later keep what is there.
        seed: of the embedded corpus.
        cache: where prepared corpora are kept; None for `dafxvae.core.paths.cache_dir()`.
        progress: show progress on stderr.

    Returns:
        The corpus; `.skipped` lists the files of the folder that could not be used.

    Raises:
        UserError: a bad value, an empty folder, nothing usable in it, or a full disk.
    """
    if num_channels not in (1, 2):
        raise UserError(f"num_channels must be 1 or 2, got {num_channels}")
    check_number(sample_rate, "sample_rate", MIN_RATE, MAX_RATE)
    check_number(seed, "seed", 0, LARGEST_SEED)
    place = (cache_dir() if cache is None else user_path(cache)) / "corpora"
    opened = []
    form: dict[str, Any] = {"sample_rate": sample_rate, "num_channels": num_channels, "cache": place}
    if folder:
        from dafxvae.data.corpora.folder import open_folder

        opened.append(open_folder(folder, **form, progress=progress))
    if not folder or with_embedded:
        from dafxvae.data.composer.embedded import open_embedded

        opened.append(open_embedded(**form, minutes=minutes, seed=seed, progress=progress))
    return opened[0] if len(opened) == 1 else _joined(opened)


def _joined(corpora: list[Corpus]) -> Corpus:
    """Corpora as one; groups keep their names, and with them the split that they are in."""
    tracks = [replace(track, name=f"{corpus.name}/{track.name}") for corpus in corpora for track in corpus.tracks]
    return replace(
        corpora[0],
        name="+".join(corpus.name for corpus in corpora),
        tracks=tuple(tracks),
        skipped=tuple(skipped for corpus in corpora for skipped in corpus.skipped),
    )
