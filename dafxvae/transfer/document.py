"""Files next to the output: settings as JSON (read back by `--apply`), the script, plugin states."""

import hashlib
import json
import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dafxvae.core.errors import UserError
from dafxvae.core.files import write_text
from dafxvae.core.paths import user_path
from dafxvae.core.version import __version__
from dafxvae.effects.chain import Chain
from dafxvae.effects.parameters import ParameterSpace
from dafxvae.effects.response import HEARD_DB

if TYPE_CHECKING:  # they import jax, which applying stored settings does without
    from dafxvae.transfer.results import Options, Outcome

FORMAT = 1
KIND = "dafxvae transfer"
LONGEST_TAIL_SEC = 60.0
HASHED_BYTES = 1 << 20  # of the beginning of a file: enough to tell files apart without reading an hour of audio


class Paths(NamedTuple):
    """The files next to an output."""

    settings: Path
    script: Path
    picture: Path
    page: Path

    @classmethod
    def next_to(cls, output: Path) -> "Paths":
        return cls(*(output.with_name(output.name + suffix) for suffix in (".settings.json", ".py", ".png", ".html")))


def utf8_name(path: Path) -> str:
    """The name of a file as UTF-8 has it, whatever the locale; bytes that are none are escaped."""
    return os.fsencode(path).decode("utf-8", "surrogateescape")


def identity(path: Path) -> dict[str, Any]:
    """Name and size of a file, and the SHA-256 of its first MiB."""
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(HASHED_BYTES)).hexdigest()
    return {"file": utf8_name(path), "bytes": path.stat().st_size, "sha256_of_first_mib": digest}


def with_units(
    space: ParameterSpace, unit_params: np.ndarray, moves_db: np.ndarray | None = None
) -> dict[str, dict[str, Any]]:
    """Name to value and unit, and to how much the parameter can move the sound where that is known."""
    values = space.describe(unit_params)
    found = {parameter.name: {"value": values[parameter.name], "unit": parameter.unit} for parameter in space}
    for entry, moves in zip(found.values(), () if moves_db is None else moves_db.tolist()):
        entry |= {"moves_db": round(moves, 2), "heard": moves >= HEARD_DB}
    return found


def state_name(output: Path, index: int, label: str) -> str:
    """File name of a plugin's state."""
    return f"{output.name}.{index}.{re.sub(r'[^A-Za-z0-9_-]+', '_', label)}.vst3state"


def outcome_document(chain: Chain, outcome: "Outcome") -> dict[str, Any]:
    """The settings and what they do, as plain data; of files and recordings alike."""
    match = outcome.match
    return {
        "effect": chain.name,
        "settings": with_units(chain.parameters, match.unit_params, outcome.moves_db),
        "gain_db": outcome.level.gain_db,
        "predicted": match.predicted,
        "locked": match.locked,
        "refined": match.refined,
        "compared": [
            {
                "windows": one.num_windows,
                "lufs": one.loudness if np.isfinite(one.loudness) else None,
                "weight": one.weight,
                "aspect": one.aspect,
            }
            for one in outcome.compared
        ],
        "fit": outcome.fit.document(),
        "kept_take": outcome.kept_take,
        "notes": list(outcome.notes),
    }


def settings_document(
    chain: Chain,
    outcome: "Outcome",
    options: "Options",
    controller: str | None,
    source: Path,
    references: Sequence[Path],
    output: Path,
) -> dict[str, Any]:
    """The settings and how they came about, as plain data."""
    return {
        "kind": KIND,
        "format": FORMAT,
        **outcome_document(chain, outcome),
        "match_level": options.match_level,
        "amount": outcome.match.amount,
        "amount_of": {str(name): amount for name, amount in options.amount_of.items()},
        "only": list(options.only),
        "max_eq_db": options.max_eq_db,
        "ceiling_db": options.ceiling_db,
        "stereo": options.stereo,
        "controller": controller,
        "input": identity(source),
        "references": [identity(path) for path in references],
        "output": {
            "file": utf8_name(output),
            "samples": outcome.rendered.frames,
            "sample_rate": outcome.rendered.sample_rate,
        },
        "plugin_states": [state_name(output, i, label) for i, (label, _) in enumerate(outcome.rendered.states)],
        "versions": {
            "dafxvae": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("pedalboard", "numpy")},
        },
        "exact": {  # what --apply needs to the bit
            "unit_params": [float(value) for value in outcome.match.unit_params],
            "factor": float(outcome.level.factor),
            "max_tail_sec": options.max_tail_sec,
        },
    }


class StoredTransfer(NamedTuple):
    """What `--apply` and exports take from a settings file."""

    effect: str
    settings: dict[str, dict[str, Any]]
    unit_params: np.ndarray
    factor: np.float32
    max_tail_sec: float
    ceiling_db: float | None
    stereo: bool
    take: dict[str, Any]  # as `identity` says it
    references: list[dict[str, Any]]
    output: dict[str, Any]  # file, samples, sample_rate


def write_document(path: Path, content: dict[str, Any]) -> None:
    """Writes the settings file."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_document(path: Path) -> StoredTransfer:
    """Reads a settings file.

    Raises:
        UserError: missing, no JSON, not one that dafxvae wrote, or of a take that was kept as it is.
    """
    try:
        content = json.loads(user_path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the settings {path}: {error.strerror or error}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not JSON ({error}): give an OUT.settings.json of a transfer") from error
    if not isinstance(content, dict) or content.get("kind") != KIND or content.get("format") != FORMAT:
        raise UserError(f"{path} is not the settings file of a transfer: give an OUT.settings.json that dafxvae wrote")
    if content.get("kept_take"):  # absent in files of earlier versions
        raise UserError(f"{path}: --only-if-better kept the take, without the effect; transfer again without it")
    try:
        exact = content["exact"]
        stored = StoredTransfer(
            content["effect"],
            content["settings"],
            np.array(exact["unit_params"], np.float32),
            np.float32(exact["factor"]),
            float(exact["max_tail_sec"]),
            None if content.get("ceiling_db") is None else float(content["ceiling_db"]),  # a version had none
            bool(content.get("stereo", False)),
            content.get("input", {}),
            content.get("references", []),
            content.get("output", {}),
        )
        numbers = [*stored.unit_params, stored.factor, stored.max_tail_sec, stored.ceiling_db or 0.0]
        if not np.isfinite(numbers).all() or stored.factor <= 0 or not 0 <= stored.max_tail_sec <= LONGEST_TAIL_SEC:
            raise ValueError("numbers that a transfer can have had")
        return stored
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} lacks {error}: it was edited by hand or cut off; transfer again") from error
