"""From what a plugin says of its parameters to ours, without a plugin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dafxvae.effects.parameters import ParameterSpace
from dafxvae.effects.vst3.parameters import PROBES, RawParameter, interpret, read_number


def raw(name, texts, label="", *, num_steps=2**31 - 1, default=0.25, is_text=False, is_boolean=False, automatable=True):
    return RawParameter(name, label, default, default, num_steps, is_text, is_boolean, automatable, tuple(texts))


def shown(function, form="{:.3f}"):
    return [form.format(function(r)) for r in PROBES]


CUTOFF = raw("cutoff_hz", shown(lambda r: 20 + 13980 * r), "Hz")
CURVED = raw("cutoff_hz", shown(lambda r: 20 * 1000**r), "Hz")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (CUTOFF, ("Hz", "log", "continuous", 20.0, 14000.0)),
        (CURVED, ("Hz", "log", "continuous", 20.0, 20000.0)),
        (raw("cutoff", shown(lambda r: 0.02 * 1000**r, "{:.5f} kHz")), ("Hz", "log", "continuous", 20.0, 20000.0)),
        (raw("gain_db", shown(lambda r: 24 * r - 12), "dB"), ("dB", "linear", "continuous", -12.0, 12.0)),
        (raw("time_ms", shown(lambda r: 500 * r), "ms"), ("ms", "linear", "continuous", 0.0, 500.0)),
        (raw("drive", shown(lambda r: r**3)), ("", "linear", "continuous", 0.0, 1.0)),
        (raw("level", ["-inf", "-12", "-6", "-3", "0"], "dB"), ("", "linear", "continuous", 0.0, 1.0)),
        (raw("mode", ["Lo", "Mid", "Hi"], num_steps=3, is_text=True), ("", "linear", "choice", 0, 2)),
        (raw("taps", ["1", "2", "3", "4"], num_steps=4), ("", "linear", "stepped", 1.0, 4.0)),
        (raw("odd", ["1", "2", "4", "8"], num_steps=4), ("", "linear", "choice", 0, 3)),
        (raw("on", ["0.00", "1.00"], num_steps=2), ("", "linear", "boolean", 0, 1)),
        (raw("on", ["False", "True"], num_steps=2, is_boolean=True), ("", "linear", "boolean", 0, 1)),
    ],
)
def test_units_scales_and_kinds_are_read_from_the_texts(given, wanted):
    p = interpret(given).parameter
    assert (p.unit, p.scale, p.kind, p.minimum, p.maximum) == (wanted[0], wanted[1], wanted[2], *wanted[3:])
    assert p.nyquist_limited == (p.unit == "Hz")


@given(st.integers(0, 2**24), st.sampled_from([CUTOFF, CURVED, raw("gain_db", shown(lambda r: 24 * r - 12), "dB")]))
def test_raw_values_say_what_the_physical_value_is(step, given):
    view = interpret(given)
    space = ParameterSpace((view.parameter,))
    unit = np.array([step / 2**24], np.float32)
    physical = space.to_physical(unit)
    low, high = view.parameter.minimum, view.parameter.maximum
    told = low * (high / low) ** view.to_raw(physical[0]) if view.raw_scale == "log" else None
    told = low + (high - low) * view.to_raw(physical[0]) if told is None else told
    assert told == pytest.approx(physical[0], rel=1e-12, abs=1e-12)
    assert space.to_unit(physical)[0] == unit[0]


@pytest.mark.parametrize("num_steps", [2, 3, 25, 100])
def test_raw_values_of_steps_are_exact_fractions(num_steps):
    view = interpret(raw("taps", [str(i) for i in range(num_steps)], num_steps=num_steps, default=0.0))
    got = [view.to_raw(value) for value in np.linspace(view.parameter.minimum, view.parameter.maximum, num_steps)]
    assert got == [i / (num_steps - 1) for i in range(num_steps)]


@pytest.mark.parametrize(
    "name",
    [
        "bypass",
        "master_bypass",
        "freeze",
        "power",
        "sidechain",
        "external_side_chain",
        "current_program",
        "gain_reduction_1_db",
        "level_meter",
    ],
)
def test_switches_off_programs_and_meters_are_fixed_by_default(name):
    assert not interpret(raw(name, shown(lambda r: r))).parameter.controlled


@pytest.mark.parametrize("name", ["output_level_db", "vuelo", "makeup", "zamcomp_1_on", "reduction_ratio"])
def test_other_names_are_controlled(name):
    assert interpret(raw(name, shown(lambda r: r))).parameter.controlled


def test_what_is_never_offered():
    assert not raw("sample_rate_frames", shown(lambda r: r), automatable=False).is_controllable
    assert not raw("current_program", ["Zero"] * 5, is_text=True).is_controllable
    assert not raw("single", ["1"], num_steps=1).is_controllable


def test_repeated_labels_stay_apart():
    p = interpret(raw("mode", ["Off", "On", "On"], num_steps=3, is_text=True, default=0.0)).parameter
    assert p.labels == ("Off", "On", "On #2")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("12.5 kHz", (12500.0, "Hz")),
        ("-3", (-3.0, "")),
        (".5dB", (0.5, "dB")),
        ("1e-3 s", (1e-3, "s")),
        ("40 %", (40.0, "%")),
        ("1959 Bassman 5F6-A", None),
        ("-inf", None),
        ("1/4", None),
    ],
)
def test_numbers_in_texts(text, wanted):
    assert read_number(text) == wanted
