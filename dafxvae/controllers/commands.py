"""The commands of `dafxvae controllers`: list, show and import stored controllers."""

import argparse
import importlib
import re
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dafxvae.core.command_line import Command, add_json, print_rows
from dafxvae.core.errors import UserError
from dafxvae.core.files import copy_file

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
ENCODERS_SUFFIX = ".encoders.safetensors"


def list_controllers() -> list[tuple[str, ...]]:
    """All that are stored: name, what it is for, how much of the distance it leaves, and whose it is."""
    from dafxvae.controllers.names import shipped_folder, stored_controllers
    from dafxvae.core.weights import load_weights

    rows = []
    for name, path in stored_controllers().items():
        metadata = load_weights(path).metadata
        is_shipped = path.parent == shipped_folder()
        purpose = _purpose(name) if is_shipped else metadata.get("effect", "not a controller")
        rows.append((name, purpose, _distance_left(metadata), "package" if is_shipped else "yours"))
    return rows


def _purpose(name: str) -> str:
    """What the package's controller of a name is for: the first words of its configuration."""
    first = (importlib.import_module(f"dafxvae.configs.{name}").__doc__ or name).splitlines()[0]
    return first.rstrip(".").partition(":")[0].removeprefix("A controller for ")


def _distance_left(metadata: dict[str, Any]) -> str:
    """How much of an unprocessed input's distance to its target is left, on the pairs that it was tested on."""
    scores = metadata.get("results", {}).get("mrstft", {})
    if not {"controller", "do nothing"} <= set(scores):
        return "not known"
    return f"{scores['controller']['mean'] / max(scores['do nothing']['mean'], 1e-9):.0%}"


def show_controller(name: str, console: Console) -> None:
    """Parameters with units and ranges, what it was trained on, and its measured results where they are stored.

    Raises:
        UserError: there is no such controller, or its effect cannot be opened.
    """
    from dafxvae.controllers.names import find_controller
    from dafxvae.core.weights import load_weights
    from dafxvae.effects.factory import open_host
    from dafxvae.effects.tables import parameter_table

    path = find_controller(name)
    metadata = load_weights(path).metadata
    if metadata.get("kind") != "controller":
        raise UserError(f"{path} holds {metadata.get('kind')!r}, not a controller: name a stored h")
    with open_host(metadata["effect"], num_workers=1) as host:
        console.print(parameter_table(metadata["effect"], host.parameters))
    for line in training_lines(metadata):
        console.print(line, markup=False, highlight=False)
    if metadata.get("results"):
        table = Table("measured", "value", title="results")
        for key, value in flat_results(metadata["results"]):
            table.add_row(escape(key), f"{value:.4g}" if isinstance(value, float) else escape(str(value)))
        console.print(table)
    console.print(f"file: {path}", markup=False, highlight=False, soft_wrap=True)


def training_lines(metadata: dict[str, Any]) -> list[str]:
    """What it was trained on, in words."""
    config = metadata["config"]
    data = config["data"]
    audio = data["folder"] or f"the embedded corpus, {data['minutes']:g} minutes"
    clip_sec = config["clip_samples"] / metadata["sample_rate"]
    return [
        f"trained on: {audio}; clips of {clip_sec:.2f} s at {metadata['sample_rate']} Hz, references: {data['mode']}",
        f"seed {config['seed']}, {config['h']['num_steps']} steps of {config['h']['batch_size']}, by dafxvae "
        f"{metadata['version']}, on f and g {metadata['encoders'][:12]}",
    ]


def flat_results(results: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Nested results as dotted names and values, a mean with its interval as one; lists (of single pairs) left out."""
    if not isinstance(results, dict):
        return [] if isinstance(results, list) else [(prefix, results)]
    rest, rows = dict(results), []
    if {"mean", "low", "high"} <= set(rest):
        mean, low, high = (rest.pop(key) for key in ("mean", "low", "high"))
        rows = [(prefix, f"{mean:.4g} ({low:.4g} … {high:.4g})")]
    return rows + [pair for key, value in rest.items() for pair in flat_results(value, f"{prefix}.{key}".lstrip("."))]


def import_controller(source: str, name: str, *, force: bool = False) -> Path:
    """Stores a controller in the user's data folder, with its f and g next to it where they are not the package's.

    Args:
        source: folder of a run, or a file.
        name: that it will have.
        force: replace one of that name.

    Returns:
        Its new file.

    Raises:
        UserError: a bad or taken name, or no such controller.
    """
    from dafxvae.controllers.controller import encoders_path_of, read_controller
    from dafxvae.controllers.encoders import load_encoders
    from dafxvae.controllers.names import AUTO, SUFFIX, find_controller, stored_controllers, user_folder
    from dafxvae.core.paths import SHIPPED, stored_encoders_path
    from dafxvae.core.weights import fingerprint

    if not NAME.fullmatch(name) or name == AUTO:
        raise UserError(f"--name {name!r}: use letters, digits, dashes and underscores, such as my_reverb")
    path, target = find_controller(source), user_folder() / f"{name}{SUFFIX}"
    if name in stored_controllers() and not force:
        raise UserError(f"a controller {name!r} is at {stored_controllers()[name]}: give another --name, or --force")
    encoders = read_controller(path).extractor.encoders  # verifies the file, and that its f and g are there
    shipped = load_encoders(stored_encoders_path(SHIPPED), verify=False)
    own = target.with_name(f"{name}{ENCODERS_SUFFIX}")
    if fingerprint(encoders.variables) != fingerprint(shipped.variables):
        copy_file(encoders_path_of(path), own)
    else:
        own.unlink(missing_ok=True)
    copy_file(path, target)
    return target


def _list(arguments: argparse.Namespace) -> None:
    title = "Controllers; left: of the distance to the target, unprocessed 100 %"
    print_rows(title, ("name", "for", "left", "whose"), list_controllers(), as_json=arguments.json)


def _show(arguments: argparse.Namespace) -> None:
    show_controller(arguments.name, Console())


def _import(arguments: argparse.Namespace) -> None:
    target = import_controller(arguments.source, arguments.name, force=arguments.force)
    console = Console()
    message = f"stored at {target}: use it as --controller {arguments.name}"
    console.print(message, markup=False, highlight=False, soft_wrap=True)


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a name, the folder of a run, or a *.safetensors file")


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="the folder of a run, or a *.safetensors file")
    parser.add_argument("--name", required=True, help="letters, digits, dashes and underscores")
    parser.add_argument("--force", action="store_true", help="replace one of that name")


STORE_SUMMARY = "store the controller of a run in your data folder"
COMMANDS = (
    Command("list", "all that are stored: what each is for, and how near it comes", add_json, _list),
    Command("show", "one of them", _add_show, _show),
    Command("import", STORE_SUMMARY, _add_import, _import),
    Command("save", STORE_SUMMARY, _add_import, _import),
)
