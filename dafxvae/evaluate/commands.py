"""The command `dafxvae evaluate`: every method and metric on held-out recordings."""

import json
from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dafxvae.controllers.controller import Controller, read_controller
from dafxvae.controllers.names import find_controller, stored_controllers
from dafxvae.core import optional
from dafxvae.core.errors import UserError
from dafxvae.core.files import write_json, write_text
from dafxvae.core.weights import fingerprint
from dafxvae.data.corpora.corpus import Corpus
from dafxvae.evaluate import report, tables
from dafxvae.evaluate.cells import read_cell, run_cell, store_sounds
from dafxvae.evaluate.held_out import HeldOut, digest, find_corpus, long_enough, open_held_out
from dafxvae.evaluate.learned import (
    Learned,
    fit_forest,
    fit_neighbour,
    stored_examples,
    training_corpus,
    training_examples,
)
from dafxvae.evaluate.methods import CONTROLLER, Tools, open_tools
from dafxvae.evaluate.plan import FORMAT, INPUTS, MODES, Cell, Plan, chosen, claim_folder, file_name, num_workers
from dafxvae.evaluate.summary import summarise
from dafxvae.metrics import MATCHED
from dafxvae.metrics.speech import is_pesq_installed

NUM_FIRST = 40  # pairs that are searched, or scored by PESQ


class ControllerTask(NamedTuple):
    """A controller and its cells."""

    name: str
    controller: Controller
    cells: list[tuple[Cell, Corpus, HeldOut]]


def find_controllers(names: str) -> dict[str, Path]:
    """Name to file of `all` or of a comma-separated list of names, folders or files.

    Raises:
        UserError: there is none, or two have the same name.
    """
    if names == "all":
        stored = stored_controllers()
        if not stored:
            raise UserError("no controllers are stored: train one, and give its folder with --controllers")
        return stored
    asked = [name.strip() for name in names.split(",") if name.strip()]
    if not asked:
        raise UserError(f"--controllers {names!r}: give 'all', or names, folders or files of controllers")
    found: dict[str, Path] = {}
    for name in asked:
        path = find_controller(name)
        own = path.parent.name if path.name == "controller.safetensors" else path.stem
        if found.get(own, path) != path:
            raise UserError(f"{found[own]} and {path} are both called {own!r}: evaluate them into two folders")
        found[own] = path
    return found


def identify(controller: Controller) -> str:
    """Of h, f and g together."""
    return fingerprint({"h": controller.params, "encoders": controller.encoders.variables})[:16]


def check_libraries(plan: Plan) -> None:
    """Raises UserError when something is missing that the plan needs, before anything is rendered."""
    if plan.baseline_pairs:
        optional.load("sklearn.ensemble", "scikit-learn", "evaluation")


def make_plan(arguments: Namespace) -> Plan:
    """The numbers of an evaluation; of the first pairs there are 40 by default, or as many as there are pairs.

    Raises:
        UserError: a number that cannot be, more of the first pairs than pairs, or PESQ without its library.
    """
    firsts = []
    for name in ("search_pairs", "pesq_pairs"):
        asked = getattr(arguments, name)
        if asked is not None and asked > arguments.pairs:
            raise UserError(f"--{name.replace('_', '-')} {asked}: give at most the {arguments.pairs} of --pairs")
        firsts.append(min(NUM_FIRST, arguments.pairs) if asked is None else asked)
    if arguments.pesq_pairs:
        optional.load("pesq", "pesq", "evaluation")  # asked for by hand, it must not be left out
    elif not is_pesq_installed():
        firsts[1] = 0
    return Plan(arguments.pairs, arguments.seed, arguments.clip_sec, firsts[0], arguments.baseline_pairs, firsts[1])


def make_tasks(arguments: Namespace, plan: Plan) -> list[ControllerTask]:
    """Every controller with every corpus, mode and input; opens what is not open yet."""
    modes = chosen(arguments.modes, MODES, "--modes")
    inputs = chosen(arguments.inputs, INPUTS, "--inputs")
    places = [find_corpus(name) for name in dict.fromkeys(arguments.corpus)]
    if len({place.name for place in places}) < len(places):
        raise UserError(f"two corpora have one name in {[place.name for place in places]}: rename a folder")
    opened: dict[Any, Corpus] = {}
    jobs = []
    for name, path in find_controllers(arguments.controllers).items():
        controller = read_controller(path)
        config = controller.config
        cells = []
        for place in places:
            key = (place.name, config.sample_rate, config.num_channels)
            key += () if place.folder else (config.data.minutes, config.seed)
            if key not in opened:
                opened[key] = open_held_out(place, config)
            for mode in modes:
                long_enough(opened[key], plan.clip_samples(config.sample_rate), mode)
                cells += [(Cell(name, place.name, mode, kind), opened[key], place) for kind in inputs]
        jobs.append(ControllerTask(name, controller, cells))
    return jobs


