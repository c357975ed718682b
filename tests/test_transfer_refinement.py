"""The search on one pair: towards the reference, within its means, and no further than it is let."""
# pyright: reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

import numpy as np
import pytest
from reference_hosts import reference_soft_clip

from dafxvae.effects.factory import open_host
from dafxvae.transfer.refinement import make_style_distance, refine

RATE = 24000


@pytest.fixture(scope="module")
def audio():
    rng = np.random.default_rng(0)
    decay = np.exp(-(np.arange(16384) % 4096) / 900.0)[:, None]
    return (0.3 * rng.standard_normal((16384, 1)) * decay).astype(np.float32)


def to(target):
    """The distance to a known sound, sample by sample."""
    return lambda sounds: np.abs(sounds - target[None]).mean((1, 2))


def truth(host, audio, settings):
    return host.render(audio[None], np.asarray([settings], np.float32), RATE)[0]


@pytest.mark.parametrize("start", [None, [0.4, 0.6]])
def test_it_finds_the_settings_of_a_smooth_effect(audio, start):
    host, settings = reference_soft_clip(), [0.3, 0.7]
    found = refine(host, to(truth(host, audio, settings)), audio, RATE, start, 200, prior_weight=0.0)
    np.testing.assert_allclose(found.unit_params, settings, atol=0.03)
    assert found.distance < 0.1 * found.start_distance
    assert found.num_renders <= 200
    assert found.num_failed == 0


def test_the_same_search_twice_finds_the_same(audio):
    host = reference_soft_clip()
    distance = to(truth(host, audio, [0.3, 0.7]))
    first, second = (refine(host, distance, audio, RATE, None, 40, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.unit_params, second.unit_params)
    other = refine(host, distance, audio, RATE, None, 40, seed=4)
    assert not np.array_equal(first.unit_params, other.unit_params)


def test_what_is_locked_stays(audio):
    host = reference_soft_clip()
    distance = to(truth(host, audio, [0.3, 0.7]))
    free, fixed = np.array([False, True]), np.array([0.9, 0.0])
    found = refine(host, distance, audio, RATE, np.array([0.4, 0.6]), 40, free=free, fixed=fixed, prior_weight=0.0)
    assert found.unit_params[0] == pytest.approx(0.9)
    assert found.unit_params[1] != pytest.approx(0.6, abs=0.02)


def test_the_prior_holds_it_near_the_start(audio):
    host, start = reference_soft_clip(), np.array([0.4, 0.6])
    distance = to(truth(host, audio, [0.1, 0.9]))
    near, far = (refine(host, distance, audio, RATE, start, 100, prior_weight=weight) for weight in (100.0, 0.0))
    assert np.abs(near.unit_params - start).max() < 0.02 < np.abs(far.unit_params - start).max()


@pytest.mark.parametrize("num_renders", [0, 1, 2, 5])
def test_a_small_budget_is_kept(audio, num_renders):
    host, start = reference_soft_clip(), np.array([0.4, 0.6])
    found = refine(host, to(audio), audio, RATE, start, num_renders)
    assert found.num_renders <= max(num_renders, 1)
    assert found.distance <= found.start_distance


def test_one_parameter_is_scanned(audio):
    with open_host("Gain", num_workers=1) as host:
        found = refine(host, to(truth(host, audio, [0.3])), audio, RATE, None, 40)
    assert found.unit_params[0] == pytest.approx(0.3, abs=0.02)


def test_settings_that_cannot_be_rendered_are_counted_and_not_chosen(audio):
    host = reference_soft_clip()
    render = host.render_variants

    def breaks(clips, unit_params, sample_rate):
        out = render(clips, unit_params, sample_rate)
        out[:, unit_params[0, :, 0] < 0.35] = np.nan
        return out

    host.render_variants = breaks
    found = refine(
        host, to(truth(reference_soft_clip(), audio, [0.3, 0.7])), audio, RATE, [0.5, 0.5], 100, prior_weight=0.0
    )
    assert found.num_failed > 0
    assert found.unit_params[0] >= 0.35


def test_the_style_distance_is_zero_for_the_reference_itself_and_grows_with_the_change(audio):
    distance = make_style_distance(audio[None], RATE)
    with open_host("LowpassFilter", num_workers=1) as host:
        rendered = host.render_variants(audio[None], np.array([[[0.9], [0.6], [0.3]]], np.float32), RATE)[0]
    values = distance(np.concatenate([audio[None], rendered]))
    assert values[0] == pytest.approx(0.0, abs=1e-5)
    assert np.all(np.diff(values) > 0)
    assert distance(0.5 * audio[None])[0] < 0.2 * values[-1]  # softer is the same style, but for the noise floor
