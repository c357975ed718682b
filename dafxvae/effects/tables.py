"""Tables of effects for the command line, and the same as plain data for JSON."""

import itertools
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from dafxvae.effects.builtins import BUILTINS
from dafxvae.effects.chain import Chain
from dafxvae.effects.check import CheckReport
from dafxvae.effects.host import EffectHost
from dafxvae.effects.parameters import Parameter, ParameterSpace
from dafxvae.effects.probe_signal import NOISE_DBFS, TONES_HZ
from dafxvae.effects.response import HEARD_DB, MODULATION_HZ, NUM_BANDS, Response, band_centres_hz
from dafxvae.effects.vst3.plugin import Vst3Unit


def builtin_table() -> Table:
    """All built-ins with their parameters."""
    table = Table("effect", "parameters (fixed by default in brackets)", "note", title="Pedalboard's built-in effects")
    for name, builtin in BUILTINS.items():
        names = [p.name if p.controlled else f"[{p.name}]" for p in builtin.parameters]
        table.add_row(name, escape(", ".join(names) or "none"), builtin.note)
    return table


def chain_data(chain: Chain) -> dict[str, Any]:
    """A chain's parameters and effects as plain data."""
    return {
        "effect": chain.name,
        "num_params": len(chain.parameters),
        "parameters": [parameter_data(p, u) for p, u in zip(chain.parameters, chain.parameters.default_unit.tolist())],
        "effects": [
            {
                "name": str(unit.spec),
                "determinism": unit.method if isinstance(unit, Vst3Unit) else "fresh instance",
                "residual": unit.residual if isinstance(unit, Vst3Unit) else 0.0,
                "latency_samples": unit.latency_samples if isinstance(unit, Vst3Unit) else None,
                "channels": list(unit.channels) if isinstance(unit, Vst3Unit) else [1, 2],
            }
            for unit in chain.units
        ],
    }


def parameter_data(parameter: Parameter, default_unit: float) -> dict[str, Any]:
    """One parameter as plain data."""
    data = asdict(parameter)
    return {**data, "default": parameter.show(parameter.default), "default_unit": default_unit}


def parameter_table(name: str, space: ParameterSpace) -> Table:
    """The parameters of an effect or chain."""
    table = Table("parameter", "kind", "range", "default", "unit", "scale", title=escape(name))
    for parameter in space:
        if parameter.kind == "choice":
            values = ", ".join(parameter.labels)
        else:
            values = f"{parameter.show(parameter.minimum)} … {parameter.show(parameter.maximum)}"
        default = parameter.show(parameter.default)
        shown = f"{default:.6g}" if isinstance(default, float) else str(default)
        table.add_row(escape(parameter.name), parameter.kind, escape(values), shown, parameter.unit, parameter.scale)
    return table


def response_table(response: Response) -> Table:
    """The gain of noise in six wide bands, a row for each level of the probe."""
    edges = np.linspace(0, NUM_BANDS, 7).astype(int)
    centres = band_centres_hz()
    names = [f"{centres[low]:.0f}–{centres[high - 1]:.0f}" for low, high in itertools.pairwise(edges)]
    table = Table("noise at, dBFS", *(f"{name} Hz" for name in names), title="gain, dB")
    for dbfs, gains in zip(NOISE_DBFS, response.spectrum[0]):
        means = (gains[low:high].mean() for low, high in itertools.pairwise(edges))
        table.add_row(f"{dbfs:.0f}", *(f"{mean:+.1f}" for mean in means))
    return table


def audibility_table(host: EffectHost, unit_row: np.ndarray, heard_db: np.ndarray) -> Table:
    """The settings, and how much each of them can be heard."""
    table = Table("parameter", "value", "moves the sound by, dB", title=escape(host.name))
    for (name, value), change in zip(host.parameters.describe(unit_row).items(), heard_db):
        shown = f"{value:.6g}" if isinstance(value, float) else str(value)
        table.add_row(escape(name), shown, f"{change:.1f}" if change >= HEARD_DB else "not audible here")
    return table


def response_data(host: EffectHost, unit_row: np.ndarray, response: Response, heard_db: np.ndarray) -> dict[str, Any]:
    """A response and its parameters as plain data."""
    settings = host.parameters.describe(unit_row).items()
    return {
        "effect": host.name,
        "settings": {
            name: {"value": value, "moves_db": round(float(db), 3), "heard": bool(db >= HEARD_DB)}
            for (name, value), db in zip(settings, heard_db)
        },
        "level_db": round(float(response.level_db()[0]), 3),
        "bands_hz": [round(float(hz), 1) for hz in band_centres_hz()],
        "noise_dbfs": list(NOISE_DBFS),
        "tones_hz": list(TONES_HZ),
        "modulation_hz": [round(float(hz), 3) for hz in MODULATION_HZ],
        **{name: np.round(part[0].astype(float), 3).tolist() for name, part in response._asdict().items()},
    }


def check_table(report: CheckReport) -> Table:
    """The verdict on an effect."""
    table = Table("parameter", "kind", "change over its range", "remark", title=escape(report.effect))
    for p in report.parameters:
        kind = p.parameter.kind
        stepped = f"stepped: {p.still_share:.0%} of small moves change nothing" if kind == "continuous" else "stepped"
        remark = "; ".join([p.advice] * bool(p.advice) + [stepped] * (p.is_stepped and not p.does_nothing))
        table.add_row(escape(p.parameter.name), kind, f"{p.change:.3g}", escape(remark))
    return table


def check_lines(report: CheckReport) -> list[str]:
    """The verdict in words."""
    lines = [f"verdict: {report.verdict}" + (f": {report.reason}" if report.reason else "")]
    if report.verdict != "unusable":
        lines.append("made deterministic by: " + ", ".join(f"{k}: {v}" for k, v in report.methods.items()))
        lines.append(f"latency: {report.latency_samples} samples reported by VST3 plugins, compensated")
        lines.append(f"cost: {report.realtime_factor:.4f} x real time on one core")
        lines.append(f"failed renders: {report.num_failures}")
        if report.suggested != report.effect:
            lines.append(f"a training takes it as: {report.suggested}")
    return lines
