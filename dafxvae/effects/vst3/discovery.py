"""A VST3 plugin as a unit of a chain: find the file, read its parameters in a plugin process."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from dafxvae.core.errors import UserError, unknown_name
from dafxvae.effects.builtins import NYQUIST_SHARE
from dafxvae.effects.pool import RenderPool, RenderWorker
from dafxvae.effects.spec import EffectSpec
from dafxvae.effects.units import RenderError, choose
from dafxvae.effects.vst3.parameters import RawParameter, Vst3Parameter, interpret
from dafxvae.effects.vst3.plugin import Method, RawSetting, Vst3Unit
from dafxvae.effects.vst3.process import PluginProcess


def standard_folders() -> Iterator[str]:
    """Where VST3 plugins live: $VST3_PATH, then the folders of the VST3 standard."""
    yield from filter(None, os.environ.get("VST3_PATH", "").split(os.pathsep))
    home = os.path.expanduser("~")
    yield from (
        os.path.join(home, ".vst3"),
        "/usr/local/lib/vst3",
        "/usr/lib/vst3",
        os.path.join(home, "Library/Audio/Plug-Ins/VST3"),
        "/Library/Audio/Plug-Ins/VST3",
        os.path.join(os.environ.get("COMMONPROGRAMFILES", "/nonexistent"), "VST3"),
    )


def installed_vst3() -> list[str]:
    """The .vst3 files of the standard folders."""
    found = [path for folder in standard_folders() if Path(folder).is_dir() for path in Path(folder).rglob("*.vst3")]
    return sorted({str(path) for path in found if not any(p.suffix == ".vst3" for p in path.parents)})


def find_file(name: str) -> str:
    """The path of a .vst3, as given or in a standard folder.

    Raises:
        UserError: there is none; with the nearest names.
    """
    if os.path.exists(name):
        return os.path.abspath(name)
    for folder in standard_folders():
        if not os.path.isabs(name) and os.path.exists(os.path.join(folder, name)):
            return os.path.join(folder, name)
    folder = Path(name).parent
    siblings = [str(path) for path in folder.glob("*.vst3")] if folder.is_dir() else []
    known = [*siblings, *(os.path.basename(path) for path in installed_vst3())]
    raise unknown_name("VST3 file", name, known)


def plugin_process(worker: RenderWorker) -> PluginProcess:
    """The plugin process of a pool thread, made when first needed."""
    if worker.resource is None:
        worker.resource = PluginProcess(worker.limits)
    return worker.resource


def make_vst3(spec: EffectSpec, pool: RenderPool) -> Vst3Unit:
    """Loads a plugin in a process of the pool, reads its parameters, and finds out how to render it purely.

    Raises:
        UserError: no such file, plugin, parameter or value; or the plugin crashes or hangs while it is loaded.
    """
    path = find_file(spec.name)
    about = describe_vst3(path, spec.plugin, pool)
    raws: tuple[RawParameter, ...] = about["raw"]
    views = {raw.name: interpret(raw) for raw in raws if raw.is_controllable}
    given = dict(spec.fixed)
    parameters, constants = choose(spec, [view.parameter for view in views.values()], given)
    fixed = {parameter.name: views[parameter.name].to_raw(value) for parameter, value in constants}
    unit = Vst3Unit(
        spec,
        path,
        parameters,
        layout=tuple(_layout(views, parameters.names, fixed, given)),
        channels=about["channels"],
        latency_samples=about["latency_samples"],
        category=about["category"],
    )
    method, residual = find_method(unit, pool)
    return replace(unit, method=method, residual=residual)


def _layout(
    views: dict[str, Vst3Parameter], names: tuple[str, ...], fixed: dict[str, float], given: dict[str, Any]
) -> Iterator[RawSetting]:
    """What is set before every render: all that can be, so that nothing is left over; programs first."""
    for view in sorted(views.values(), key=lambda view: not view.raw.is_program):
        name = view.raw.name
        if name in names:
            share = NYQUIST_SHARE if view.parameter.nyquist_limited else 0.0
            yield RawSetting(name, names.index(name), 0.0, view, share)
        elif name in given:
            yield RawSetting(name, -1, fixed[name])
        elif not view.raw.is_program:  # a program that nobody asked for stays as loaded: setting it moves other knobs
            yield RawSetting(name, -1, view.raw.default)


def describe_vst3(path: str, plugin: str | None, pool: RenderPool) -> dict[str, Any]:
    """The plugin's description: raw parameters, channels, latency, name, maker, version, category.

    Raises:
        UserError: it cannot be loaded, crashes or hangs.
    """
    result: list[dict[str, Any]] = []

    def task(worker: RenderWorker) -> None:
        result.append(plugin_process(worker).describe(path, plugin))

    try:
        pool.run([task])
    except RenderError as error:
        what = path if plugin is None else f"{path}::{plugin}"
        raise UserError(f"the plugin {what} {error}") from error
    return result[0]


def find_method(unit: Vst3Unit, pool: RenderPool) -> tuple[Method, float]:
    """The unit's method for pure renders, and the difference that it leaves; nan if the plugin fails in the check."""
    result: list[tuple[Method, float]] = []

    def task(worker: RenderWorker) -> None:
        try:
            result.append(plugin_process(worker).find_method(unit))
        except RenderError:
            result.append(("reset", float("nan")))  # renders will fail likewise, be recorded, and stop a run in the end

    pool.run([task])
    return result[0]
