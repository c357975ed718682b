"""How a controller listens to clips that are longer than those that it was trained on."""

import numpy as np

from dafxvae.controllers.controller import Controller


def window_starts(num_samples: int, window: int) -> list[int]:
    """Starts of the windows that cover a clip: side by side, the last one flush with the end."""
    if num_samples <= window:
        return [0]
    starts = list(range(0, num_samples - window + 1, window))
    return starts if starts[-1] == num_samples - window else [*starts, num_samples - window]


class Listener:
    """A controller's ears for clips of any length.

    A controller knows clips of `clip_samples`. A longer clip is cut into such windows; window i of the input is heard
    with window i of the reference, and from what is heard of all windows together (`Controller.average`) h makes one
    setting. No other pairing of windows is tried.
    """

    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    def _windows(self, audio: np.ndarray) -> np.ndarray:
        """`[B, T, C] -> [B * W, window, C]`, the windows of an item side by side."""
        window = min(self.controller.clip_samples, audio.shape[1])
        cut = [audio[:, start : start + window] for start in window_starts(audio.shape[1], window)]
        return np.stack(cut, axis=1).reshape(-1, window, audio.shape[2])

    def latent(self, dry: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """What h hears of all windows (`Controller.average`); two `[B, T, C]` of one shape -> `[B, Z + S]`."""
        if dry.shape != reference.shape:
            raise ValueError(f"input {dry.shape} and reference {reference.shape} differ in shape")
        z = self.controller.latent(self._windows(dry), self._windows(reference))
        return self.controller.average(z.reshape(len(dry), -1, z.shape[-1]))

    def settings(self, dry: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Settings by what is heard of all windows; `[B, K]` in [0, 1]."""
        return self.controller.settings(self.latent(dry, reference))

    def encoding(self, audio: np.ndarray) -> np.ndarray:
        """Mean over the windows of f's encoding; `[B, T, C] -> [B, E]`."""
        hearing = self.controller.hearing
        encodings = hearing.encode(self._windows(audio), beside=False)[:, : hearing.encoders.f.encoding_size]
        return encodings.reshape(len(audio), -1, encodings.shape[-1]).mean(1)
