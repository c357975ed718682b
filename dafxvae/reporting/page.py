"""A self-contained HTML page of pictures, sounds and tables."""

import base64
import html
import io
import json
import re
import wave
from collections.abc import Mapping, Sequence
from importlib.resources import files

import numpy as np

from dafxvae.reporting.player import PlayerClip, player_data

WEB = files("dafxvae.reporting") / "web"
MODULES = ("dom", "mix", "waveform", "trials", "blind", "charts", "player")  # imported by these names
INTERVAL = r"\([^()]* … [^()]*\)"


def wav_bytes(audio: np.ndarray, sample_rate: int) -> bytes:
    """16-bit WAV of `[T, C]`; a peak above full scale is brought down to it."""
    peak = float(np.abs(audio).max()) if audio.size else 0.0
    samples = np.round(np.nan_to_num(audio) / max(peak, 1.0) * 32767.0).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(audio.shape[1])
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _web(name: str) -> str:
    return (WEB / name).read_text(encoding="utf-8")


def _scripts() -> str:
    """The modules of the page inside it: an import map leads from their names to their text."""
    imports = {name: _data("text/javascript", _web(f"{name}.js").encode()) for name in MODULES}
    map_ = json.dumps({"imports": imports})
    return f'<script type="importmap">{map_}</script><script type="module">{_web("main.js")}</script>'


class Page:
    """Collects parts in order; every text is escaped."""

    def __init__(self, title: str, subtitle: str):
        self._title = html.escape(title)
        self._parts = [f"<p class=brand>dafxvae</p><h1>{self._title}</h1><p class=note>{html.escape(subtitle)}</p>"]
        self._has_player = False

    def heading(self, text: str) -> None:
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def subheading(self, text: str) -> None:
        self._parts.append(f"<h3>{html.escape(text)}</h3>")

    def text(self, text: str, kind: str = "") -> None:
        """A paragraph; `kind` is "", "note" or "answer"."""
        self._parts.append(f'<p class="{kind}">{html.escape(text)}</p>')

    def picture(self, image: bytes, description: str) -> None:
        """A PNG or JPEG file."""
        kind = "image/png" if image.startswith(b"\x89PNG") else "image/jpeg"
        self._parts.append(f'<img src="{_data(kind, image)}" alt="{html.escape(description, quote=True)}">')

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Plain cells; "yes" and "no" are coloured, **so** is bold, and an interval (low … high) stays on one line."""
        head = "".join(f"<th scope=col>{html.escape(column)}</th>" for column in columns)
        body = "".join("<tr>" + "".join(self._cell(cell) for cell in row) + "</tr>" for row in rows)
        self._parts.append(f"<div class=table><table>{f'<tr>{head}</tr>' if any(columns) else ''}{body}</table></div>")

    def cards(self, tables: Mapping[str, tuple[Sequence[str], Sequence[Sequence[str]]]]) -> None:
        """Small tables with titles, beside each other; columns and rows as of `table`."""
        self._parts.append("<div class=cards>")
        for title, (columns, rows) in tables.items():
            self._parts.append(f"<section class=card><h3>{html.escape(title)}</h3>")
            self.table(columns, rows)
            self._parts.append("</section>")
        self._parts.append("</div>")

    def details(self, summary: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table behind a click."""
        self._parts.append(f"<details><summary>{html.escape(summary)}</summary>")
        self.table(columns, rows)
        self._parts.append("</details>")

    @staticmethod
    def _cell(cell: str) -> str:
        if cell in ("yes", "no"):
            return f"<td class={cell}>{cell}</td>"
        text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", html.escape(cell))
        text = re.sub(INTERVAL, r"<span class=interval>\g<0></span>", text)
        return f"<td>{text}</td>"

    def sounds(self, sounds: Mapping, sample_rate: int) -> None:
        """Players in a row, each under its label."""
        players = "".join(
            f"<figure><figcaption>{html.escape(label)}</figcaption>"
            f'<audio controls preload=none src="{_data("audio/wav", wav_bytes(clip, sample_rate))}"></audio></figure>'
            for label, clip in sounds.items()
        )
        self._parts.append(f"<div class=sounds>{players}</div>")

    def player(self, clips: Sequence[PlayerClip], note: str = "") -> None:
        """Recordings to switch between at one position, and charts of them; the note says what they are."""
        content = json.dumps(player_data(clips)).replace("<", "\\u003c")  # no text of it ends the element
        self._parts.append(
            f'<section class="player" aria-label="Player"><p class="muted">{html.escape(note)}</p>'
            f'<script type="application/json">{content}</script>'
            '<noscript>The player and the charts need JavaScript.</noscript></section><div class="charts"></div>'
        )
        self._has_player = True

    def render(self) -> str:
        """The page."""
        body = "\n".join(self._parts)
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{self._title}</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<link rel="icon" href="data:,"><style>{_web("page.css")}</style></head>'
            f"<body><main>{body}</main>{_scripts() if self._has_player else ''}</body></html>\n"
        )
