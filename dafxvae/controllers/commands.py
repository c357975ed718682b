"""Stored controllers: `python -m dafxvae.controllers list | show | import`.

python -m dafxvae.controllers list                                the package's and your own
python -m dafxvae.controllers show reverb                         parameters, training, measured results
python -m dafxvae.controllers import runs/my_reverb --name hall   stores a run's controller under a name
"""

import argparse
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from dafxvae.core.command_line import run_cli
from dafxvae.core.errors import UserError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
ENCODERS_SUFFIX = ".encoders.safetensors"


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m dafxvae.controllers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="all that are stored")
    show = commands.add_parser("show", help="one of them")
    show.add_argument("name", help="a name, the folder of a run, or a *.safetensors file")
    for word in ("import", "save"):
        storing = commands.add_parser(word, help="store the controller of a run in your data folder")
        storing.add_argument("source", help="the folder of a run, or a *.safetensors file")
        storing.add_argument("--name", required=True, help="letters, digits, dashes and underscores")
        storing.add_argument("--force", action="store_true", help="replace one of that name")
    return parser.parse_args(words)


def list_controllers() -> Table:
    """All that are stored."""
    from dafxvae.controllers.names import shipped_folder, stored_controllers
    from dafxvae.core.weights import load_weights

    table = Table("name", "effect", "parameters", "whose", "version")
    for name, path in stored_controllers().items():
        metadata = load_weights(path).metadata
        whose = "package" if path.parent == shipped_folder() else "yours"
        row = name, metadata["effect"], ", ".join(metadata["parameters"]), whose, metadata["version"]
        table.add_row(*(_plain(cell) for cell in row))
    return table


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
        for key, value in flat(metadata["results"]):
            table.add_row(_plain(key), f"{value:.4g}" if isinstance(value, float) else _plain(str(value)))
        console.print(table)
    console.print(f"file: {path}", markup=False, highlight=False)


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


def flat(results: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Nested results as dotted names and values; lists are left out (they hold single pairs)."""
    if isinstance(results, dict):
        return [pair for key, value in results.items() for pair in flat(value, f"{prefix}.{key}" if prefix else key)]
    return [] if isinstance(results, list) else [(prefix, results)]


def import_controller(source: str, name: str, *, force: bool = False) -> Path:
    """Stores a controller in the user's data folder, with its f and g beside it where they are not the package's.

    Args:
        source: folder of a run, or a file.
        name: that it will have.
        force: replace one of that name.

    Returns:
        Its new file.

    Raises:
        UserError: a bad or taken name, or no such controller.
    """
    from dafxvae.controllers.controller import encoders_beside, read_controller
    from dafxvae.controllers.encoders import SHIPPED, load_encoders, stored_encoders_path
    from dafxvae.controllers.names import SUFFIX, find_controller, stored_controllers, user_folder
    from dafxvae.core.weights import fingerprint

    if not NAME.fullmatch(name):
        raise UserError(f"--name {name!r}: use letters, digits, dashes and underscores, such as my_reverb")
    path, target = find_controller(source), user_folder() / f"{name}{SUFFIX}"
    if name in stored_controllers() and not force:
        raise UserError(f"a controller {name!r} is at {stored_controllers()[name]}: give another --name, or --force")
    encoders = read_controller(path).extractor.encoders  # verifies the file, and that its f and g are there
    shipped = load_encoders(stored_encoders_path(SHIPPED), verify=False)
    own = target.with_name(f"{name}{ENCODERS_SUFFIX}")
    if fingerprint(encoders.variables) != fingerprint(shipped.variables):
        copy_whole(encoders_beside(path), own)
    else:
        own.unlink(missing_ok=True)
    copy_whole(path, target)
    return target


def copy_whole(source: Path, target: Path) -> None:
    """Copies a file whole or not at all.

    Raises:
        UserError: the disk refuses.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, temporary)
        temporary.replace(target)
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _plain(text: str) -> str:
    """Keeps rich from reading brackets as markup."""
    return text.replace("[", r"\[")


def main(words: Sequence[str] | None = None) -> None:
    """Runs the command."""
    arguments, console = parse(words), Console()
    if arguments.command == "list":
        console.print(list_controllers())
    elif arguments.command == "show":
        show_controller(arguments.name, console)
    else:
        target = import_controller(arguments.source, arguments.name, force=arguments.force)
        console.print(f"stored at {target}: use it as --controller {arguments.name}", markup=False, highlight=False)


if __name__ == "__main__":
    run_cli(lambda: main(sys.argv[1:]))
