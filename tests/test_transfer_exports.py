"""Exports of stored settings: each loads, plays or runs as what it was made from."""

import json
import os
import zipfile
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from dawproject_schema import METADATA, check_element, check_project
from effects_vst3 import zam
from rich.console import Console
from scipy.signal import oaconvolve
from transfer_toys import RATE, music

from dafxvae.core.errors import UserError
from dafxvae.effects.factory import open_host
from dafxvae.effects.vst3.plugin import Vst3Unit
from dafxvae.transfer.__main__ import main
from dafxvae.transfer.document import FORMAT, KIND, identity, write_document
from dafxvae.transfer.exports.formats import EXPORTS, parse_exports
from dafxvae.transfer.exports.impulse_response import linearity
from dafxvae.transfer.files import apply_settings

CHAIN = "HighpassFilter | PeakFilter | Gain | Compressor | NoiseGate | Reverb | BrickwallLimiter"
FACTOR = 0.5


def stored(folder, effect, channels=1, values: Mapping[str, float] | None = None):
    """Settings of a transfer, with its files; `values` by name, the others are drawn."""
    soundfile.write(folder / "in.wav", music(1.0, channels=channels, seed=1), RATE, "PCM_16")
    soundfile.write(folder / "ref.wav", music(1.0, seed=2), 48000, "PCM_16")
    with open_host(effect, num_workers=1) as host:
        unit = host.parameters.sample(np.random.default_rng(0), 1)[0]
        held = [host.parameters.names.index(name) for name in values or {}]
        unit[held] = host.parameters.from_values(values or {})[held]
    content = {
        "kind": KIND,
        "format": FORMAT,
        "effect": host.name,
        "settings": {},
        "input": identity(folder / "in.wav"),
        "references": [identity(folder / "ref.wav")],
        "output": {"file": str(folder / "out.wav"), "samples": 0, "sample_rate": RATE},
        "exact": {"unit_params": unit.tolist(), "factor": FACTOR, "max_tail_sec": 10.0},
    }
    path = folder / "out.wav.settings.json"
    write_document(path, content)
    apply_settings(path, [folder / "in.wav"], folder / "out.wav", "float", Console(quiet=True))
    return path


def export(settings, *formats):
    main(["export", str(settings), *(word for one in formats for word in ("--format", one))])


def refused(settings, *formats):
    with pytest.raises(UserError) as error:
        export(settings, *formats)
    return str(error.value)


def raw_values(effect, settings):
    """Name to value in [0, 1] of a plugin at stored settings."""
    with open_host(effect, num_workers=1) as host:
        unit = np.array(json.loads(settings.read_text())["exact"]["unit_params"])
        plugin = host.chain.units[0]
        assert isinstance(plugin, Vst3Unit)
        return dict(plugin.raw_values(host.parameters.to_physical(unit), RATE))


def at(root, path):
    """The element at a path."""
    element = root.find(path)
    assert element is not None, path
    return element


def read(path):
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


@pytest.mark.vst3
@pytest.mark.parametrize("name", ["ZamComp", "ZamEQ2", "ZamGate"])
def test_a_preset_gives_the_plugin_the_same_parameters_and_sound(tmp_path, name):
    import pedalboard

    settings = stored(tmp_path, zam(name))
    export(settings, "vstpreset")
    path = tmp_path / "out.wav.vstpreset"
    wanted = raw_values(zam(name), settings)
    plugin: Any = pedalboard.VST3Plugin(zam(name))
    plugin.load_preset(str(path))
    played = plugin.process(read(tmp_path / "in.wav")[:, 0], RATE, reset=False)
    np.testing.assert_array_equal(FACTOR * played, read(tmp_path / "out.wav")[: len(played), 0])
    plugin = pedalboard.VST3Plugin(zam(name))
    plugin.preset_data = path.read_bytes()  # load_preset leaves what Pedalboard shows of ZamGate as it was
    shown = {key: plugin.parameters[key].raw_value for key in wanted}
    assert shown == pytest.approx(wanted, abs=1e-6)


