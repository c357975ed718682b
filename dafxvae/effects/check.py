"""Check an effect: determinism, cost, parameters without use, parameters that move in steps."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from dafxvae.core.errors import UserError
from dafxvae.effects.factory import ChainHost, Effect, open_host
from dafxvae.effects.spec import format_chain
from dafxvae.effects.usefulness import Usefulness, advise_chain, examine_parameters
from dafxvae.effects.vst3.plugin import Vst3Unit
from dafxvae.effects.vst3.process import Limits

NUM_SETTINGS = 6
OTHER_RATE = 32000


@dataclass
class CheckReport:
    """The verdict on an effect or chain.

    Attributes:
        verdict: "deterministic", "not deterministic", "fails" (some renders do) or "unusable" (it cannot be loaded).
        reason: of the last two.
        residual: largest difference between renders of equal arguments.
        methods: how each plugin of the chain is made deterministic.
        latency_samples: as the VST3 plugins report it; compensated.
        realtime_factor: seconds of one core for a second of mono audio.
        num_failures: renders that failed.
        parameters: what each is good for.
        suggested: the effect with parameters of no use held, as a training takes it.
    """

    effect: str
    verdict: str
    reason: str = ""
    residual: float = 0.0
    methods: dict[str, str] = field(default_factory=dict)
    latency_samples: int = 0
    realtime_factor: float = float("nan")
    num_failures: int = 0
    parameters: list[Usefulness] = field(default_factory=list)
    suggested: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The result for JSON, with the parameters that have no effect and those that are stepped."""
        flags = {
            "do_nothing": [p.parameter.name for p in self.parameters if p.does_nothing],
            "stepped": [p.parameter.name for p in self.parameters if p.is_stepped],
        }
        return {**asdict(self), "parameters": [p.as_dict() for p in self.parameters], **flags}


def check_audio(num_samples: int, sample_rate: int) -> np.ndarray:
    """Bursts of noise and a chord, fading and stopping: something for dynamics, filters and reverbs to act on.

    Returns:
        float32 `[T, 1]`, peak about 0.6.
    """
    rng = np.random.default_rng(0)
    t = np.arange(num_samples) / sample_rate
    noise = rng.standard_normal(num_samples) * np.exp(-8 * (t % 0.25))
    chord = sum(np.sin(2 * np.pi * f * t) for f in (110.0, 277.2, 1318.5, 5274.0))
    gate = (t % 0.5) < 0.35
    return (0.12 * (noise + chord) * gate)[:, None].astype(np.float32)


def check(
    effect: Effect, *, sample_rate: int = 44100, length_sec: float = 1.0, limits: Limits | None = None
) -> CheckReport:
    """Opens an effect and checks it; an effect that cannot be opened gets a verdict as well.

    Args:
        effect: short or structured form.
        sample_rate: Hz.
        length_sec: of the audio it is tried with.
        limits: how long a plugin may take.

    Raises:
        UserError: the name cannot be read, or names an effect, file or parameter that does not exist.
    """
    try:
        host = open_host(effect, num_workers=2, limits=limits)
    except UserError as error:
        if str(error).startswith("the plugin "):
            return CheckReport(str(effect), "unusable", str(error))
        raise
    with host:
        audio = check_audio(int(length_sec * sample_rate), sample_rate)
        report = CheckReport(host.name, "deterministic")
        vst3 = [unit for unit in host.chain.units if isinstance(unit, Vst3Unit)]
        report.methods = {u.label: u.method if isinstance(u, Vst3Unit) else "fresh instance" for u in host.chain.units}
        report.latency_samples = sum(unit.latency_samples for unit in vst3)
        report.residual = max([_residual(host, audio, sample_rate), *(unit.residual for unit in vst3)])
        report.realtime_factor = _cost(host, audio, sample_rate) / length_sec
        report.parameters = list(examine_parameters(host, audio, sample_rate, report.residual))
        report.suggested = format_chain(advise_chain(host, audio, sample_rate).chain)
        report.num_failures = host.failures.count
        if report.num_failures or not np.isfinite(report.residual):
            report.verdict = "fails"
            report.reason = str(host.failures.last[-1]) if host.failures.last else "it failed while it was tried out"
        elif report.residual > 0:
            report.verdict = "not deterministic"
            report.reason = f"renders of equal arguments differ by up to {report.residual:.2g}"
        return report


def _residual(host: ChainHost, audio: np.ndarray, sample_rate: int) -> float:
    """The largest difference between equal renders: in two orders, on either worker, with other renders between."""
    unit = host.parameters.sample(np.random.default_rng(1), NUM_SETTINGS)
    batch = np.repeat(audio[None], NUM_SETTINGS, axis=0)
    first = host.render(batch, unit, sample_rate)
    host.render(batch[:, :2000], unit[::-1], OTHER_RATE)
    second = host.render(batch, unit[::-1], sample_rate)[::-1]
    third = np.concatenate([host.render(batch[:1], unit[i : i + 1], sample_rate) for i in range(NUM_SETTINGS)])
    ok = np.isfinite(first + second + third).all(axis=(1, 2))
    differences = np.maximum(np.abs(first - second), np.abs(first - third))[ok]
    return float(differences.max(initial=0.0))


def _cost(host: ChainHost, audio: np.ndarray, sample_rate: int) -> float:
    """Seconds for one render, the best of three."""
    unit, best = host.parameters.default_unit[None], float("inf")
    for _ in range(3):
        start = time.perf_counter()
        host.render(audio[None], unit, sample_rate)
        best = min(best, time.perf_counter() - start)
    return best
