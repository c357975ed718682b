"""DAWproject: take, output and references as tracks, with the chain on the take's.

https://github.com/bitwig/dawproject. A zip of project.xml, metadata.xml, recordings and plugin states. VST3 plugins are
exact. The format's own devices stand in for built-ins where it has them; every program brings its own device of the
kind, so they are approximate, and named so.
"""

import re
import zipfile
from collections.abc import Iterator
from itertools import count, groupby
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from dafxvae.audio.io import audio_info
from dafxvae.core.files import whole_file
from dafxvae.core.version import __version__
from dafxvae.transfer.exports.material import ChainStage, Exported, Material, PluginState

EQUALIZER, GAIN = "Equalizer", "Gain"
BANDS = {  # built-in filters: type of the band
    "HighpassFilter": "highPass",
    "LowpassFilter": "lowPass",
    "PeakFilter": "bell",
    "LowShelfFilter": "lowShelf",
    "HighShelfFilter": "highShelf",
}
_TIMED = {"Attack": "attack_ms", "Ratio": "ratio", "Release": "release_ms", "Threshold": "threshold_db"}
DEVICES = {  # built-in dynamics: the device, and its parameters in the order of the format
    "Compressor": ("Compressor", _TIMED),
    "NoiseGate": ("NoiseGate", _TIMED),
    "Limiter": ("Limiter", {"Release": "release_ms", "Threshold": "threshold_db"}),
    "BrickwallLimiter": ("Limiter", {"Release": "release_ms", "Threshold": "ceiling_db"}),
}
UNITS = {"ms": ("seconds", 1e-3), "db": ("decibel", 1.0), "hz": ("hertz", 1.0)}  # by the end of a parameter's name
TEMPO_BPM = 120.0  # any: all times are in seconds
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Project:
    """The elements of project.xml, and the files beside it."""

    def __init__(self, material: Material) -> None:
        self.material = material
        self.files: list[tuple[str, Path | bytes]] = []
        self._ids = (f"id{number}" for number in count())
        self.root = Element("Project", version="1.0")
        SubElement(self.root, "Application", name="dafxvae", version=__version__)
        transport = SubElement(self.root, "Transport")
        self.real(transport, "Tempo", TEMPO_BPM, "bpm")
        self.named(transport, "TimeSignature", numerator="4", denominator="4")
        self.structure = SubElement(self.root, "Structure")
        self.lanes = self.named(self.named(self.root, "Arrangement"), "Lanes", timeUnit="seconds")
        self.master = next(self._ids)

    def named(self, parent: Element, tag: str, **attributes: str) -> Element:
        """An element that can be referred to."""
        return SubElement(parent, tag, {"id": next(self._ids), **{k: _xml_text(v) for k, v in attributes.items()}})

    def real(self, parent: Element, tag: str, value: float, unit: str) -> None:
        """A parameter with a number."""
        self.named(parent, tag, unit=unit, value=repr(float(value)))

    def track(self, name: str, path: Path, *, muted: bool) -> Element:
        """A track with a recording; returns its channel's devices."""
        info = audio_info(path)
        track = self.named(self.structure, "Track", contentType="audio", loaded="true", name=name)
        channel = self.named(
            track, "Channel", audioChannels=str(info.num_channels), destination=self.master, role="regular"
        )
        devices = SubElement(channel, "Devices")
        self.named(channel, "Mute", value=str(muted).lower())
        self.real(channel, "Volume", 1.0 if muted else float(self.material.stored.factor), "linear")
        inside = f"audio/{name}{path.suffix}"
        self.files.append((inside, path))
        clips = self.named(self.named(self.lanes, "Lanes", track=track.attrib["id"]), "Clips")
        clip = SubElement(
            clips, "Clip", time="0.0", duration=repr(info.length_sec), contentTimeUnit="seconds", name=name
        )
        audio = self.named(
            clip,
            "Audio",
            duration=repr(info.length_sec),
            sampleRate=str(info.sample_rate),
            channels=str(info.num_channels),
        )
        SubElement(audio, "File", path=inside)
        return devices

    def add_master(self) -> None:
        """The track that all others lead to."""
        track = self.named(self.structure, "Track", contentType="audio", loaded="true", name="Master")
        SubElement(track, "Channel", id=self.master, audioChannels="2", role="master")

    def plugin(self, devices: Element, place: int, state: PluginState) -> None:
        """A VST3 plugin with its state."""
        device = self.named(
            devices,
            "Vst3Plugin",
            deviceID=state.class_id,
            deviceName=state.name,
            deviceRole="audioFX",
            deviceVendor=state.maker,
            pluginVersion=state.version,
            name=state.label,
        )
        self.named(device, "Enabled", value="true")
        inside = f"plugins/{place + 1}.vstpreset"
        SubElement(device, "State", path=inside)
        self.files.append((inside, state.preset))

    def device(self, devices: Element, tag: str, stages: list[ChainStage]) -> None:
        """A device of the format in place of built-ins."""
        what = "; ".join(stage.sentence for stage in stages)
        kind = "exact" if all(stage.label == GAIN for stage in stages) else "approximate"
        device = self.named(
            devices, tag, deviceName=tag, deviceRole="audioFX", name=f"{kind}: {what}", comment=f"{kind}: {what}"
        )
        self.named(device, "Enabled", value="true")
        if tag == EQUALIZER:
            for stage in stages:
                self._band(device, stage)
            return
        for name, argument in DEVICES[stages[0].label][1].items():
            self._argument(device, name, stages[0], argument)

    def _band(self, device: Element, stage: ChainStage) -> None:
        if stage.label == GAIN:
            self._argument(device, "OutputGain", stage, "gain_db")
            return
        band = SubElement(device, "Band", type=BANDS[stage.label])
        self._argument(band, "Freq", stage, "cutoff_frequency_hz")
        if "q" in stage.arguments:
            self._argument(band, "Gain", stage, "gain_db")
            self._argument(band, "Q", stage, "q")
        else:
            band.set("order", "1")

    def _argument(self, parent: Element, tag: str, stage: ChainStage, argument: str) -> None:
        unit, factor = UNITS.get(argument.rpartition("_")[2], ("linear", 1.0))
        self.real(parent, tag, stage.arguments[argument] * factor, unit)