@pytest.mark.vst3
def test_presets_of_two_plugins_are_numbered_and_what_is_in_none_is_named(tmp_path, capsys):
    settings = stored(tmp_path, f"{zam('ZamComp')} | Reverb | {zam('ZamEQ2')}", channels=2)
    export(settings, "vstpreset", f"dawproject:{tmp_path / 'song.dawproject'}")
    assert {path.name for path in tmp_path.glob("*.vstpreset")} == {
        "out.wav.1.ZamComp.vstpreset",
        "out.wav.3.ZamEQ2.vstpreset",
    }
    printed = " ".join(capsys.readouterr().err.split())
    assert "not in a preset, as they are no VST3 plugins: Reverb" in printed
    assert "ZamComp was played once for each channel" in printed
    with zipfile.ZipFile(tmp_path / "song.dawproject") as archive:
        root = ElementTree.fromstring(archive.read("project.xml"))
        check_project(root)
        states = [at(device, "State").attrib["path"] for device in root.iter("Vst3Plugin")]
        presets = [archive.read(path) for path in states]
        assert presets == [path.read_bytes() for path in sorted(tmp_path.glob("*.vstpreset"))]
        assert [d.attrib["deviceID"].encode() for d in root.iter("Vst3Plugin")] == [one[8:40] for one in presets]


def test_a_project_holds_recordings_and_devices_as_the_schema_demands(tmp_path, capsys):
    values = {"PeakFilter.gain_db": 6.0, "Compressor.attack_ms": 20.0, "Compressor.ratio": 4.0, "Gain.gain_db": -3.0}
    settings = stored(tmp_path, CHAIN, channels=2, values=values)
    export(settings, "dawproject")
    with zipfile.ZipFile(tmp_path / "out.wav.dawproject") as archive:
        root, metadata = (ElementTree.fromstring(archive.read(name)) for name in ("project.xml", "metadata.xml"))
        files = [file.attrib["path"] for file in root.iter("File")]
        assert [archive.read(path) for path in files] == [
            (tmp_path / name).read_bytes() for name in ("in.wav", "out.wav", "ref.wav")
        ]
    check_project(root)
    check_element(metadata, METADATA)
    devices = [device.tag for device in at(root, ".//Devices")]
    assert devices == ["Equalizer", "Equalizer", "Compressor", "NoiseGate", "Limiter"]
    value = {
        path: float(at(root, f".//{path}").attrib["value"]) for path in ("Band/Gain", "OutputGain", "Compressor/Attack")
    }
    assert value == pytest.approx({"Band/Gain": 6.0, "OutputGain": -3.0, "Compressor/Attack": 0.02}, rel=1e-6)
    assert float(at(root, ".//Compressor/Ratio").attrib["value"]) == pytest.approx(4.0)
    assert [mute.attrib["value"] for mute in root.iter("Mute")] == ["false", "true", "true"]
    assert float(at(root, ".//Volume").attrib["value"]) == FACTOR
    assert at(root, ".//Compressor").attrib["name"].startswith("approximate: Compressor (")
    printed = " ".join(capsys.readouterr().err.split())
    for told in (printed, str(at(metadata, "Comment").text), at(root, ".//Track").attrib["comment"]):
        assert "left out, as the format has no device of the kind: Reverb (room_size" in told


@pytest.mark.parametrize(
    ("effect", "channels", "columns"),
    [
        ("HighpassFilter | PeakFilter | Gain", 1, 1),
        ("LowShelfFilter | Delay", 2, 2),
        ("PeakFilter | Reverb", 2, 4),
        ("Compressor(threshold_db, ratio=1)", 2, 2),
    ],
)
def test_convolution_with_the_impulse_response_gives_the_render(tmp_path, capsys, effect, channels, columns):
    export(stored(tmp_path, effect, channels), "ir")
    take, output, response = (read(tmp_path / name).astype(float) for name in ("in.wav", "out.wav", "out.wav.ir.wav"))
    assert response.shape[1] == columns
    sides = range(channels)
    pairs = {
        (i, o): i * channels + o if columns in (1, 4) else i for i in sides for o in sides if columns != 2 or i == o
    }
    wet = np.zeros_like(output)
    for (i, o), column in pairs.items():
        made = oaconvolve(take[:, i], response[:, column])[: len(output)]
        wet[: len(made), o] += made
    assert np.sum((wet - output) ** 2) < 1e-8 * np.sum(output**2)  # -80 dB
    printed = " ".join(capsys.readouterr().err.split())
    assert "reproduces the render of the take within -" in printed
    assert ("LL LR RL RR" in printed) == (columns == 4)


