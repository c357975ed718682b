"""The amount of a style: neutral at 0, and an even way from there, for every controller of the package."""

import itertools

import numpy as np
import pytest
from transfer_toys import RATE, music

from dafxvae.controllers.names import open_controller, shipped_folder
from dafxvae.data.pairs.neutral import change_db
from dafxvae.effects.factory import open_host
from dafxvae.transfer.amount import NEAR, nearest_neutral, settings_at, strength_of

# Filters that turn the phase wherever they stand, a limiter that adds gain, a drive that always bends a little.
NEVER_NEUTRAL = {"distortion", "eq", "ladder", "limiter_gate", "lofi", "vocal"}
AMOUNTS = np.linspace(0.0, 1.0, 5)
NAMES = sorted(path.stem for path in shipped_folder().glob("*.safetensors"))


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_controller_leaves_sound_alone_at_0_and_goes_evenly_to_1(name):
    audio = music()[:RATE].astype(np.float32).reshape(RATE, -1)
    with open_host(open_controller(name).effect, num_workers=1) as host:
        wanted = np.random.default_rng(3).uniform(0.1, 0.9, len(host.parameters)).astype(np.float32)
        wanted = host.parameters.quantise(wanted)
        neutral, change = nearest_neutral(host, wanted, np.zeros(len(wanted), bool), audio, RATE)
        assert (change < -60.0) != (name in NEVER_NEUTRAL)
        settings = np.stack([settings_at(amount, neutral, wanted, host.parameters) for amount in AMOUNTS])
        changes = [change_db(audio, one) for one in host.render_variants(audio[None], settings[None], RATE)[0]]
    assert changes[0] == pytest.approx(change, abs=1e-3)
    assert all(after > before - 1.0 for before, after in itertools.pairwise(changes))
    assert changes[-1] > changes[0] + 3.0 or name == "bitcrush"


def test_what_need_not_move_stays_as_predicted():
    audio = music()[:RATE].astype(np.float32).reshape(RATE, -1)
    with open_host("Delay | LadderFilter", num_workers=1) as host:
        names = host.parameters.names
        wanted = host.parameters.from_values(
            {"Delay.delay_seconds": 0.3, "Delay.feedback": 0.5, "Delay.mix": 0.4, "LadderFilter.mode": "LPF24"}
        )
        neutral, _ = nearest_neutral(host, wanted, np.zeros(len(wanted), bool), audio, RATE)
    moved = {name for name, was, now in zip(names, wanted, neutral) if was != now}
    assert "Delay.mix" in moved
    assert not moved & {"Delay.delay_seconds", "Delay.feedback", "LadderFilter.mode"}


def test_what_is_locked_stays_and_the_others_make_up_for_it():
    audio = music()[:RATE].astype(np.float32).reshape(RATE, -1)
    with open_host("Compressor | LowpassFilter", num_workers=1) as host:
        held = {"Compressor.ratio": 8.0, "LowpassFilter.cutoff_frequency_hz": 5000.0}
        wanted = host.parameters.from_values({"Compressor.threshold_db": -30.0} | held)
        is_locked = np.array([name in held for name in host.parameters.names])
        neutral, change = nearest_neutral(host, wanted, is_locked, audio, RATE)
        found = host.parameters.describe(neutral)
    np.testing.assert_array_equal(neutral[is_locked], wanted[is_locked])
    assert found["Compressor.threshold_db"] > -3.0  # the ratio alone would have done, were it free
    assert change > -40.0  # the filter cannot be neutral


def test_between_two_modes_there_is_no_third_one():
    with open_host("LadderFilter", num_workers=1) as host:
        space = host.parameters
        neutral, wanted = (
            space.from_values({"mode": mode, "drive": drive}) for mode, drive in (("LPF12", 1), ("HPF12", 2))
        )
        found = [space.describe(settings_at(amount, neutral, wanted, space)) for amount in (0.0, 0.3, 0.5, 1.0, 1.5)]
    assert [each["mode"] for each in found] == ["LPF12", "LPF12", "HPF12", "HPF12", "HPF12"]
    np.testing.assert_allclose([each["drive"] for each in found], 2.0 ** np.array([0.0, 0.3, 0.5, 1.0, 1.5]), rtol=1e-4)


def test_a_reference_counts_fully_unless_it_is_nearly_the_input():
    itself = np.zeros(10, np.float32)
    assert strength_of(itself, itself, 8) == 0.0
    half = np.where(np.arange(10) < 8, NEAR / 2, 100.0)  # what follows the latent does not count
    assert strength_of(half, itself, 8) == pytest.approx(0.5)
    assert strength_of(10 * half, itself, 8) == 1.0
