"""A script of REAPER (Lua): a track with the take and the chain, its plugins set.

VST3 plugins get each parameter's value by its name. REAPER's own effects stand in for filters and dynamics; they work
in another way, so they are approximate, and named so.
"""

import math
import re
from pathlib import Path

from dafxvae.core.files import write_text
from dafxvae.core.version import __version__
from dafxvae.transfer.document import utf8_name
from dafxvae.transfer.exports.material import ChainStage, Exported, Material, PluginState

BAND_TYPES = {  # of ReaEQ's functions in the script's interface
    "HighpassFilter": 0,
    "LowShelfFilter": 1,
    "PeakFilter": 2,
    "HighShelfFilter": 4,
    "LowpassFilter": 5,
}
_TIMES = {"Attack": "attack_ms", "Release": "release_ms"}
STAND_INS = {  # built-in: REAPER's effect, and which of its parameters shall show what
    "Compressor": ("ReaComp", {"Thresh": "threshold_db", "Ratio": "ratio", **_TIMES}),
    "NoiseGate": ("ReaGate", {"Thresh": "threshold_db", **_TIMES}),
    "Limiter": ("ReaLimit", {"Threshold": "threshold_db", "Release": "release_ms"}),
    "BrickwallLimiter": ("ReaLimit", {"Ceiling": "ceiling_db", "Release": "release_ms"}),
}

TEMPLATE = """-- {chain}
-- Written by dafxvae {version}. REAPER: Actions, Show action list, New action, Load ReaScript.
{remarks}
local missing = {{}}

local function add(track, name, shown)
  local fx = reaper.TrackFX_AddByName(track, name, false, -1)
  if fx < 0 then
    missing[#missing + 1] = name
    return nil
  end
  reaper.TrackFX_SetNamedConfigParm(track, fx, "renamed_name", shown)
  return fx
end

-- VST3: values in [0, 1]; of parameters of one name, the first one takes the first value.
local function set_values(track, fx, values)
  local next_of = {{}}
  for i = 0, reaper.TrackFX_GetNumParams(track, fx) - 1 do
    local _, name = reaper.TrackFX_GetParamName(track, fx, i, "")
    local given = values[name]
    if given then
      next_of[name] = (next_of[name] or 0) + 1
      if given[next_of[name]] then
        reaper.TrackFX_SetParamNormalized(track, fx, i, given[next_of[name]])
      end
    end
  end
end

-- REAPER's own effects: the value at which the parameter shows the wanted number, by halving.
local function show(track, fx, wanted_name, wanted)
  for i = 0, reaper.TrackFX_GetNumParams(track, fx) - 1 do
    local _, name = reaper.TrackFX_GetParamName(track, fx, i, "")
    if name:lower():find(wanted_name:lower(), 1, true) then
      local low, high = 0, 1
      for _ = 1, 24 do
        local middle = (low + high) / 2
        reaper.TrackFX_SetParamNormalized(track, fx, i, middle)
        local _, text = reaper.TrackFX_GetFormattedParamValue(track, fx, i, "")
        local ends = text:find("-inf", 1, true) and -math.huge or text:find("inf") and math.huge
        local number = ends or tonumber(text:match("[-+]?%d+%.?%d*")) or 0
        if number < wanted then low = middle else high = middle end
      end
      return
    end
  end
  missing[#missing + 1] = wanted_name
end

-- ReaEQ: frequency in Hz, gain as a factor, bandwidth in octaves.
local function set_band(track, fx, kind, hz, factor, octaves)
  reaper.TrackFX_SetEQBandEnabled(track, fx, kind, 0, true)
  reaper.TrackFX_SetEQParam(track, fx, kind, 0, 0, hz, false)
  if factor then
    reaper.TrackFX_SetEQParam(track, fx, kind, 0, 1, factor, false)
    reaper.TrackFX_SetEQParam(track, fx, kind, 0, 2, octaves, false)
  end
end

reaper.Undo_BeginBlock()
local last = reaper.CountTracks(0)
reaper.InsertTrackAtIndex(last, true)
local track = reaper.GetTrack(0, last)
reaper.GetSetMediaTrackInfo_String(track, "P_NAME", {title}, true)
reaper.SetOnlyTrackSelected(track)
reaper.SetEditCurPos(0, false, false)
local take = {take}
if not reaper.file_exists(take) then -- it may be beside this script
  local _, script = reaper.get_action_context()
  take = script:match("^(.*[/\\\\])") .. take:match("[^/\\\\]+$")
end
if reaper.file_exists(take) then reaper.InsertMedia(take, 0) else missing[#missing + 1] = take end
reaper.SetMediaTrackInfo_Value(track, "D_VOL", {factor!r})
local fx
{stages}
reaper.TrackList_AdjustWindows(false)
reaper.Undo_EndBlock("dafxvae: " .. {title}, -1)
for _, name in ipairs(missing) do
  reaper.ShowConsoleMsg("not found: " .. name .. "\\n")
end
{messages}
"""


