"""`python -m dafxvae.data list | fetch NAME... | stats DIR | render --config FILE`: corpora and pre-rendered pairs."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dafxvae.core.command_line import run_cli
from dafxvae.core.paths import data_dir
from dafxvae.data.corpora.layouts import MANIFEST
from dafxvae.data.corpora.packages import PACKAGES, corpus_folder, fetch, package
from dafxvae.data.corpora.statistics import FolderStats, folder_stats

SHOWN_SKIPPED = 20


def list_corpora(console: Console) -> None:
    """Shows the corpora that can be fetched, and which are here."""
    table = Table(title=f"Corpora (fetched below {data_dir()})")
    for heading in ("name", "kind", "use", "here", "licence", "what"):
        table.add_column(heading, overflow="fold")
    for item in PACKAGES:
        manifest = corpus_folder(item) / MANIFEST
        here = json.loads(manifest.read_text(encoding="utf-8"))["version"] if manifest.is_file() else "-"
        table.add_row(item.name, item.kind, "held out" if item.held_out else "train", here, item.licence, item.about)
    console.print(table)
    console.print(
        "Fetch with `python -m dafxvae.data fetch NAME...` (or `train`, `held_out`, `all`), then train with "
        f"`--config.data.folder={data_dir() / 'train'}`.\nData sets that you have (DAPS, VCTK, LibriTTS, MUSDB18-HQ, "
        "MTG-Jamendo, FSDD, AudioMNIST) and any other folder: give their folder instead.",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip


def fetch_corpora(names: Sequence[str], console: Console) -> None:
    """Fetches corpora by name; "all", "train" and "held_out" stand for several."""
    several = {
        "all": PACKAGES,
        "train": [item for item in PACKAGES if not item.held_out],
        "held_out": [item for item in PACKAGES if item.held_out],
    }
    chosen = [item for name in names for item in several.get(name, ())] or []
    chosen += [package(name) for name in names if name not in several]
    for item in dict.fromkeys(chosen):
        with console.status(f"fetching {item.name}"):
            folder = fetch(item, warn=lambda text: console.print(f"warning: {text}", style="yellow"))
        console.print(f"{item.name}: {folder}", markup=False, highlight=False, soft_wrap=True)


def print_stats(stats: FolderStats, console: Console) -> None:
    """Shows a folder's numbers, and the files that cannot be used."""
    table = Table(title=stats.name, show_header=False)
    rates = ", ".join(f"{rate} Hz {minutes:.1f} min" for rate, minutes in stats.minutes_by_rate.items())
    splits = ", ".join(f"{split} {minutes:.1f} min" for split, minutes in stats.splits.items())
    for name, value in (
        ("files", str(stats.files)),
        ("minutes", f"{stats.minutes:.1f}"),
        ("songs or speakers", str(stats.groups)),
        ("sample rates", rates),
        ("official splits", splits or "none"),
        ("bandwidth", f"{stats.bandwidth_hz / 1000:.1f} kHz (-60 dB)"),
        ("RMS level, 10 / 50 / 90 %", " / ".join(f"{level:.1f}" for level in stats.rms_db) + " dBFS"),
        ("silence", f"{stats.silent_share:.1%}"),
        ("stereo files", f"{stats.stereo_share:.0%}"),
        ("files at full scale", f"{stats.clipped_share:.0%}"),
        ("licence", ", ".join(stats.licences) or "not known"),
        ("cannot be used", str(len(stats.skipped))),
    ):
        table.add_row(name, value)
    console.print(table)
    for item in stats.skipped[:SHOWN_SKIPPED]:
        console.print(f"  {item.path}: {item.reason}", markup=False, highlight=False, soft_wrap=True)
    if len(stats.skipped) > SHOWN_SKIPPED:
        console.print(f"  and {len(stats.skipped) - SHOWN_SKIPPED} more")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    console = Console()
    if arguments[:1] == ["render"]:  # its flags are absl's, as those of the training command
        from dafxvae.runs.render_pairs import render_main

        render_main(arguments[1:], console)
        return
    parser = argparse.ArgumentParser(prog="python -m dafxvae.data", description="Corpora and pre-rendered pairs.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="corpora that can be fetched")
    fetching = commands.add_parser("fetch", help="fetch corpora as Debian packages, without root")
    fetching.add_argument("names", nargs="+", metavar="NAME", help="a corpus, or train, held_out, all")
    measuring = commands.add_parser("stats", help="minutes, rates, bandwidth and level of a folder of audio")
    measuring.add_argument("folder", type=Path)
    commands.add_parser("render", help="render pairs ahead of training: see `render --help`")
    given = parser.parse_args(arguments)
    if given.command == "list":
        list_corpora(console)
    elif given.command == "fetch":
        fetch_corpora(given.names, console)
    else:
        print_stats(folder_stats(given.folder), console)


if __name__ == "__main__":
    run_cli(main)
