"""Single effects as streams, each with Pedalboard's `process(chunk, sample_rate, reset=False)`.

The classes need numpy and Pedalboard alone, and nothing else of this package: the snippets that `dafxvae.transfer`
writes contain their source, so that a snippet plays what was played here, to the bit.
"""

from typing import Any

import numpy as np
import pedalboard


class Segments:
    """A plugin that cannot go on where its last call ended, played in long segments that fade into each other.

    PitchShift and GSMFullRateCompressor begin every call with silence or a jump. A segment begins with `LEAD` samples
    of what came before, which are dropped; up to `LENGTH` samples the result is that of one call.
    """

    LENGTH, LEAD, FADE = 1 << 22, 1 << 16, 1 << 12

    def __init__(self, plugin, end):
        self.plugin = plugin
        self.end = end  # samples that matter; after them comes silence
        self.held, self.lead = None, 0  # input that is still needed; how much of it only leads in
        self.received = self.done = 0
        self.fade = None  # how the last segment would have gone on

    def process(self, chunk, sample_rate, reset=False):
        if self.done >= self.end:
            return np.zeros_like(chunk)
        self.held = chunk if self.held is None else np.concatenate([self.held, chunk])
        self.received += len(chunk)
        parts = [chunk[:0]]
        whole = self.LENGTH + self.FADE
        while self.done < self.end and (len(self.held) >= self.lead + whole or self.received >= self.end):
            take = self.lead + min(whole, self.end - self.done)
            played = self.plugin.process(self.held[:take], sample_rate, reset=True)[self.lead :]
            if self.fade is not None:
                count = min(len(self.fade), len(played))
                ramp = (np.arange(count, dtype=np.float32) / np.float32(self.FADE))[:, None]
                played[:count] = ramp * played[:count] + (1 - ramp) * self.fade[:count]
            keep = len(played) if self.done + len(played) >= self.end else self.LENGTH
            parts.append(played[:keep])
            self.fade = played[keep:]
            self.held = self.held[self.lead + self.LENGTH - self.LEAD :]
            self.lead = self.LEAD
            self.done += keep
        return np.concatenate(parts)


class Vst3:
    """A VST3 plugin with its settings, freshly loaded.

    A plugin receives only changes, and before the first one may hold inner values that differ from what its knobs
    show: everything is set to something else once. Where asked for, silence lets its smoothers come to rest.
    """

    def __init__(self, path, name, raw_values, sample_rate, num_channels, takes, lead_samples):
        self.takes = takes  # channel counts; another one is duplicated and averaged, or split over two instances
        copies = 2 if num_channels == 2 and 2 not in takes else 1
        self.plugins: list[Any] = [pedalboard.VST3Plugin(path, plugin_name=name) for _ in range(copies)]
        for plugin in self.plugins:
            for key in raw_values:
                plugin.parameters[key].raw_value = (plugin.parameters[key].raw_value + 0.37) % 1.0
            plugin.process(np.zeros((4410, takes[-1]), np.float32), 44100)
            for key, value in raw_values.items():
                plugin.parameters[key].raw_value = value
            plugin.reset()
        self.drop = 0
        if lead_samples:
            silence = np.zeros((lead_samples, num_channels), np.float32)
            self.drop = lead_samples - len(self.process(silence, sample_rate))

    def process(self, chunk, sample_rate, reset=False):
        channels = chunk.shape[1]
        if channels in self.takes:
            out = self.plugins[0].process(chunk, sample_rate, reset=False)
        elif channels == 1:
            stereo = self.plugins[0].process(np.repeat(chunk, 2, axis=1), sample_rate, reset=False)
            out = np.float32(0.5) * (stereo[:, :1] + stereo[:, 1:])
        else:
            sides = [np.ascontiguousarray(chunk[:, c : c + 1]) for c in (0, 1)]
            pairs = zip(self.plugins, sides)
            out = np.concatenate([plugin.process(side, sample_rate, reset=False) for plugin, side in pairs], axis=1)
        late, self.drop = min(self.drop, len(out)), max(0, self.drop - len(out))
        return out[late:]
