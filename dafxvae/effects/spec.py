"""The short form of effects: `HighpassFilter | Compressor(threshold_db, ratio=4) | path/suite.vst3::Plugin Name`.

The structured form of the same chain, as configs may write it:

    [{"name": "HighpassFilter"},
     {"name": "Compressor", "control": ["threshold_db"], "fixed": {"ratio": 4.0}},
     {"name": "path/suite.vst3::Plugin Name"}]

`PeakFilter(cutoff_frequency_hz=100..800)` narrows a parameter's range (structured: "ranges").
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dafxvae.core.errors import UserError

FORMS = "a Pedalboard class (Reverb), a VST3 file (path/plugin.vst3), or one plugin of a file (path/suite.vst3::Name)"
Value = str | float | bool
Range = tuple[float, float]


@dataclass(frozen=True)
class EffectSpec:
    """One effect as a user named it, before it is looked up.

    Attributes:
        name: a Pedalboard class name, or the path of a .vst3.
        plugin: which plugin of a file that holds several, or None.
        control: the parameters to control; None for the effect's default choice; none of them is written `-`.
        fixed: the parameters held at a value, in physical units.
        ranges: narrower ranges, in physical units; where `control` names some parameters, these are controlled too.
    """

    name: str
    plugin: str | None = None
    control: tuple[str, ...] | None = None
    fixed: tuple[tuple[str, Value], ...] = ()
    ranges: tuple[tuple[str, Range], ...] = ()

    @property
    def is_vst3(self) -> bool:
        return is_vst3_path(self.name)

    @property
    def label(self) -> str:
        """What prefixes this effect's parameters in a chain: the class, plugin or file name."""
        if not self.is_vst3:
            return self.name
        return self.plugin or re.split(r"[/\\]", self.name.rstrip("/\\"))[-1][: -len(".vst3")]

    def __str__(self) -> str:
        head = self.name if self.plugin is None else f"{self.name}::{self.plugin}"
        if re.search(r"[|()\"']", head) or head != head.strip():
            head = f'"{head}"'
        items = list(("-",) if self.control == () else self.control or ()) + [
            f"{name}={_format_value(value)}" for name, value in self.fixed
        ]
        items += [f"{name}={_format_value(low)}..{_format_value(high)}" for name, (low, high) in self.ranges]
        return f"{head}({', '.join(items)})" if items else head


def is_vst3_path(name: str) -> bool:
    return name.rstrip("/\\").lower().endswith(".vst3")


def format_chain(chain: Sequence[EffectSpec]) -> str:
    """The canonical short form; `parse_chain` gives the same chain back."""
    return " | ".join(str(spec) for spec in chain)


def parse_chain(effect: str | Mapping[str, Any] | Sequence[Any]) -> tuple[EffectSpec, ...]:
    """Reads the short or the structured form of an effect or chain.

    Args:
        effect: the short form; or a mapping with `name` and optionally `plugin`, `control`, `fixed`, `ranges`; or a
            mapping with `chain`; or a sequence of any of these.

    Returns:
        At least one effect.

    Raises:
        UserError: it cannot be read.
    """
    if isinstance(effect, str):
        return tuple(_parse_one(part, effect) for part in _split(effect, "|", effect))
    if hasattr(effect, "items"):
        return _parse_mapping(dict(effect.items()))  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(effect, Sequence) and effect:
        return tuple(spec for part in effect for spec in parse_chain(part))
    raise UserError(f"cannot read the effect {effect!r}: name {FORMS}")


def parse_list(text: str) -> tuple[EffectSpec, ...]:
    """Reads effects with commas between them: `Compressor, Reverb(room_size=0.3), path/plugin.vst3`.

    Raises:
        UserError: it cannot be read, or an effect of the list is a chain.
    """
    effects = [parse_chain(part) for part in _split(text, ",", text)]
    for found in effects:
        if len(found) > 1:
            raise UserError(f"{format_chain(found)} in {text!r}: give single effects, with commas between them")
    return tuple(found[0] for found in effects)


