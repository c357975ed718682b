"""TensorBoard event files: the one importer of tensorboardX."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tensorboardX import SummaryWriter


class Writer:
    """What a run shows while it goes on; a resumed run continues in the same folder."""

    def __init__(self, directory: Path):
        self._writer = SummaryWriter(str(directory), flush_secs=10)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One curve per name."""
        for name, value in values.items():
            self._writer.add_scalar(name, float(value), step)

    def audio(self, step: int, name: str, audio: np.ndarray, sample_rate: int) -> None:
        """A sound `[T, C]`; samples beyond [-1, 1] are clipped, as the format asks."""
        self._writer.add_audio(name, np.clip(audio, -1.0, 1.0), step, sample_rate)

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        """A picture, uint8 `[height, width, 3]`."""
        self._writer.add_image(name, pixels, step, dataformats="HWC")

    def table(self, step: int, name: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A Markdown table on the text page."""
        lines = ["|".join(header), "|".join("---" for _ in header), *("|".join(row) for row in rows)]
        self._writer.add_text(name, "\n".join(f"|{line}|" for line in lines), step)

    def text(self, step: int, name: str, text: str) -> None:
        """Markdown."""
        self._writer.add_text(name, text, step)

    def close(self) -> None:
        """Flushes and closes the file."""
        self._writer.close()
