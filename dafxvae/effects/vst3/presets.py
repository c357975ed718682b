"""Presets of plugins: the settings that people use, around which a training draws."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from dafxvae.core.errors import UserError
from dafxvae.effects.chain import Chain
from dafxvae.effects.parameters import ParameterSpace, PresetBlock
from dafxvae.effects.pool import RenderPool, RenderWorker
from dafxvae.effects.units import RenderError
from dafxvae.effects.vst3.discovery import plugin_process
from dafxvae.effects.vst3.plugin import Vst3Unit

SUFFIXES = (".vstpreset", ".vst3state")


def with_presets(chain: Chain, folder: Path, pool: RenderPool) -> Chain:
    """A chain whose plugins draw settings around the presets of a folder that they take.

    Args:
        chain: with a plugin in it.
        folder: searched with all below it for `.vstpreset`, and for `.vst3state` of dafxvae's transfers.
        pool: of the chain.

    Raises:
        UserError: there is no preset, or no plugin of the chain takes any.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise UserError(f"no preset in {folder}: looked there and below for {', '.join(SUFFIXES)}")
    units, reasons = list(chain.units), list[str]()
    for place, unit in enumerate(units):
        if isinstance(unit, Vst3Unit):
            rows, refused = _read(unit, files, pool)
            reasons += refused
            if rows:
                space = ParameterSpace(unit.parameters.parameters, (PresetBlock(0, tuple(rows)),))
                units[place] = replace(unit, parameters=space)
    if units == list(chain.units):
        raise UserError(f"none of the {len(files)} presets in {folder} is of {chain.name}: {'; '.join(reasons[:2])}")
    return Chain(tuple(units))


def _read(unit: Vst3Unit, files: list[Path], pool: RenderPool) -> tuple[list[tuple[float, ...]], list[str]]:
    """The controlled settings in [0, 1] of each preset that a plugin takes, and why it does not take the others."""
    rows, refused = list[tuple[float, ...]](), list[str]()

    def task(worker: RenderWorker) -> None:
        for file in files:
            try:
                raw = plugin_process(worker).read_preset(unit.path, unit.spec.plugin, str(file))
            except RenderError as error:
                refused.append(f"{unit.label} {error}")
                continue
            rows.append(_settings(unit, raw))

    pool.run([task])
    return rows, refused


def _settings(unit: Vst3Unit, raw: dict[str, float]) -> tuple[float, ...]:
    space = unit.parameters
    physical = np.array([parameter.default for parameter in space], np.float64)
    for entry in unit.layout:
        if entry.index >= 0 and entry.name in raw:
            physical[entry.index] = entry.convert.from_raw(raw[entry.name])
    low, high = (np.array([getattr(p, end) for p in space], np.float64) for end in ("minimum", "maximum"))
    return tuple(space.to_unit(np.clip(physical, low, high)).tolist())
