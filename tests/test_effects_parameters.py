import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dafxvae.core.errors import UserError
from dafxvae.effects.builtins import BUILTINS
from dafxvae.effects.chain import join_spaces
from dafxvae.effects.factory import open_host
from dafxvae.effects.parameters import Parameter, ParameterSpace

ALL = ParameterSpace(
    tuple(
        parameter
        for name, builtin in BUILTINS.items()
        for parameter in join_spaces([name, ""], [ParameterSpace(builtin.parameters), ParameterSpace(())])
    )
)
MIXED = ParameterSpace(
    (
        Parameter("cutoff_hz", "Hz", 20.0, 20000.0, 1000.0, scale="log"),
        Parameter("gain_db", "dB", -18.0, 18.0, 0.0),
        Parameter("voices", "", 1, 8, 3, kind="stepped"),
        Parameter("bypass", "", 0, 1, 0, kind="boolean"),
        Parameter("mode", "", 0, 2, 1, kind="choice", labels=("low", "band", "high")),
    )
)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**24))
def test_unit_to_physical_and_back_is_bit_exact(step):
    unit = ALL.quantise(np.full(len(ALL), np.float32(step / 2**24)))
    back = ALL.to_unit(ALL.to_physical(unit))
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, unit)


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1))
def test_physical_to_unit_and_back_is_exact_to_float32(share):
    low = np.array([p.minimum for p in ALL])
    high = np.array([p.maximum for p in ALL])
    physical = ALL.to_physical(ALL.to_unit(low + (high - low) * share))
    ratio = np.array([p.maximum / p.minimum if p.scale == "log" else 1 for p in ALL])
    wanted = np.where(ALL.num_values > 0, physical, low + (high - low) * share)
    # Half a float32 step of the unit value, through the slope of each scale.
    slope = np.where(ratio > 1, wanted * np.log(ratio), high - low)
    assert (np.abs(physical - wanted) <= 2.0**-25 * np.abs(slope) * 1.01 + 1e-12).all()


def test_ends_and_defaults_are_met():
    np.testing.assert_array_equal(ALL.to_physical(np.zeros(len(ALL))), [p.minimum for p in ALL])
    np.testing.assert_array_equal(ALL.to_physical(np.ones(len(ALL))), [p.maximum for p in ALL])
    np.testing.assert_allclose(ALL.to_physical(ALL.default_unit), [p.default for p in ALL], rtol=1e-6, atol=1e-5)
    np.testing.assert_array_equal(ALL.to_physical(np.full(len(ALL), 7.0)), [p.maximum for p in ALL])


def test_log_scale_is_logarithmic():
    np.testing.assert_allclose(MIXED.to_physical(np.array([0.5, 0.5, 0, 0, 0]))[:2], [np.sqrt(20.0 * 20000.0), 0.0])


def test_discrete_values_lie_on_their_grid():
    unit = np.stack([np.full(5, u) for u in np.linspace(0, 1, 101)])
    physical = MIXED.to_physical(unit)
    assert set(physical[:, 2]) == set(range(1, 9))
    assert set(physical[:, 3]) == {0.0, 1.0}
    assert set(physical[:, 4]) == {0.0, 1.0, 2.0}
    assert set(MIXED.quantise(unit)[:, 4]) == {0.0, 0.5, 1.0}
    np.testing.assert_array_equal(MIXED.quantise(MIXED.quantise(unit)), MIXED.quantise(unit))


def test_sample_is_uniform_on_each_scale():
    drawn = MIXED.sample(np.random.default_rng(0), 20000)
    assert drawn.shape == (20000, 5)
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(
        np.quantile(drawn[:, :2], [0.25, 0.5, 0.75], axis=0), [[0.25] * 2, [0.5] * 2, [0.75] * 2], atol=0.02
    )
    np.testing.assert_allclose(np.bincount(np.rint(drawn[:, 2] * 7).astype(int)) / 20000, np.full(8, 1 / 8), atol=0.01)
    np.testing.assert_array_equal(drawn, MIXED.quantise(drawn))
    np.testing.assert_array_equal(drawn, MIXED.sample(np.random.default_rng(0), 20000))


def test_values_by_name_and_as_a_user_reads_them():
    unit = MIXED.from_values({"cutoff_hz": "440", "mode": "HIGH", "bypass": "on", "voices": 5})
    shown = MIXED.describe(unit)
    assert shown.pop("cutoff_hz") == pytest.approx(440, rel=1e-6)
    assert shown == {"gain_db": 0.0, "voices": 5, "bypass": True, "mode": "high"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cutof_hz": 1}, "cutoff_hz"),
        ({"cutoff_hz": 5}, "20 to 20000 Hz"),
        ({"cutoff_hz": "nan"}, "finite"),
        ({"mode": "notch"}, "low, band, high"),
        ({"gain_db": "loud"}, "finite number"),
    ],
)
def test_bad_values_say_what_to_give(values, message):
    with pytest.raises(UserError, match=message):
        MIXED.from_values(values)


def test_chain_names_are_prefixed_and_numbered():
    one = ParameterSpace((Parameter("gain_db", "dB", -18.0, 18.0, 0.0),))
    assert join_spaces(["Gain"], [one]).names == ("gain_db",)
    names = join_spaces(["PeakFilter", "Gain", "PeakFilter"], [one, one, one]).names
    assert names == ("PeakFilter.gain_db", "Gain.gain_db", "PeakFilter2.gain_db")


def test_wrong_axis_is_an_error():
    with pytest.raises(UserError, match="K = 5"):
        MIXED.to_physical(np.zeros(4))


def test_impossible_parameters_are_refused():
    with pytest.raises(ValueError, match="outside"):
        Parameter("gain_db", "dB", 0.0, 1.0, 2.0)
    with pytest.raises(ValueError, match="log"):
        Parameter("gain_db", "dB", 0.0, 1.0, 0.5, scale="log")


def test_a_narrowed_parameter_spans_its_part_of_the_range():
    host = open_host("PeakFilter(cutoff_frequency_hz=100..800) | Compressor(ratio=2..4)", num_workers=1)
    with host:
        assert len(host.parameters) == 7  # the others are still controlled
        ends = [host.parameters.describe(np.full(7, value)) for value in (0.0, 1.0)]
    cutoff, ratio = ([end[name] for end in ends] for name in ("PeakFilter.cutoff_frequency_hz", "Compressor.ratio"))
    np.testing.assert_allclose(cutoff, (100.0, 800.0))
    np.testing.assert_allclose(ratio, (2.0, 4.0))


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        ("Reverb(width=.5..2)", r"width=0.5..2 leaves its range: stay within 0..1"),
        ("LadderFilter(mode=0..1)", "only continuous"),
        ("Reverb(width=.5...4)", "width"),
        ("Reverb(width=.5..0)", "lower end first"),
        ("Reverb(widht=0..0.5)", "did you mean width"),
        ("Reverb(width=0..0.5, width=1)", "named twice"),
    ],
)
def test_a_range_that_cannot_be_is_refused(effect, message):
    with pytest.raises(UserError, match=message):
        open_host(effect, num_workers=1)
