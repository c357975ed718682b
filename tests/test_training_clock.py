"""How a step's time is divided, by a clock that is moved by hand."""

import numpy as np
import pytest

from dafxvae.training import clock as clock_module
from dafxvae.training.clock import WARM_UP, Clock


class Hands:
    """In the place of `time`, and of the workers."""

    num_workers = 2

    def __init__(self):
        self.now, self.busy_seconds = 0.0, 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def hands(monkeypatch):
    hands = Hands()
    monkeypatch.setattr(clock_module, "time", hands)
    return hands


def make_step(clock, hands, waiting, rendering, computing):
    """One step of these seconds; both workers are busy while it renders."""
    began = hands.now

    def render(audio, unit_params):
        hands.now += rendering
        hands.busy_seconds += 2 * rendering
        return np.zeros((4, 3, 8, 1))

    hands.now += waiting
    clock.got_batch(waiting, 8)
    clock.timed(render)(np.zeros(1), np.zeros(1))
    hands.now += computing
    clock.made_step(hands.now - began)


def test_a_step_divides_into_its_parts(hands):
    clock = Clock(hands)
    for _ in range(WARM_UP):
        make_step(clock, hands, 5.0, 5.0, 50.0)  # compilation is not counted
    assert clock.report() is None
    make_step(clock, hands, 0.002, 0.030, 0.010)
    make_step(clock, hands, 0.004, 0.050, 0.030)
    with clock.aside():
        clock.timed(lambda audio, unit_params: advance(hands, 7.0))(np.zeros(1), np.zeros(1))  # an evaluation
    report = clock.report()
    assert report[:] == pytest.approx((2, 63.0, 40.0, 3.0, 20.0, 40.0))
    assert report.bound_ms == pytest.approx(40.0)
    assert report.of_bound == pytest.approx(40 / 63)
    parts = "63.0 ms a step: 40.0 rendering, 3.0 waiting for data, 20.0 on the device"
    assert str(report) == f"{parts}; no less than 40.0 for rendering (63%)"


def advance(hands, seconds):
    hands.now += seconds
    hands.busy_seconds += seconds
    return np.zeros((1, 1, 1, 1))


def test_the_device_may_be_the_bound(hands):
    clock = Clock(hands)
    for _ in range(WARM_UP + 1):
        make_step(clock, hands, 0.0, 0.010, 0.030)
    assert clock.report().bound_ms == pytest.approx(30.0)
    assert "for the device (75%)" in str(clock.report())


def test_laps_count_renders_and_shares(hands):
    clock = Clock(hands)
    make_step(clock, hands, 1.0, 2.0, 5.0)
    assert clock.lap(1) == (8.0, 1, 20, 2.0, 1.0)
    make_step(clock, hands, 0.5, 1.0, 0.5)
    assert clock.lap(1) == (2.0, 1, 20, 1.0, 0.5)