def _parse_mapping(mapping: dict[str, Any]) -> tuple[EffectSpec, ...]:
    if set(mapping) == {"chain"}:
        return parse_chain(list(mapping["chain"]))
    unknown = set(mapping) - {"name", "plugin", "control", "fixed", "ranges"}
    if unknown or "name" not in mapping:
        raise UserError(f"effect {mapping!r}: give name, and where needed plugin, control, fixed, ranges; or chain")
    name, _, plugin = str(mapping["name"]).partition("::")
    control = mapping.get("control")
    fixed, ranges = mapping.get("fixed") or {}, mapping.get("ranges") or {}
    try:
        spec = EffectSpec(
            name=name.strip(),
            plugin=mapping.get("plugin") or plugin.strip() or None,
            control=None if control is None else tuple(control),
            fixed=tuple((key, value) for key, value in fixed.items()),
            ranges=tuple((key, (float(low), float(high))) for key, (low, high) in ranges.items()),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f"effect {mapping!r} ({error}): give names in control, a mapping in fixed, one to pairs in ranges"
        ) from error
    return (_checked(spec, str(mapping)),)


def _parse_one(text: str, whole: str) -> EffectSpec:
    text = text.strip()
    if text[:1] in ("'", '"') and text.find(text[0], 1) > 0:
        end = text.find(text[0], 1)
        head, rest = text[1:end], text[end + 1 :].strip()
    else:
        match = re.fullmatch(r"(.*?\.vst3[/\\]?(?=\(|::|$)(?:::[^(]*)?|[^(]*)(\(.*\))?", text, re.S | re.I)
        if match is None:
            raise UserError(f"cannot read {text!r} in {whole!r}: name {FORMS}; quote a name with brackets in it")
        head, rest = match[1].strip(), (match[2] or "").strip()
    if rest and not (rest.startswith("(") and rest.endswith(")")):
        raise UserError(f"cannot read {rest!r} after {head!r} in {whole!r}: put parameters in brackets")
    control: list[str] = []
    fixed: list[tuple[str, Value]] = []
    ranges: list[tuple[str, Range]] = []
    for item in _split(rest[1:-1], ",", whole) if rest[1:-1].strip() else []:
        name, equals, value = item.partition("=")
        found = _parse_value(value.strip())
        if not equals:
            control.append(name.strip())
        elif isinstance(found, tuple):
            ranges.append((name.strip(), found))
        else:
            fixed.append((name.strip(), found))
    name, _, plugin = head.partition("::")
    chosen = () if control == ["-"] else tuple(control) or None
    return _checked(EffectSpec(name.strip(), plugin.strip() or None, chosen, tuple(fixed), tuple(ranges)), whole)


def _checked(spec: EffectSpec, whole: str) -> EffectSpec:
    names = [*(spec.control or ()), *(name for name, _ in spec.fixed)]
    if not spec.name or any(not name for name in names):
        raise UserError(f"an empty name in {whole!r}: name {FORMS}")
    for name in [*names, *(name for name, _ in spec.ranges if name not in (spec.control or ()))]:
        if [*names, *(name for name, _ in spec.ranges)].count(name) > 1:
            raise UserError(f"{name} is named twice in {whole!r}: control it, fix it or narrow it, once")
    for name, (low, high) in spec.ranges:
        if not low < high:
            raise UserError(f"{name}={low:g}..{high:g} in {whole!r}: give the lower end first")
    if spec.plugin is not None and not spec.is_vst3:
        raise UserError(f"{spec.name}::{spec.plugin}: only a .vst3 file holds several plugins")
    return spec


def _split(text: str, separator: str, whole: str) -> list[str]:
    """Splits at separators outside quotes and brackets."""
    parts, depth, quote = [""], 0, ""
    for i, char in enumerate(text):
        opens = char in "'\"" and (not text[:i].strip() or text[:i].rstrip()[-1] in "|,=(")
        if quote:
            quote = "" if char == quote else quote
        elif opens:
            quote = char
        elif char in "()":
            depth += 1 if char == "(" else -1
        if char == separator and not quote and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    if quote or depth:
        raise UserError(f"{whole!r}: a {'quote' if quote else 'bracket'} is not closed")
    return parts


def _parse_value(text: str) -> str | float | bool | Range:
    if text[:1] in ("'", '"') and text[-1:] == text[:1] and len(text) > 1:
        return text[1:-1]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    low, dots, high = text.partition("..")
    try:
        return (float(low), float(high)) if dots else float(text)
    except ValueError:
        return text


def _format_value(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        plain = re.fullmatch(r"[\w./+-]+", value) and isinstance(_parse_value(value), str)
        return value if plain else f'"{value}"'
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
