"""The commands of `dafxvae data`: list, fetch and measure corpora, render pairs ahead of training."""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from dafxvae.core.command_line import Command, add_json, print_rows
from dafxvae.core.files import read_json
from dafxvae.core.paths import data_dir, user_path
from dafxvae.data.corpora.layouts import MANIFEST
from dafxvae.data.corpora.packages import PACKAGES, corpus_folder, fetch, package
from dafxvae.data.corpora.statistics import FolderStats, folder_stats

SHOWN_SKIPPED = 20


def list_corpora(arguments: argparse.Namespace) -> None:
    """Print the corpora that can be fetched, and which are here."""
    rows = []
    for item in PACKAGES:
        manifest = corpus_folder(item) / MANIFEST
        here = read_json(manifest)["version"] if manifest.is_file() else "-"
        rows.append((item.name, item.kind, "held out" if item.held_out else "train", here, item.licence, item.about))
    headings = ("name", "kind", "use", "here", "licence", "what")
    print_rows(f"Corpora (fetched below {data_dir()})", headings, rows, as_json=arguments.json)
    if sys.stdout.isatty():
        Console().print(
            "Fetch with `dafxvae data fetch NAME...` (or `train`, `held_out`, `all`), then train with "
            f"`--config.data.folder={data_dir() / 'train'}`.\nData sets that you have (DAPS, VCTK, LibriTTS, "
            "MUSDB18-HQ, MTG-Jamendo, FSDD, AudioMNIST) and any other folder: give their folder instead.",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip


def fetch_corpora(names: Sequence[str], console: Console) -> None:
    """Fetch corpora by name; "all", "train" and "held_out" stand for several."""
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
    """Print a folder's numbers, and the files that cannot be used."""
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


def render_ahead(words: Sequence[str]) -> None:
    """Render training pairs; the words are absl flags, as those of the training command."""
    from dafxvae.runs.render_pairs import render_main

    render_main(words, Console())


def _names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME", help="a corpus, or train, held_out, all")


def _folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=user_path)


COMMANDS = (
    Command("list", "corpora that can be fetched", add_json, list_corpora),
    Command(
        "fetch", "fetch corpora as Debian packages, without root", _names,
        lambda given: fetch_corpora(given.names, Console()),
    ),
    Command(
        "stats", "minutes, rates, bandwidth and level of a folder of audio", _folder,
        lambda given: print_stats(folder_stats(given.folder), Console()),
    ),
    Command("render", "render pairs ahead of training: see `render --help`", None, render_ahead),
)  # fmt: skip
