"""Files of calibrations: the user's in the data folder, those of the built-ins in the package."""

import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dafxvae.core.files import read_json, stored_file, write_text
from dafxvae.core.paths import data_dir
from dafxvae.effects.builtins import BUILTINS
from dafxvae.effects.chain import Unit
from dafxvae.effects.factory import ChainHost, open_host
from dafxvae.gradients.measure.calibration import VERSION, Calibration, calibrate, level_for
from dafxvae.gradients.measure.problems import Sampling

SHIPPED = Path(__file__).with_name("builtins.json")


def calibration_path(effect: str) -> Path:
    """Where the user's calibration of an effect (its canonical short form) is kept."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", effect).strip("-")[:60]
    short = hashlib.sha256(effect.encode(errors="surrogateescape")).hexdigest()[:8]
    return data_dir() / "calibration" / f"{slug}-{short}.json"


def save_calibration(calibration: Calibration) -> Path:
    """Writes it to the user's data folder."""
    path = calibration_path(calibration.effect)
    write_text(path, json.dumps(asdict(calibration), indent=1) + "\n")
    return path


def load_calibration(host: ChainHost) -> Calibration | None:
    """Finds a calibration of an effect: the user's, else the shipped one, else its members' joined.

    A member, in turn, is known by its own name, or by that of the built-in that it is with other choices of controlled
    and fixed parameters (`Reverb(width=0.5)` by `Reverb`): the ranges are the same.

    Returns:
        None when nothing is known, not even of one member.

    Raises:
        UserError: a file of the user's cannot be read as a calibration.
    """
    names, units = host.parameters.names, host.chain.units
    found = _lookup(host.name, names)
    if found is not None:
        return found
    members = [_of_unit(unit) for unit in units]
    known = [member for member in members if member is not None]
    if not known:
        return None
    parts = [member or _unmeasured(unit) for member, unit in zip(members, units)]
    rough = tuple(value for part in parts for value in part.roughness)
    counts = tuple(int(count) for count in host.parameters.num_values)
    return Calibration(
        host.name,
        names,
        tuple(step for part in parts for step in part.step_size),
        rough,
        counts,
        level_for(rough, counts),
        known[0].sample_rate,
        min(member.num_settings for member in known),
    )


def calibratable_builtins() -> list[str]:
    """Names of the built-ins that have a continuous parameter under control and need no file."""
    return [
        name
        for name, builtin in BUILTINS.items()
        if not builtin.resource and any(p.controlled and not p.is_discrete for p in builtin.parameters)
    ]


def calibrate_builtins(
    effects: Sequence[str], sampling: Sampling, path: Path = SHIPPED, progress: Callable[[str], None] = print
) -> dict[str, Calibration]:
    """Measures built-ins and writes them into the file that is shipped, effect by effect; others in it stay.

    Args:
        effects: names of built-ins.
        sampling: audio and number of settings.
        path: the file.
        progress: called with each name before it is measured.
    """
    found = _read_shipped(path) if path.exists() else {}
    for effect in effects:
        progress(effect)
        with open_host(effect) as host:
            measured = calibrate(host, sampling)
        rounded = tuple(float(f"{value:.3g}") for value in measured.roughness)
        found[effect] = replace(measured, roughness=rounded)
        write_text(path, format_shipped(found))
    return found


def format_shipped(calibrations: dict[str, Calibration]) -> str:
    """The text of the shipped file: JSON, an effect a line, sorted by name."""
    lines = [f"{json.dumps(name)}: {json.dumps(asdict(found))}" for name, found in sorted(calibrations.items())]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _read_shipped(path: Path) -> dict[str, Calibration]:
    return {name: _parse(fields) for name, fields in read_json(path).items()}


def _parse(stored: dict[str, Any]) -> Calibration:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
    return Calibration(**fields)


def _read_own(effect: str) -> Calibration | None:
    path = calibration_path(effect)
    if not path.exists():
        return None
    with stored_file(path, "delete it, or run calibrate again"):
        return _parse(read_json(path))


def _lookup(effect: str, names: Sequence[str]) -> Calibration | None:
    """The user's calibration by that name, else the shipped one, for the parameters `names`; None if they are others
    by now, or the file is of another version."""
    for found in (_read_own(effect), _read_shipped(SHIPPED).get(effect)):
        if found is not None and found.version == VERSION and set(names) <= set(found.names):
            at = [found.names.index(name) for name in names]
            per = ("step_size", "roughness", "num_values")
            parts: dict[str, Any] = {name: tuple(getattr(found, name)[k] for k in at) for name in per}
            level = level_for(parts["roughness"], parts["num_values"])
            return replace(found, names=tuple(names), level=level, **parts)
    return None


def _of_unit(unit: Unit) -> Calibration | None:
    names = unit.parameters.names
    return _lookup(str(unit.spec), names) or (None if unit.spec.is_vst3 else _lookup(unit.spec.name, names))


def _unmeasured(unit: Unit) -> Calibration:
    counts = tuple(int(count) for count in unit.parameters.num_values)
    unknown = tuple(0.0 if count else math.nan for count in counts)
    return Calibration(
        str(unit.spec), unit.parameters.names, unknown, unknown, counts, level_for(unknown, counts), 0, 0
    )