def fit_baselines(
    folder: Path, plan: Plan, job: ControllerTask, tools: Tools, describe: Callable[[str], None] = lambda _: None
) -> Learned | None:
    """The learned baselines of a controller, their training pairs from the folder where they are there."""
    if not plan.baseline_pairs:
        return None
    path = folder / "baselines" / f"{file_name(job.name)}.npz"
    describe(f"{job.name}: pairs to fit the baselines on")
    examples = stored_examples(
        path,
        [plan.identity, identify(job.controller)],
        lambda: training_examples(tools.controller, tools.bank, plan.baseline_pairs, plan.seed),
    )
    describe(f"{job.name}: fitting the baselines")
    return Learned(fit_neighbour(examples), fit_forest(examples, plan.seed))


def _describe(progress: Progress, task: Any, text: str) -> None:
    progress.update(task, description=text)


def run_task(
    folder: Path, plan: Plan, job: ControllerTask, workers: int | None, progress: Progress, task: Any
) -> list[Any]:
    """The cells of one controller; those of `results.json`."""
    found = []
    with ExitStack() as stack:
        tools = open_tools(job.controller, workers, plan.seed, stack)
        if any(read_cell(folder, plan, cell) is None for cell, _, _ in job.cells):
            describe = partial(_describe, progress, task)
            tools.learned = fit_baselines(folder, plan, job, tools, describe)
        for cell, corpus, place in job.cells:
            progress.update(task, description=str(cell))
            seconds = run_cell(folder, plan, cell, corpus, tools, place.is_speech, partial(progress.advance, task))
            if seconds:
                progress.console.print(f"{cell}: {seconds:.0f} s", markup=False, highlight=False)
            joined = read_cell(folder, plan, cell)
            assert joined is not None
            summary = summarise(plan, cell, joined, tools) | {"is_speech": place.is_speech}
            if summary["median_item"] is not None:
                store_sounds(folder, plan, cell, corpus, tools, summary["median_item"])
            found.append(summary)
    return found


def write_results(folder: Path, plan: Plan, cells: list[dict[str, Any]], is_last: bool = True) -> None:
    """`results.json` and `results.md`, and at last `report.html`; cells of earlier commands in the same folder stay.

    Raises:
        UserError: they cannot be written, or those there cannot be read.
    """
    earlier = tables.read_results(folder)["cells"] if (folder / "results.json").exists() else []
    joined = {tuple(cell[key] for key in tables.KEY): cell for cell in (*earlier, *cells)}
    results = {"format": FORMAT, "settings": plan.identity, "cells": [joined[key] for key in sorted(joined)]}
    write_json(folder / "results.json", results)
    write_text(folder / "results.md", tables.results_markdown(results))
    if is_last:
        write_text(folder / "report.html", report.report_page(results, folder))


def run_evaluation(arguments: Namespace) -> None:
    """Evaluates, or goes on with it.

    Raises:
        UserError: bad input; the message says what to change.
    """
    messages, console = Console(stderr=True), Console()
    workers = num_workers(arguments.workers)
    plan = make_plan(arguments)
    check_libraries(plan)
    jobs = make_tasks(arguments, plan)
    has_speech = any(place.is_speech for job in jobs for _, _, place in job.cells)
    if arguments.pesq_pairs and not has_speech:
        raise UserError(f"--pesq-pairs {arguments.pesq_pairs}: no --corpus is of speech; leave it out")
    for job in jobs if plan.baseline_pairs else ():
        if any(read_cell(arguments.output, plan, cell) is None for cell, _, _ in job.cells):
            training_corpus(job.controller.config)  # refused before there are results of others
    claim_folder(
        arguments.output,
        plan,
        {job.name: identify(job.controller) for job in jobs},
        {f"{cell.corpus} at {corpus.sample_rate} Hz": digest(corpus) for job in jobs for cell, corpus, _ in job.cells},
    )
    if has_speech and not is_pesq_installed():
        messages.print(
            "pesq is not installed: PESQ is not measured (`pip install 'dafxvae[evaluation]'`)", markup=False
        )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    cells: list[dict[str, Any]] = []
    with Progress(*columns, TimeRemainingColumn(), console=messages) as progress:
        task = progress.add_task("", total=sum(len(job.cells) for job in jobs) * plan.num_pairs)
        for job in jobs:
            cells += run_task(arguments.output, plan, job, workers, progress, task)
            write_results(arguments.output, plan, cells, is_last=job is jobs[-1])  # tables of a run that is stopped
    for cell in cells:
        ours, matched = (tables.metric_of(cell, CONTROLLER, metric) for metric in ("MRSTFT", MATCHED))
        ratios = (tables.format_interval(row.get("ratio"), 2) for row in (ours, matched))
        text = (
            f"{tables.cell_title(cell)}: MRSTFT {tables.format_interval(ours, 3)}, of the unprocessed input "
            f"{', at matched loudness '.join(ratios)}"
        )
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print(f"report: {arguments.output / 'report.html'}", markup=False, highlight=False, soft_wrap=True)


def show_table(arguments: Namespace) -> None:
    """Prints the Markdown of several folders' results as one, or its rows as JSON."""
    merged = tables.merge(arguments.folders)
    rows = ",\n".join(map(json.dumps, tables.overview(merged["cells"]))) if arguments.json else ""
    text = f"[\n{rows}\n]" if arguments.json else tables.results_markdown(merged)
    Console().print(text, markup=False, highlight=False, soft_wrap=True, emoji=False)
