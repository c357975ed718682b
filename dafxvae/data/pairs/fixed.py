"""Held-out pairs, drawn once and stored, so that every run and version scores the same ones."""

from pathlib import Path
from typing import Any

import numpy as np

from dafxvae.core.differences import check_same
from dafxvae.core.errors import UserError
from dafxvae.core.files import read_json, stored_file, write_json
from dafxvae.data.corpora.tracks import Corpus, PcmCache
from dafxvae.data.pairs.bank import Bank
from dafxvae.data.pairs.clips import Clip
from dafxvae.data.pairs.draws import Draw, PairMaker, PairOptions, make_cutter
from dafxvae.types import PairBatch

FORMAT = 1
CLIP_NUMBERS = ("start", "gain", "semitones", "tempo")
CHUNK = 8  # pairs rendered at once


def fixed_pairs(
    corpus: Corpus,
    bank: Bank,
    *,
    clip_samples: int,
    num_pairs: int,
    seed: int,
    mode: str = "other_file",
    path: Path | None = None,
    options: PairOptions | None = None,
    cache: PcmCache | None = None,
    stream: str = "fixed",
) -> PairBatch:
    """A fixed set of pairs for validation or test.

    Args:
        corpus: the held-out split.
        bank: the effects.
        clip_samples: T.
        num_pairs: B.
        seed: of the set.
        mode: as for `make_pairs`.
        path: JSON file with the settings, offsets, levels and hashes of the audio; made at the first call, read at
            every later one. None draws the pairs anew from the seed.
        options: as for `make_pairs`.
        cache: decoded files.
        stream: name of the random stream.

    Returns:
        All pairs as one batch.

    Raises:
        UserError: the stored pairs are for other arguments, or the audio that they were made of has changed.
    """
    options = options or PairOptions()
    cutter = make_cutter(corpus, clip_samples, options, cache)
    maker = PairMaker(cutter, bank, seed=seed, stream=stream, mode=mode, options=options)
    items = np.arange(num_pairs, dtype=np.int64)
    header = {
        "format": FORMAT,
        "sample_rate": corpus.sample_rate,
        "num_channels": corpus.num_channels,
        "clip_samples": clip_samples,
        "num_pairs": num_pairs,
        "seed": seed,
        "mode": mode,
        "effects": list(bank.names),
    }
    if path is not None and path.exists():
        draws = _load(path, header, corpus, bank)
        return _join([maker.render(draws[i : i + CHUNK], items[i : i + CHUNK]) for i in range(0, num_pairs, CHUNK)])
    made = [maker.make(items[i : i + CHUNK]) for i in range(0, num_pairs, CHUNK)]
    if path is not None:
        draws = [draw for _, chunk in made for draw in chunk]
        write_json(path, header | {"pairs": [_to_json(draw, corpus, bank) for draw in draws]})
    return _join([batch for batch, _ in made])


def _join(batches: list[PairBatch]) -> PairBatch:
    return PairBatch(*(np.concatenate(parts) for parts in zip(*batches)))


def _clip_json(clip: Clip, corpus: Corpus) -> dict[str, Any]:
    track = corpus.tracks[clip.track]
    stored = {"track": track.name, "sha256": track.sha256} | {key: getattr(clip, key) for key in CLIP_NUMBERS}
    return stored if clip.mastering is None else stored | {"mastering": clip.mastering}


def _settings_json(bank: Bank, effect: int, unit_params: np.ndarray) -> dict[str, Any]:
    return {"effect": bank.names[effect], "unit_params": [float(value) for value in unit_params[bank.columns(effect)]]}


def _to_json(draw: Draw, corpus: Corpus, bank: Bank) -> dict[str, Any]:
    pair = {"dry": _clip_json(draw.dry, corpus), "reference": _clip_json(draw.reference, corpus)}
    pair |= _settings_json(bank, draw.effect, draw.unit_params)
    return pair | {
        "style": _settings_json(bank, *draw.style) if draw.style is not None else None,
        "untouched": draw.untouched,
    }


def _load(path: Path, header: dict[str, Any], corpus: Corpus, bank: Bank) -> list[Draw]:
    fix = "delete it to draw new ones"
    with stored_file(path, fix):
        stored = read_json(path)
        pairs, theirs = stored["pairs"], {key: stored.get(key) for key in header}
    check_same(header, theirs, f"{path} holds other pairs", fix)
    tracks = {track.name: index for index, track in enumerate(corpus.tracks)}

    def clip(entry: dict[str, Any]) -> Clip:
        index = tracks.get(entry["track"])
        if index is None:
            raise UserError(f"{path} needs the recording '{entry['track']}', which corpus '{corpus.name}' lacks")
        if corpus.tracks[index].sha256 != entry["sha256"]:
            raise UserError(f"the recording '{entry['track']}' is not the one that {path} was made of: delete the file")
        return Clip(index, *(entry[key] for key in CLIP_NUMBERS), mastering=entry.get("mastering"))

    def settings(entry: dict[str, Any]) -> tuple[int, np.ndarray, np.ndarray]:
        effect = bank.names.index(entry["effect"])
        where, values, mask = bank.columns(effect), *np.zeros((2, bank.num_params), np.float32)
        if len(entry["unit_params"]) != len(where):
            raise UserError(
                f"{path}: {entry['effect']} had {len(entry['unit_params'])} parameters then: delete the file"
            )
        values[where], mask[where] = entry["unit_params"], 1.0
        return effect, values, mask

    return [
        Draw(
            clip(pair["dry"]),
            clip(pair["reference"]),
            *settings(pair),
            settings(pair["style"])[:2] if pair["style"] else None,
            pair["untouched"],
        )
        for pair in pairs
    ]