def _lua(text: str) -> str:
    """A string of Lua; bytes of names that are not UTF-8 are kept."""
    written = {'"': '\\"', "\\": "\\\\"}
    found = re.sub('[\0-\x1f"\\\\\x7f\udc80-\udcff]', lambda m: written.get(m[0], f"\\{ord(m[0]) & 0xFF:03d}"), text)
    return f'"{found}"'


def _octaves(q: float) -> float:
    """The bandwidth of a band of a quality (RBJ's cookbook)."""
    return 2.0 / math.log(2.0) * math.asinh(1.0 / (2.0 * q))


def _plugin_lines(state: PluginState) -> list[str]:
    values: dict[str, list[float]] = {}
    for name, raw in state.values:
        values.setdefault(name, []).append(raw)
    table = ", ".join(f"[{_lua(name)}] = {{{', '.join(map(repr, raws))}}}" for name, raws in values.items())
    return [
        f"fx = add(track, {_lua(f'VST3:{state.name}')}, {_lua(state.label)})",
        f"if fx then set_values(track, fx, {{{table}}}) end",
    ]


def _filter_lines(stage: ChainStage, shown: str) -> list[str]:
    arguments = stage.arguments
    band = [str(BAND_TYPES[stage.label]), repr(arguments["cutoff_frequency_hz"])]
    if "q" in arguments:
        band += [repr(10.0 ** (arguments["gain_db"] / 20.0)), repr(_octaves(arguments["q"]))]
    return [
        f'fx = add(track, "ReaEQ", {shown})',
        f"if fx then set_band(track, fx, {', '.join(band)}) end",
    ]


def _stand_in_lines(stage: ChainStage, shown: str) -> list[str]:
    name, wanted = STAND_INS[stage.label]
    calls = " ".join(f"show(track, fx, {_lua(k)}, {stage.arguments[v]!r})" for k, v in wanted.items())
    return [f"fx = add(track, {_lua(name)}, {shown})", f"if fx then {calls} end"]


def write_reascript(material: Material, target: Path) -> Exported:
    """Writes the script."""
    lines, stand_ins, missing = [], [], []
    for place, stage in enumerate(material.stages):
        if place in material.plugins:
            lines += _plugin_lines(material.plugins[place])
            continue
        shown = _lua(f"approximate: {stage.sentence}")
        if stage.label == "Gain":
            lines += [
                f'fx = add(track, "JS:utility/volume", {_lua(stage.sentence)})',
                f"if fx then reaper.TrackFX_SetParam(track, fx, 0, {stage.arguments['gain_db']!r}) end",
            ]
            continue
        if stage.label in BAND_TYPES:
            lines += _filter_lines(stage, shown)
        elif stage.label in STAND_INS:
            lines += _stand_in_lines(stage, shown)
        else:
            missing.append(stage.sentence)
            lines.append(f"-- left out: {stage.sentence}".replace("\n", " "))
            continue
        stand_ins.append(stage.label)
    notes = [f"approximate, REAPER's own effects: {', '.join(stand_ins)}"] if stand_ins else []
    notes += [f"left out, as REAPER has no effect of the kind: {', '.join(missing)}"] if missing else []
    notes += material.channel_notes
    script = TEMPLATE.format(
        chain=material.host.name.replace("\n", " "),
        version=__version__,
        remarks="\n".join(f"-- {note}" for note in notes),
        title=_lua(material.title),
        take=_lua(utf8_name(material.take.resolve())),
        factor=float(material.stored.factor),
        stages="\n".join(lines),
        messages="\n".join(f'reaper.ShowConsoleMsg({_lua(note)} .. "\\n")' for note in notes),
    )
    write_text(target, script)
    return Exported([target], notes)
