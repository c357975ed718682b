"""The three commands of the latent tools, after their arguments are parsed."""

from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from dafxvae.core import optional
from dafxvae.core.errors import UserError
from dafxvae.core.files import read_json, write_json
from dafxvae.core.paths import user_path
from dafxvae.core.rng import check_seed
from dafxvae.effects.bank import open_bank
from dafxvae.latent import report_page
from dafxvae.latent.examples import Gathered, check_pairs, gather, single_effects
from dafxvae.latent.measures import Studied, study
from dafxvae.latent.pruning import prune
from dafxvae.latent.report import find, write
from dafxvae.latent.source import ModelSource, held_out_corpus, open_source
from dafxvae.latent.sweep import SweepSizes, default_sizes, sweep

NUM_SEEDS = 3  # trainings of each size
FOLDERS = {"report": "latent", "sweep": "latent", "prune": "pruned"}


def output_folder(arguments: Namespace, source: ModelSource) -> Path:
    """Where the results go; made here.

    Raises:
        UserError: it cannot be made.
    """
    folder = arguments.output or source.encoders_path.parent / FOLDERS[arguments.command]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder} ({error.strerror}): give another with -o") from error
    return folder


def run_command(arguments: Namespace, progress: Console, console: Console) -> None:
    """Run `report`, `sweep` or `prune`; `progress` shows its steps, `console` its results."""
    check_pairs(arguments.pairs)
    source = open_source(arguments.workdir)
    if arguments.command != "prune":
        last_seed = source.config.seed + sweep_sizes(arguments, ()).seeds - 1
        check_seed(last_seed, f"the run's seed and --seeds {arguments.seeds} reach")
    if arguments.command == "report" and not arguments.retrain:
        given = [f"--{name}" for name in ("sizes", "seeds", "beta") if getattr(arguments, name) is not None]
        if given:
            raise UserError(f"{', '.join(given)} belong to the sweep: add --retrain, or leave them out")
    optional.load_sklearn("linear_model", "latent")  # before anything is rendered
    if arguments.corpus is not None:
        arguments.corpus = str(user_path(arguments.corpus))
        held_out_corpus(source.config, arguments.corpus)
    folder = output_folder(arguments, source)
    effects = single_effects(source.encoders.metadata["bank"])
    if len(effects) < 2:
        raise UserError(f"{source.encoders_path} has the single effects {list(effects)}: probes need at least two")
    with ExitStack() as stack:
        workers = source.config.num_workers or None
        bank = stack.enter_context(open_bank(effects, num_workers=workers))
        wanted = arguments.command != "sweep" and source.controller is not None
        effect = open_bank([source.controller.effect], num_workers=workers) if wanted and source.controller else None
        if effect is not None:
            stack.enter_context(effect)
        baselines = arguments.command == "report"
        gathered = gather(source, bank, arguments.corpus, arguments.pairs, arguments.seed, progress, baselines)
        progress.print("measuring the dimensions of f and g")
        studied = study(source, gathered, effect, arguments.corpus, arguments.seed)
        if arguments.command == "prune":
            show_pruned(prune(source, gathered, studied, folder, not arguments.keep_f), folder, console)
        elif arguments.command == "sweep":
            show_sweep(retrain(arguments, source, gathered, studied, folder, progress), folder, console)
        else:
            findings = find(source, gathered, studied, arguments.seed, progress.print)
            if arguments.retrain:
                retrain(arguments, source, gathered, studied, folder, progress)
            if (folder / "sweep.json").is_file():
                findings.data["sweep"] = read_json(folder / "sweep.json")
            write(findings, report_page.make_page(findings, source.config.sample_rate), folder)
            for text in report_page.conclusions(findings.data):
                console.print(text, highlight=False)
            for row in report_page.bars(findings.data):
                console.print(f"[{row[2]}] {row[0]}: {row[1]}", markup=False, highlight=False)
            console.print(f"report: {folder / 'report.html'}", markup=False, highlight=False, soft_wrap=True)


def sweep_sizes(arguments: Namespace, sizes: Sequence[int]) -> SweepSizes:
    """What a sweep trains, of sizes that are given or else `sizes`."""
    seeds = NUM_SEEDS if arguments.seeds is None else arguments.seeds
    return SweepSizes(arguments.sizes or sizes, seeds, arguments.beta)


def retrain(
    arguments: Namespace, source: ModelSource, gathered: Gathered, studied: Studied, folder: Path, progress: Console
) -> dict[str, Any]:
    """Run the sweep and store `sweep.json`."""
    sizes = default_sizes(studied.g.recommendation.size, source.encoders.g.latent_dim)
    found = sweep(source, gathered, studied, sweep_sizes(arguments, sizes), folder / "sweep", progress)
    write_json(folder / "sweep.json", found)
    return found


def show_sweep(found: dict[str, Any], folder: Path, console: Console) -> None:
    """One line for each size."""
    for row in found["rows"]:
        parts = [
            f"{name} {row['scores'][name]['mean']:.4f} ({row['against_full'][name]['verdict']})"
            for name in found["metrics"]
        ]
        mark = " <- recommended" if row["latent_dim"] == found["recommended"] else ""
        console.print(f"{row['latent_dim']:4d}: {', '.join(parts)}{mark}", markup=False, highlight=False)
    console.print(f"sweep: {folder / 'sweep.json'}", markup=False, highlight=False, soft_wrap=True)


def show_pruned(found: dict[str, Any], folder: Path, console: Console) -> None:
    """What went, and how far the outputs moved."""
    for name in ("g", "f"):
        console.print(
            f"{name}: {found[name]['before']} dimensions before, {found[name]['after']} after", highlight=False
        )
    moved = ", ".join(f"{name} {value:.2g}" for name, value in found["rms_change"].items())
    console.print(f"root mean square change on held-out pairs: {moved}", highlight=False)
    console.print(f"active dimensions of g: {found['active_share_of_g']:.0%}", highlight=False)
    console.print(f"pruned model: {folder}", markup=False, highlight=False, soft_wrap=True)