@pytest.mark.parametrize(
    ("effect", "reason"),
    [
        ("PeakFilter | Compressor(threshold_db=-30, ratio=4)", "Compressor: it is not linear: at -"),
        ("Gain | Chorus(rate_hz=2, depth=0.5)", "Chorus: it changes with time: "),
        ("NoiseGate(threshold_db=-50)", "NoiseGate: it is not linear: at -"),
    ],
)
def test_a_chain_that_is_not_linear_and_fixed_has_no_impulse_response(tmp_path, effect, reason):
    assert refused(stored(tmp_path, effect), "ir").startswith(reason)
    assert not (tmp_path / "out.wav.ir.wav").exists()


def test_sixteen_bits_are_not_linear_in_what_is_soft():
    with open_host("Bitcrush", num_workers=1) as host:
        assert linearity(host, np.ones(1, np.float32), RATE, 1).startswith("it is not linear: at -")


class Reaper:
    """What REAPER's interface did; its own effects show their values as 100 times themselves, less 60."""

    def __init__(self, path):
        self.effects, self.calls, self.path = [], [], path

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append((name, *arguments))

    def get_action_context(self):
        return True, str(self.path)

    def file_exists(self, path):
        return os.path.exists(os.fsencode(path))

    def CountTracks(self, _):
        return 0

    def TrackFX_AddByName(self, track, name, *_):
        values = [0.0] * 5
        self.effects.append(SimpleNamespace(name=name, values=values, bands=[], shown=""))
        return len(self.effects) - 1

    def TrackFX_SetNamedConfigParm(self, track, fx, key, value):
        self.effects[fx].shown = value

    def TrackFX_GetNumParams(self, track, fx):
        return 5

    def TrackFX_GetParamName(self, track, fx, index, _):
        return True, ("Threshold", "Ratio", "Attack", "Release", "Threshold")[index]

    def TrackFX_GetFormattedParamValue(self, track, fx, index, _):
        value = self.effects[fx].values[index]
        return True, f"{100 * value - 60:.2f} dB" if value else "-inf dB"

    def TrackFX_SetParamNormalized(self, track, fx, index, value):
        self.effects[fx].values[index] = value

    def TrackFX_SetParam(self, track, fx, index, value):
        self.effects[fx].values[index] = value

    def TrackFX_SetEQParam(self, track, fx, *band):
        self.effects[fx].bands.append(band)


def run_lua(path):
    """Runs a script of REAPER against a stand-in for its interface."""
    lupa = pytest.importorskip("lupa")
    lua, reaper = lupa.LuaRuntime(unpack_returned_tuples=True), Reaper(path)
    names = [name for name in dir(Reaper) if not name.startswith("__")]
    names += ["Undo_BeginBlock", "Undo_EndBlock", "InsertTrackAtIndex", "GetTrack", "GetSetMediaTrackInfo_String"]
    names += ["SetOnlyTrackSelected", "SetEditCurPos", "InsertMedia", "SetMediaTrackInfo_Value"]
    names += ["TrackList_AdjustWindows", "ShowConsoleMsg", "TrackFX_SetEQBandEnabled"]
    lua.globals().reaper = lua.table_from({name: getattr(reaper, name) for name in names})
    lua.execute(path.read_text())
    return reaper


