"""Parameters of no use, switches that bypass or mute, and ranges that silence are found by rendering."""

from typing import Any

import numpy as np
import pytest

from dafxvae.effects.check import check_audio
from dafxvae.effects.factory import open_host
from dafxvae.effects.parameters import Parameter, ParameterSpace
from dafxvae.effects.usefulness import advise_chain, examine_parameters

RATE = 24000
AUDIO = check_audio(RATE // 4, RATE)


class Box:
    """A host that is a numpy function of its physical settings."""

    def __init__(self, function, *parameters):
        self.parameters = ParameterSpace(parameters)
        self.function = function

    def render_variants(self, audio, unit_params, sample_rate):
        physical = self.parameters.to_physical(unit_params)
        return np.stack(
            [
                [self.function(clip, dict(zip(self.parameters.names, row))) for row in rows]
                for clip, rows in zip(audio, physical)
            ]
        ).astype(np.float32)


def switch(name, default=0):
    return Parameter(name, "", 0, 1, default, kind="boolean")


def shape(audio, at):
    """A tanh with a gain, a tone control that needs its switch, and three switches."""
    if at["standby"] >= 0.5:
        return 0.0 * audio
    if at["engaged"] < 0.5:
        return audio
    out = np.tanh(10.0 ** (at["gain_db"] / 20.0) * audio) + 1e-7 * at["lamp"]
    return out + (0.5 * at["tone"] * np.roll(out, 1, axis=0) if at["tone_on"] >= 0.5 else 0.0)


@pytest.fixture(scope="module")
def found():
    box: Any = Box(
        shape,
        switch("standby"),
        switch("engaged", 1),
        Parameter("gain_db", "dB", -120.0, 20.0, 0.0),
        Parameter("lamp", "", 0.0, 1.0, 0.3),
        Parameter("tone", "", 0.0, 1.0, 0.5),
        switch("tone_on"),
    )
    return {each.parameter.name: each for each in examine_parameters(box, AUDIO, RATE)}


def test_a_knob_that_nobody_hears_is_held_at_its_default(found):
    assert found["lamp"].does_nothing
    assert 0.0 < found["lamp"].change < 1e-6
    assert found["lamp"].held == pytest.approx(0.3)
    assert "changes nothing that is heard" in found["lamp"].advice


def test_switches_that_mute_or_bypass_whatever_they_are_called(found):
    assert (found["standby"].held, found["standby"].advice) == (0.0, "mutes the effect")
    assert found["tone_on"].held is None


def test_a_bypass_beside_a_mute_is_not_always_one_but_alone_it_is():
    def engage(audio, at):
        return np.tanh(at["drive"] * audio) if at["engaged"] >= 0.5 else audio

    box: Any = Box(engage, switch("engaged", 0), Parameter("drive", "", 1.0, 20.0, 2.0))
    engaged, drive = examine_parameters(box, AUDIO, RATE)
    assert (engaged.held, engaged.advice) == (1.0, "bypasses the effect")
    assert (drive.held, drive.needs) == (None, "engaged = True")
    assert drive.advice == "acts only with engaged = True"


def test_a_knob_that_needs_a_switch_names_it(found):
    assert found["tone"].held is None
    assert 0.0 < found["tone"].heard_share < 1.0


def test_a_range_ends_where_the_output_is_silent():
    gain = Parameter("gain_db", "dB", -120.0, 20.0, 0.0)
    box: Any = Box(lambda audio, at: 10.0 ** (at["gain_db"] / 20.0) * audio, gain)
    (found,) = examine_parameters(box, AUDIO, RATE)
    low, high = found.usable
    assert high == 1.0
    assert -60.0 <= -120.0 + 140.0 * low <= -30.0
    assert "narrowed" in found.advice


@pytest.mark.vst3
def test_a_real_plugin_is_advised_and_what_the_user_chose_is_kept():
    path = "/usr/lib/vst3/ZamDelay.vst3"
    with open_host(path, num_workers=2) as host:
        assert "sync_bpm" not in host.parameters.names  # a render has no tempo
        advised = advise_chain(host, AUDIO, RATE)
    (spec,) = advised.chain
    fixed, ranges = dict(spec.fixed), dict(spec.ranges)
    assert fixed.keys() == {"divisor"}  # of the tempo
    assert -60.0 < ranges["output_gain_db"][0] < -40.0
    assert any(note.startswith("ZamDelay.divisor: changes nothing that is heard") for note in advised.notes)
    with open_host(f"{path}(time_ms, divisor) | Reverb", num_workers=2) as host:
        assert advise_chain(host, AUDIO, RATE) == (tuple(unit.spec for unit in host.chain.units), ())
    with open_host(str(spec), num_workers=1) as host:
        assert "divisor" not in host.parameters.names
