"""Report of a transfer: a table for the terminal, a page."""

import re
from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from dafxvae.reporting.page import Page
from dafxvae.reporting.player import PlayerClip
from dafxvae.transfer import windows
from dafxvae.transfer.recordings import Recording, Scan

LISTEN_SEC = 20.0  # of each recording on the page


def shown(value: Any, unit: str = "") -> str:
    """A value as a person reads it: four digits, of decibels hundredths."""
    if isinstance(value, float) and unit == "dB":
        value = round(value, 2) + 0.0  # no negative zero
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{text} {unit}".strip()


def settings_rows(document: dict[str, Any]) -> list[list[str]]:
    """Parameter, value, what the controller predicted, and a remark."""
    rows = []
    for name, entry in document["settings"].items():
        predicted = (document["predicted"] or {}).get(name)
        before = "" if predicted is None else shown(predicted, entry["unit"])
        changed = document["refined"] is not None and predicted != entry["value"]
        remarks = {
            "locked": name in document["locked"],
            "refined": changed and name not in document["locked"],
            "not audible here": not entry.get("heard", True),
        }
        if document["kept_take"]:
            remarks = {"not used": True}
        remark = ", ".join(words for words, holds in remarks.items() if holds)
        rows.append([name, shown(entry["value"], entry["unit"]), before, remark])
    return rows


COLUMNS = ("parameter", "value", "predicted", "")


def terminal_table(document: dict[str, Any]) -> Table:
    """The settings, for the terminal."""
    table = Table(*COLUMNS, title=escape(document["effect"]))
    for row in settings_rows(document):
        table.add_row(*map(escape, row))
    table.add_row("level", f"{document['gain_db']:+.2f} dB", "", "")
    return table


def _name(entry: dict[str, Any]) -> str:
    """The name of a file without its folder, on any system."""
    return re.split(r"[/\\]", entry["file"])[-1]


def compared_sentence(document: dict[str, Any]) -> str:
    """How loud the parts of input and references are that were compared."""

    def loudness(entry: dict[str, Any]) -> str:
        return "no loudness" if entry["lufs"] is None else f"{entry['lufs']:.1f} LUFS"

    own, *others = document["compared"]
    parts = []
    for entry, reference in zip(others, document["references"], strict=True):
        weight = f", weight {entry['weight']}" if entry["weight"] != 1 else ""
        aspect = f" for {entry['aspect']} alone" if entry["aspect"] else ""
        parts.append(f"{entry['windows']} of {_name(reference)}{aspect} ({loudness(entry)}{weight})")
    return f"{own['windows']} windows of the input ({loudness(own)}) with {', '.join(parts)}"


def settings_cards(document: dict[str, Any]) -> dict[str, tuple[Sequence[str], list[list[str]]]]:
    """The settings of each effect of a chain as columns and rows; how much each can move the sound, where known."""
    rows = settings_rows(document)
    is_changed = any(predicted not in ("", value) for _, value, predicted, _ in rows)
    cards: dict[str, list[list[str]]] = {}
    for (name, value, predicted, remark), entry in zip(rows, document["settings"].values()):
        effect, _, own = name.rpartition(".")
        moves = f"moves ≤ {entry['moves_db']:.1f} dB" if entry.get("heard") else ""
        row = [own, value, *[f"predicted {predicted}" if predicted else ""] * is_changed, remark or moves]
        cards.setdefault(effect or document["effect"], []).append(row)
    cards["Level"] = [["gain after the effects", f"{document['gain_db']:+.2f} dB", ""]]
    return {effect: ((), rows) for effect, rows in cards.items()}


def reference_clips(
    references: Sequence[Recording], scans: Sequence[Scan], aspects: Sequence[str], seconds: float
) -> list[PlayerClip]:
    """Excerpts of references, from where each is most active; labels say for what kind of effects one is given."""
    numbers = [""] if len(references) == 1 else [f" {number}" for number in range(1, 1 + len(references))]
    labels = [f"Reference{number}{f' ({aspect})' * bool(aspect)}" for number, aspect in zip(numbers, aspects)]
    found = [windows.excerpt(*one, seconds) for one in zip(references, scans, strict=True)]
    return [
        PlayerClip("reference", label, one.read(*place).copy(), one.sample_rate)
        for label, one, place in zip(labels, references, found)
    ]


def listening_clips(
    source: Recording,
    references: Sequence[Recording],
    output: Recording,
    scan: Scan,
    scans: Sequence[Scan],
    aspects: Sequence[str],
) -> list[PlayerClip]:
    """Excerpts for the page, from where source and references are most active.

    Further references come last: take, reference and output have the same keys in every page.

    Args:
        source, references, output: whole recordings.
        scan: of the source.
        scans: of the references.
        aspects: the kind of effects that each reference is given for, "" for all.
    """
    at, _ = windows.excerpt(source, scan, LISTEN_SEC)
    take, result = (
        PlayerClip(role, role.capitalize(), one.read(at, round(LISTEN_SEC * one.sample_rate)).copy(), one.sample_rate)
        for role, one in (("take", source), ("output", output))
    )
    first, *others = reference_clips(references, scans, aspects, LISTEN_SEC)
    return [take, first, result, *others]


def page(document: dict[str, Any], clips: Sequence[PlayerClip]) -> str:
    """One HTML file: player, charts, settings; nothing is fetched from anywhere.

    Args:
        document: of `document.settings_document`.
        clips: of `listening_clips`.
    """
    take, *references = [_name(entry) for entry in (document["input"], *document["references"])]
    cards = settings_cards(document)
    result = Page(f"{take} in the style of {', '.join(references)}", " → ".join(list(cards)[:-1]))
    result.text(f"Fit to the reference: {document['fit']['sentence']}.", "answer")
    result.player(clips, f"Up to {LISTEN_SEC:.0f} s of each, from where it is most active.")
    result.heading("Settings")
    result.cards(cards)
    result.heading("Fit")
    distances = document["fit"]["distances"].items()
    result.table(
        ("distance from the reference", "take", "output", "change"),
        [[name, f"{d['before_db']:.1f} dB", f"{d['after_db']:.1f} dB", d["change"]] for name, d in distances],
    )
    result.text(f"Compared: {compared_sentence(document)}.")
    if document["fit"]["prediction"]["sentence"]:
        result.text(f"Prediction: {document['fit']['prediction']['sentence']}.")
    for note in document["notes"]:
        result.text(note, "note")
    return result.render()
