"""What an export is made of: stored settings, their chain, the recordings, and the states of plugins."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dafxvae.audio.io import audio_info
from dafxvae.core.errors import EffectError, UserError
from dafxvae.core.paths import user_path
from dafxvae.effects.factory import ChainHost
from dafxvae.effects.units import BuiltinUnit, RenderError
from dafxvae.effects.vst3.plugin import Vst3Unit
from dafxvae.effects.vst3.process import PluginProcess
from dafxvae.transfer.document import StoredTransfer, identity, read_document
from dafxvae.transfer.files import open_stored

SETTLE_SAMPLES = 8192  # plugins take over their settings when they play


class PluginState(NamedTuple):
    """A VST3 plugin of the chain as a host stores it."""

    label: str  # of the chain
    name: str  # its own
    maker: str
    version: str
    class_id: str  # 32 hexadecimal digits
    preset: bytes  # a .vstpreset file
    values: list[tuple[str, float]]  # a host's name of each parameter, and its value in [0, 1]


class Exported(NamedTuple):
    """Files that an export wrote, and what a user should know of them."""

    paths: list[Path]
    notes: list[str]


@dataclass(frozen=True)
class ChainStage:
    """One effect of the chain with its settings."""

    unit: BuiltinUnit | Vst3Unit
    physical: np.ndarray  # [K] of this unit
    sample_rate: int  # Hz

    @property
    def label(self) -> str:
        return self.unit.spec.label

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """Name to physical value of a built-in, constants included."""
        assert isinstance(self.unit, BuiltinUnit)
        return self.unit.arguments(self.physical, self.sample_rate)

    @property
    def sentence(self) -> str:
        """A built-in and its settings as a person reads them: "Delay (delay_seconds 0.25, mix 0.5)"."""
        shown = [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in self.arguments.items()]
        return f"{self.label} ({', '.join(shown)})"


@dataclass(frozen=True)
class Material:
    """Stored settings with their chain open."""

    settings: Path
    stored: StoredTransfer
    host: ChainHost

    @property
    def title(self) -> str:
        """The name of the output's file."""
        return self.settings.name.removesuffix(".settings.json")

    @property
    def sample_rate(self) -> int:
        """Hz, of the take and the output."""
        return int(self.stored.output["sample_rate"])

    @cached_property
    def num_channels(self) -> int:
        """Of the take."""
        return audio_info(self.take).num_channels

    @cached_property
    def take(self) -> Path:
        """The recording that was processed."""
        return self._found(self.stored.take)

    @cached_property
    def references(self) -> list[Path]:
        """The recordings whose style it was given."""
        return [self._found(entry) for entry in self.stored.references]

    @cached_property
    def output(self) -> Path:
        """The result."""
        return self._found(self.stored.output)

    def _found(self, entry: dict[str, Any]) -> Path:
        """A recording that the settings name: as they name it, or beside them.

        Raises:
            UserError: it is not there, or another one by now.
        """
        named = user_path(entry["file"])
        beside = self.settings.parent
        path = next((p for p in (named, beside / named, beside / named.name) if p.is_file()), None)
        if path is None:
            raise UserError(f"{self.settings} names {named}, which is not there: put it beside the settings")
        if "bytes" in entry and identity(path) | {"file": ""} != entry | {"file": ""}:
            raise UserError(f"{path} is not the recording that was transferred, or was changed since: transfer again")
        return path

    @cached_property
    def stages(self) -> list[ChainStage]:
        """The effects, in order."""
        chain = self.host.chain
        physical = chain.parameters.to_physical(self.stored.unit_params)
        settings = chain.settings(physical, 0, len(chain.units))
        return [ChainStage(unit, values, self.sample_rate) for unit, values in zip(chain.units, settings, strict=True)]

    @cached_property
    def plugins(self) -> dict[int, PluginState]:
        """The state of each VST3 plugin, by its place in the chain.

        Raises:
            EffectError: one crashes or hangs.
        """
        return {i: self._state(stage) for i, stage in enumerate(self.stages) if isinstance(stage.unit, Vst3Unit)}

    def _state(self, stage: ChainStage) -> PluginState:
        unit = stage.unit
        assert isinstance(unit, Vst3Unit)
        channels = self.num_channels
        with closing(PluginProcess(self.host.pool.limits)) as process:
            try:
                about = process.describe(unit.path, unit.spec.plugin)
                process.open_stream(unit, stage.physical, self.sample_rate, channels)
                process.feed(np.zeros((SETTLE_SAMPLES, channels), np.float32), self.sample_rate)
                preset, values = process.stream_preset()
            except RenderError as error:
                raise EffectError(f"the plugin {unit.label} {error}") from error
        class_id = preset[8:40].decode("ascii", "replace")
        return PluginState(unit.label, about["name"], about["maker"], about["version"], class_id, preset, values)

    @property
    def channel_notes(self) -> list[str]:
        """Plugins that were played in another form than that in which a host plays them."""
        forms = {(1, 2): "once for each channel", (2, 1): "with both channels alike, and their mean taken"}
        found = []
        for stage in self.stages:
            if isinstance(stage.unit, Vst3Unit) and self.num_channels not in stage.unit.channels:
                form = forms[stage.unit.channels[-1], self.num_channels]
                found.append(f"{stage.label} was played {form}, as it does not take the take's channels; hosts differ")
        return found


@contextmanager
def open_material(settings: Path) -> Iterator[Material]:
    """Stored settings, their chain open.

    Args:
        settings: `OUT.settings.json`.

    Raises:
        UserError: see `read_document`; or the chain cannot be opened.
    """
    stored = read_document(settings)
    try:
        names = [entry["file"] for entry in (stored.take, *stored.references, stored.output)]
        is_whole = all(isinstance(name, str) for name in names) and stored.output["sample_rate"] > 0
    except (KeyError, TypeError):
        is_whole = False
    if not is_whole:
        raise UserError(f"{settings} does not say of which recordings it is: it was edited by hand; transfer again")
    with open_stored(settings, stored) as host:
        yield Material(settings, stored, host)