def _xml_text(text: str) -> str:
    """Text without what XML cannot hold, such as names of files that are not UTF-8."""
    return NOT_XML.sub("?", text)


def _device_of(stage: ChainStage) -> str:
    """The format's device for a built-in, "" where it has none."""
    return EQUALIZER if stage.label in BANDS else DEVICES.get(stage.label, ("",))[0]


def _groups(material: Material) -> Iterator[tuple[str, list[tuple[int, ChainStage]]]]:
    """Stages by device, with their places: filters in a row share an equaliser."""
    for tag, group in groupby(enumerate(material.stages), lambda pair: _device_of(pair[1])):
        pairs = list(group)
        yield from [(tag, pairs)] if tag == EQUALIZER else [(tag, [pair]) for pair in pairs]


def write_dawproject(material: Material, target: Path) -> Exported:
    """Writes the project; the take's track plays, those of output and references are muted."""
    project = _Project(material)
    devices = project.track("take", material.take, muted=False)
    missing, stand_ins = [], []
    for tag, pairs in _groups(material):
        place, stage = pairs[0]
        if place in material.plugins:
            project.plugin(devices, place, material.plugins[place])
        elif stage.label == GAIN:
            project.device(devices, EQUALIZER, [stage])
        elif tag:
            project.device(devices, tag, [one for _, one in pairs])
            stand_ins += [one.label for _, one in pairs]
        else:
            missing.append(stage.sentence)
    project.track("output", material.output, muted=True)
    for number, path in enumerate(material.references, 1):
        project.track(f"reference {number}", path, muted=True)
    project.add_master()
    notes = [f"approximate, as every program brings its own devices: {', '.join(stand_ins)}"] if stand_ins else []
    notes += [f"left out, as the format has no device of the kind: {', '.join(missing)}"] if missing else []
    notes += material.channel_notes
    metadata = Element("MetaData")
    SubElement(metadata, "Title").text = _xml_text(material.title)
    SubElement(metadata, "Comment").text = _xml_text("\n".join([f"Chain: {material.host.name}", *notes]))
    project.structure[0].set("comment", _xml_text("; ".join(notes) or "exact"))
    xml = [("project.xml", project.root), ("metadata.xml", metadata)]
    with whole_file(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, root in xml:
            archive.writestr(name, ElementTree.tostring(root, "utf-8", xml_declaration=True))
        for name, content in project.files:
            if isinstance(content, bytes):
                archive.writestr(name, content)
            else:
                archive.write(content, name, zipfile.ZIP_STORED)
    return Exported([target], notes)
