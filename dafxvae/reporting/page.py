"""A self-contained HTML page of pictures, sounds and tables."""

import base64
import html
import io
import re
import wave
from collections.abc import Mapping, Sequence

import numpy as np

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1b2430;max-width:1360px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.2rem} h2{margin-top:2.6rem;border-bottom:1px solid #d9dde2} h3{margin-bottom:.3rem}
.table{overflow-x:auto;margin:.8rem 0} table{border-collapse:collapse;font-size:.85rem}
.interval{white-space:nowrap;color:#5a6675;font-size:.75rem}
td,th{padding:.22rem .45rem;border-bottom:1px solid #e6e9ed}
th{text-align:left;font-weight:600} td{font-variant-numeric:tabular-nums} img{max-width:100%;height:auto}
.sounds{display:flex;flex-wrap:wrap;gap:.5rem;margin-bottom:1.4rem} .sounds figure{margin:0;font-size:.75rem}
audio{width:170px;height:30px;display:block}
.note{color:#5a6675;font-size:.85rem} .yes{color:#22733a} .no{color:#a8321f}
.answer{background:#f2f5f9;border-left:4px solid #1f5fa8;padding:.6rem 1rem;margin:1rem 0}
"""
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


class Page:
    """Collects parts in order; every text is escaped."""

    def __init__(self, title: str, subtitle: str):
        self._title = html.escape(title)
        self._parts = [f"<h1>{self._title}</h1><p class=note>{html.escape(subtitle)}</p>"]

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
        head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
        body = "".join("<tr>" + "".join(self._cell(cell) for cell in row) + "</tr>" for row in rows)
        self._parts.append(f"<div class=table><table><tr>{head}</tr>{body}</table></div>")

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

    def render(self) -> str:
        """The page."""
        body = "\n".join(self._parts)
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{self._title}</title>'
            f"<style>{STYLE}</style><body>{body}</body></html>\n"
        )
