"""Measures docs/objectives.md: where downhill leads for each loss, each effect and each parameter.

    python -m benchmarks.studies.objective_scan measure [--encoders shipped] [--json docs/objectives/scan.json]
    python -m benchmarks.studies.objective_scan measure --tiny --json /tmp/scan.json    (half a minute)
    python -m benchmarks.studies.objective_scan show

One parameter moves over a grid, the others stay at the truth. The effect's output is compared with the *target* (the
same recording through the true settings: what training has) and with the *reference* (another section of the same
recording through them: all that a search at inference has). Recordings are of the training splits: the embedded corpus,
and one of each of `SOURCES` where the user's data folder has it. The settings are drawn on the grid, so that the loss
to the target is 0 at the truth. Effects that are in the JSON file already are not measured again.

Further distances: "encoding" is the distance of f's encodings, standardised by g's constants, "style" that of
their last part, "latent" that of g's latents of the dry input and the sound.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks.common import measure_or_show, open_results, print_row, save_results
from benchmarks.studies.figures import VIEWS, plot_curves, plot_shares, tables
from dafxvae.audio import dsp, features
from dafxvae.config import base_config, resolve_preset
from dafxvae.controllers.encoders import load_encoders
from dafxvae.core.command_line import run_cli
from dafxvae.core.errors import UserError
from dafxvae.core.paths import data_dir, stored_encoders_path
from dafxvae.core.rng import host_rng
from dafxvae.core.weights import fingerprint
from dafxvae.data.corpora.corpus import Corpus, open_corpus
from dafxvae.data.pairs.clips import ClipCutter
from dafxvae.effects.factory import ChainHost, open_host
from dafxvae.effects.parameters import Parameter
from dafxvae.models.controller_vae import ControllerVAE
from dafxvae.models.networks import Encoders
from dafxvae.models.spectrogram_vae import SpectrogramVAE, joint_encoding
from dafxvae.runs import build

EQ = "LowShelfFilter | PeakFilter | PeakFilter | HighShelfFilter | HighpassFilter | LowpassFilter"
EFFECTS = (
    *("Reverb", "Delay", "Chorus", "Phaser", "Distortion", "Bitcrush"),
    *("Compressor", "Limiter", "NoiseGate", "LadderFilter", EQ),
)
ROUGH = {"Delay": "delay_seconds", "Chorus": "rate_hz", "Phaser": "rate_hz"}  # wrong while the mix is scanned
WRONG_BY = (0.0625, 0.2)  # of the range; a delay of .32 s for .25 s, and of .55 s
SOURCES = ("fretsonfire-songs-muldjord", "asterisk-core-sounds-en-g722", "wesnoth-1.16-music")
LOSSES = ("mrstft", *features.FEATURES, "encoding", "style", "latent")
NEAR = 0.05  # of the truth: counts as right
TRUTHS_FROM, TRUTHS_TO = 0.2, 0.8
ROUNDING = 1e-5  # of a curve's range: smaller steps are no slope


Describe = Callable[[Array, Array], features.Features]  # of a sound and of the dry input


class Setup(NamedTuple):
    """Size of the measurement; it is stored with the results."""

    clip_samples: int = 65536
    grid: int = 41
    num_truths: int = 2
    num_clips: int = 4
    effects: tuple[str, ...] = EFFECTS


TINY = Setup(clip_samples=32768, grid=11, num_truths=1, num_clips=1, effects=("Delay", "LadderFilter"))


class Problem(NamedTuple):
    """A recording, another section of it, and the true settings."""

    audio: np.ndarray  # [2, T, C] input, and what becomes the reference
    truth: np.ndarray  # [K] on the grid


def spectra(audio: Array, sizes: tuple[int, ...]) -> features.Features:
    """What `losses.multi_resolution_stft` compares; it is the sum over the two kinds, so twice their mean distance."""
    signal = jnp.swapaxes(audio, 1, 2)
    magnitudes = [dsp.magnitude_spectrogram(signal, size, size // 2) for size in sizes]
    return tuple(2.0 * part for x in magnitudes for part in (jnp.log(x), x))


def make_descriptors(encoders: Encoders, sizes: tuple[int, ...], sample_rate: int) -> dict[str, Describe]:
    """Name of a loss -> what it compares."""
    f, g, variables = encoders.f, encoders.g, encoders.variables
    constants = variables["g"]["constants"]
    mean, deviation = (jnp.asarray(constants[f"joint_{kind}"])[f.encoding_size :] for kind in ("mean", "deviation"))

    def described(of: features.Feature) -> Describe:
        return lambda audio, dry: of(audio, sample_rate)

    def encoding(audio: Array, dry: Array) -> features.Features:
        encoded = jnp.asarray(f.apply(variables["f"], audio, sample_rate, method=SpectrogramVAE.encode))
        return ((encoded - mean) / deviation,)

    def latent(audio: Array, dry: Array) -> features.Features:
        joint = joint_encoding(f, variables["f"], dry, audio, sample_rate)
        return (jnp.asarray(g.apply(variables["g"], joint, method=ControllerVAE.encode)),)

    return {
        "mrstft": lambda audio, dry: spectra(audio, sizes),
        **{name: described(of) for name, of in features.FEATURES.items()},
        "encoding": encoding,
        "style": lambda audio, dry: (encoding(audio, dry)[0][:, -f.style_dim :],),
        "latent": latent,
    }


def make_scan(descriptors: dict[str, Describe]) -> Callable[..., dict[str, Array]]:
    """`(outputs [R, T, C], dry, target, reference [1, T, C]) -> {loss: [R, 2]}`, jitted; the last axis is `VIEWS`."""

    @jax.jit
    def scan(outputs: Array, dry: Array, target: Array, reference: Array) -> dict[str, Array]:
        fixed = {name: [of(sound, dry) for sound in (target, reference)] for name, of in descriptors.items()}

        def one(output: Array) -> dict[str, Array]:
            own = {name: of(output[None], dry) for name, of in descriptors.items()}
            return {n: jnp.stack([features.distance(own[n], other)[0] for other in fixed[n]]) for n in own}

        return jax.lax.map(one, outputs)

    return scan


def draw_clips(setup: Setup, sample_rate: int, embedded: Corpus) -> list[np.ndarray]:
    """`[2, T, 1]` each: two sections of one training recording, at the level they were recorded."""
    folder = data_dir() / "train"
    corpora = [embedded.split("train")]
    if folder.is_dir():
        whole = open_corpus(folder=str(folder), sample_rate=sample_rate, num_channels=1, minutes=0, seed=0)
        train = whole.split("train")
        named = [[t for t in train.tracks if t.name.startswith(source + "/")] for source in SOURCES]
        corpora += [Corpus(source, sample_rate, 1, tuple(tracks)) for source, tracks in zip(SOURCES, named) if tracks]
    clips = []
    for i in range(setup.num_clips):
        cutter = ClipCutter(corpora[i % len(corpora)], setup.clip_samples, gain_db=(0.0, 0.0), silence_db=-40.0)
        rng = host_rng(0, "objective-clips", i)
        dry = cutter.draw(rng)
        clip = np.zeros((2, setup.clip_samples, 1), np.float32)
        cutter.read(dry, clip[0])
        cutter.read(cutter.draw_reference(rng, dry, "other_section")._replace(gain=dry.gain), clip[1])
        clips.append(clip)
    return clips


def grid_of(parameter: Parameter, num_points: int) -> np.ndarray:
    """Where a parameter is put: evenly in [0, 1], or all its values; float32."""
    return np.linspace(0.0, 1.0, parameter.num_values or num_points, dtype=np.float32)


def draw_problems(host: ChainHost, clips: list[np.ndarray], setup: Setup) -> list[Problem]:
    """Every clip with `num_truths` settings, from the middle of the ranges.

    At the ends of a range the other settings have little effect.
    """
    problems = []
    for i, clip in enumerate(clips):
        for j in range(setup.num_truths):
            drawn = host_rng(0, f"objective-truth/{host.name}", i, j).uniform(
                TRUTHS_FROM, TRUTHS_TO, len(host.parameters)
            )
            grids = [grid_of(parameter, setup.grid) for parameter in host.parameters]
            truth = [grid[np.abs(grid - value).argmin()] for grid, value in zip(grids, drawn)]
            problems.append(Problem(clip, np.array(truth, np.float32)))
    return problems


def descend(curve: np.ndarray) -> np.ndarray:
    """Where steepest descent from neighbour to neighbour ends, from each point of the grid; int `[R]`."""
    step = ROUNDING * (curve.max() - curve.min())
    padded = np.pad(curve, 1, constant_values=np.inf)
    left, right = padded[:-2], padded[2:]
    move = np.where(left < right, -1, 1) * (np.minimum(left, right) < curve - step)
    at = np.arange(len(curve))
    for _ in curve:
        at = at + move[at]
    return at


def judge(curve: np.ndarray, grid: np.ndarray, truth: float) -> tuple[float, float]:
    """Share of starting points that descend to within `NEAR` of the truth; minimum (nearest of equals) less truth."""
    share = np.mean(np.abs(grid[descend(curve)] - truth) <= NEAR + 1e-6)
    lowest = np.flatnonzero(curve <= curve.min() + ROUNDING * (curve.max() - curve.min()))
    offsets = grid[lowest] - truth
    return float(share), float(offsets[np.abs(offsets).argmin()])


def percent(curve: np.ndarray) -> list[int]:
    """A curve for a figure: its range as 0 to 99."""
    span = float(curve.max() - curve.min()) or 1.0
    return np.rint(99 * (curve - curve.min()) / span).astype(int).tolist()


def scan_rows(
    host: ChainHost, problem: Problem, rows: np.ndarray, scan: Callable[..., dict[str, Array]], sample_rate: int
) -> dict[str, np.ndarray]:
    """Losses of all rows `[R, K]` of settings; `{loss: [R, 2]}`."""
    outputs = host.render_variants(problem.audio[:1], rows[None], sample_rate)[0]
    both = host.render(problem.audio, np.stack([problem.truth] * 2), sample_rate)
    if not np.isfinite(outputs).all() or not np.isfinite(both).all():
        raise UserError(
            f"{host.name} failed to render: {host.failures.last[-1] if host.failures.last else 'not finite'}"
        )
    found = scan(outputs, problem.audio[:1], both[:1], both[1:])
    return {name: np.asarray(found[name]) for name in LOSSES}


def scans_of(host: ChainHost, setup: Setup) -> Iterator[tuple[str, int, int, float]]:
    """What is scanned: label, the parameter that moves, the one that is wrong (or -1), and by how much."""
    for k, name in enumerate(host.parameters.names):
        yield name, k, -1, 0.0
    if host.name in ROUGH:
        for by in WRONG_BY:
            rough = host.parameters.names.index(ROUGH[host.name])
            yield f"mix while {ROUGH[host.name]} is {by:g} off", host.parameters.names.index("mix"), rough, by


def measure_effect(
    host: ChainHost, problems: list[Problem], scan: Callable[..., dict[str, Array]], setup: Setup, sample_rate: int
) -> dict[str, Any]:
    """`{scan: {"grid", "truths": [P], "losses": {loss: {view: {"share": [P], "offset": [P], "far", "curve": [R]}}}}}`.

    "far" is the mean loss beyond .2 from the truth, the size of a loss, for its weight; "curve" is that of the first
    problem, for the figures.
    """
    results: dict[str, Any] = {}
    for label, k, rough, by in scans_of(host, setup):
        grid = grid_of(host.parameters[k], setup.grid)
        result: dict[str, Any] = {"grid": len(grid), "truths": [], "losses": {}}
        for problem in problems:
            truth = float(problem.truth[k])
            rows = np.repeat(problem.truth[None], len(grid), axis=0)
            rows[:, k] = grid
            if rough >= 0:
                rows[:, rough] += by if problem.truth[rough] < 0.5 else -by
            result["truths"].append(round(truth, 3))
            curves = scan_rows(host, problem, rows, scan, sample_rate)
            for name, values in curves.items():
                for view, curve in zip(VIEWS, values.T):
                    share, offset = judge(curve, grid, truth)
                    empty = {"share": [], "offset": [], "far": 0.0, "curve": percent(curve)}
                    kept = result["losses"].setdefault(name, {}).setdefault(view, empty)
                    kept["share"].append(round(share, 3))
                    kept["offset"].append(round(offset, 3))
                    kept["far"] += float(curve[np.abs(grid - truth) > 0.2].mean()) / len(problems)
        results[label] = result
        shares = {name: round(float(np.mean(views["target"]["share"])), 2) for name, views in result["losses"].items()}
        print_row(host.name, label, shares)
    return results


def measure(arguments: argparse.Namespace) -> None:
    """Adds the effects that are missing to the file; one file holds one setup and one f."""
    config = resolve_preset(base_config())
    setup = TINY if arguments.tiny else Setup()
    encoders = load_encoders(stored_encoders_path(arguments.encoders))
    described = {**setup._asdict(), "losses": LOSSES, "encoders": fingerprint(encoders.variables)}
    results = open_results(arguments.json, described)
    scan = make_scan(make_descriptors(encoders, tuple(config.h.stft_sizes), config.sample_rate))
    clips = draw_clips(setup, config.sample_rate, build.build_corpus(config))
    for effect in setup.effects:
        if effect in results["effects"]:
            continue
        with open_host(effect) as host:
            problems = draw_problems(host, clips, setup)
            results["effects"][effect] = measure_effect(host, problems, scan, setup, config.sample_rate)
        save_results(arguments.json, results)


def show(results: dict[str, Any], path: Path) -> None:
    """Prints the tables, and draws the figures next to the JSON file."""
    print_row(tables(results["effects"]))
    plot_shares(results["effects"], path.parent)
    plot_curves(results["effects"], path.parent)


def main() -> None:
    """Measures, or shows what was measured."""
    measure_or_show(__doc__, Path("docs/objectives/scan.json"), measure, show)


if __name__ == "__main__":
    run_cli(main)