def test_a_script_of_reaper_adds_its_own_effects_and_calls_them_approximate(tmp_path, capsys):
    values = {"PeakFilter.gain_db": 6.0, "PeakFilter.q": 1.0, "Compressor.threshold_db": -24.0, "Gain.gain_db": -3.0}
    export(stored(tmp_path, CHAIN, values=values), "reascript")
    reaper = run_lua(tmp_path / "out.wav.lua")
    names = [effect.name for effect in reaper.effects]
    assert names == ["ReaEQ", "ReaEQ", "JS:utility/volume", "ReaComp", "ReaGate", "ReaLimit"]
    assert reaper.effects[3].values[0] == pytest.approx(0.36, abs=1e-4)  # it shows -24 dB
    _, gain, octaves = reaper.effects[1].bands
    assert gain == (2, 0, 1, pytest.approx(10 ** (6 / 20)), False)
    assert octaves[3] == pytest.approx(1.388, abs=1e-3)  # of a q of 1
    assert reaper.effects[2].values[0] == pytest.approx(-3.0, abs=1e-5)
    assert [effect.shown[:11] == "approximate" for effect in reaper.effects] == [True, True, False, True, True, True]
    assert ("InsertMedia", str(tmp_path / "in.wav"), 0) in reaper.calls
    assert ("SetMediaTrackInfo_Value", None, "D_VOL", FACTOR) in reaper.calls
    messages = " ".join(call[1] for call in reaper.calls if call[0] == "ShowConsoleMsg")
    printed = " ".join(capsys.readouterr().err.split())
    for told in (messages, printed):
        assert "approximate, REAPER's own effects: HighpassFilter, PeakFilter, Compressor" in told
        assert "left out, as REAPER has no effect of the kind: Reverb (" in told


@pytest.mark.vst3
def test_a_script_of_reaper_sets_a_plugin_s_parameters_by_their_names(tmp_path):
    settings = stored(tmp_path, zam("ZamComp"))
    export(settings, "reascript")
    wanted = raw_values(zam("ZamComp"), settings)
    (plugin,) = run_lua(tmp_path / "out.wav.lua").effects
    assert (plugin.name, plugin.shown) == ("VST3:ZamComp", "ZamComp")
    found = plugin.values[:4]
    assert found == pytest.approx(
        [wanted[name] for name in ("threshold_db", "ratio", "attack_ms", "release_ms")], abs=1e-6
    )


def test_names_that_are_not_utf8_or_hold_quotes_survive(tmp_path):
    folder = tmp_path / 'a "b" \\c \u00e9'
    folder.mkdir()
    settings = stored(folder, "Gain")
    export(settings, "reascript", "dawproject")
    calls = run_lua(folder / "out.wav.lua").calls
    assert ("InsertMedia", str(folder / "in.wav"), 0) in calls
    moved = folder.rename(tmp_path / "moved")  # with the take in it
    assert ("InsertMedia", str(moved / "in.wav"), 0) in run_lua(moved / "out.wav.lua").calls
    (moved / "in.wav").unlink()
    said = [call[1] for call in run_lua(moved / "out.wav.lua").calls if call[0] == "ShowConsoleMsg"]
    assert any("not found" in one and "in.wav" in one for one in said)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (["wav"], "no export format is called 'wav': known: vstpreset, dawproject, ir, reascript"),
        (["dawprojet"], "did you mean dawproject"),
        (["ir:room.mp3"], "ends in .wav"),
        (["ir:"], "an empty path"),
        (["ir", "ir"], "twice"),
    ],
)
def test_formats_that_cannot_be(items, message):
    with pytest.raises(UserError, match=message):
        parse_exports(items)
    assert [request.form.name for request in parse_exports(list(EXPORTS))] == list(EXPORTS)


def test_what_an_export_needs_and_cannot_have_is_said(tmp_path):
    settings = stored(tmp_path, "Gain")
    assert "has no VST3 plugin: export it as dawproject" in refused(settings, "vstpreset")
    assert "also read" in refused(settings, f"ir:{tmp_path / 'in.wav'}")
    soundfile.write(tmp_path / "in.wav", music(1.0, channels=1, seed=7), RATE, "PCM_16")
    assert "is not the recording that was transferred" in refused(settings, "dawproject")
    (tmp_path / "in.wav").unlink()
    assert "which is not there: put it beside the settings" in refused(settings, "reascript")
    content = json.loads(settings.read_text())
    settings.write_text(json.dumps(content | {"output": {}}))
    assert "does not say of which recordings" in refused(settings, "ir")
    assert "cannot read the settings" in refused(tmp_path / "no.settings.json", "ir")
