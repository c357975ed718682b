"""Report of a transfer: a table for the terminal, a page."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from dafxvae.reporting.page import Page
from dafxvae.transfer.recordings import Recording

LISTEN_SEC = 20.0  # of each recording on the page


def shown(value: Any, unit: str = "") -> str:
    """A value as a person reads it."""
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
            "not heard here": not entry.get("heard", True),
        }
        if document["kept_take"]:
            remarks = {"not used": True}
        remark = ", ".join(words for words, holds in remarks.items() if holds)
        rows.append([name, shown(entry["value"], entry["unit"]), before, remark])
    return rows


COLUMNS = ("parameter", "value", "predicted", "")


def terminal_table(document: dict[str, Any]) -> Table:
    """The settings, for the terminal."""
    table = Table(*COLUMNS, title=document["effect"].replace("[", r"\["))
    for row in settings_rows(document):
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    table.add_row("level", f"{document['gain_db']:+.2f} dB", "", "")
    return table


def page(document: dict[str, Any], recordings: Mapping[str, tuple[Recording, int]], image: bytes) -> str:
    """One HTML file: players, settings, picture; nothing is fetched from anywhere.

    Args:
        document: of `document.settings_document`.
        recordings: label to (recording, first sample of its excerpt); one sample rate each.
        image: of `dafxvae.transfer.overview.picture`.
    """
    names = ", ".join(entry["file"] for entry in document["references"])
    result = Page("Style transfer", f"{document['input']['file']} in the style of {names}")
    result.heading("Listen")
    for label, (source, start) in recordings.items():
        clip = source.read(start, round(LISTEN_SEC * source.sample_rate))
        result.sounds({label: clip}, source.sample_rate)
    result.text(f"Up to {LISTEN_SEC:.0f} s of each, from where it is most active; 16 bit.", "note")
    result.heading("Settings")
    result.text(document["effect"])
    rows = [*settings_rows(document), ["level", f"{document['gain_db']:+.2f} dB", "", ""]]
    result.table(COLUMNS, rows)
    result.heading("Fit")
    result.text(f"{document['fit']['sentence']}.")
    distances = document["fit"]["distances"].items()
    result.table(
        ("distance from the reference", "input", "with the effect", ""),
        [[name, f"{d['before_db']:.1f} dB", f"{d['after_db']:.1f} dB", d["change"]] for name, d in distances],
    )
    for note in document["notes"]:
        result.text(note, "note")
    result.heading("Spectra and levels")
    result.picture(image, "average spectra and level envelopes of input, reference and output")
    return result.render()
