"""Is the reference like what f and g know, and are the settings but the controller's average ones?"""

import numpy as np
import pytest
from transfer_toys import RATE, music

import dafxvae
from dafxvae.controllers.experience import measure_experience
from dafxvae.controllers.familiar import NEAREST, Familiar
from dafxvae.transfer.confidence import UNKNOWN, Confidence
from dafxvae.transfer.fit import Fit

RNG = np.random.default_rng(0)


def test_the_spread_is_in_deviations_and_one_in_twenty_is_near_the_average():
    settings = RNG.uniform(size=(400, 3)).astype(np.float32)
    found = measure_experience(settings, np.zeros((400, 2), np.float32))
    assert found.spread(settings.mean(axis=0)) == pytest.approx(0.0, abs=1e-6)
    assert found.spread(settings.mean(axis=0) + [1.0, -1.0, 2.0] * settings.std(axis=0)) == pytest.approx(2**0.5)
    spreads = np.array([found.spread(row) for row in settings])
    assert np.mean(spreads**2) == pytest.approx(1.0, rel=1e-3)
    assert np.mean(spreads < found.near[0]) == pytest.approx(0.05, abs=0.005)


def test_strangeness_is_the_distance_to_the_nearest_over_the_reach():
    known = np.eye(5, 2, dtype=np.float32)  # two unit vectors, and the origin three times
    familiar = Familiar(known, np.array([2.0]), np.zeros(1), np.eye(1))
    assert NEAREST == 3
    assert familiar.strangeness(np.array([[0.0, 3.0]])) == pytest.approx((2.0 + 3.0 + 3.0) / 3 / 2.0)
    assert familiar.strangeness(np.zeros((1, 2))) == 0.0
    both = familiar.strangeness(np.array([[0.0, 3.0], [0.0, 0.0]]))
    assert both == pytest.approx(familiar.strangeness(np.array([[0.0, 3.0]])) / 2)


def test_what_is_said():
    assert UNKNOWN.sentence == ""
    assert Confidence(0.9, 0.8, 0.5).notes == ()
    strange, average = Confidence(1.5, 0.3, 0.5).notes
    assert strange.startswith("this reference is unlike anything f and g know (1.50 times")
    assert average.startswith("this controller found little here")
    aspects: dict[str, float] = {"spectrum": 1.0, "space": 1.0}
    fit = Fit(aspects, aspects, ("space",), Confidence(1.5, 0.3, 0.5))
    assert fit.notes(False) == [strange, average]
    assert fit.document()["prediction"]["strangeness"] == 1.5


def test_a_square_wave_is_strange():
    time = np.arange(4 * RATE) / RATE
    square = 0.3 * np.sign(np.sin(2 * np.pi * 220.0 * time))
    with dafxvae.load_controller("reverb") as style:
        found = style.transfer(music(4.0, seed=1), square, RATE)
    confidence = found.fit.confidence
    assert confidence.strangeness is not None
    assert confidence.strangeness > 1.0
    assert confidence.from_average is not None
    assert confidence.from_average > 0.0
    assert any("unlike anything" in note for note in found.notes)
