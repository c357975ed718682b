# pyright: reportPrivateImportUsage=false
import numpy as np
import pytest
from reference_hosts import reference_gain, reference_one_pole, reference_soft_clip

from dafxvae.core.errors import EffectError, UserError
from dafxvae.effects.bank import RandomChains, open_bank
from dafxvae.effects.factory import open_host
from dafxvae.effects.host import FailureLog

RNG = np.random.default_rng(0)
AUDIO = (0.2 * RNG.standard_normal((3, 6000, 1))).astype(np.float32)
SAMPLE_RATE = 24000


@pytest.mark.parametrize("make", [reference_gain, reference_soft_clip, reference_one_pole])
def test_reference_jacobian_is_the_derivative_of_the_render(make):
    host = make()
    audio = AUDIO[:, :300]
    unit = RNG.uniform(0.2, 0.8, (3, len(host.parameters)))
    exact = host.jacobian(audio, unit, SAMPLE_RATE)
    step = 2e-3
    for k in range(len(host.parameters)):
        shift = step * np.eye(len(host.parameters))[k]
        pair = host.render_variants(audio, np.stack([unit + shift, unit - shift], axis=1), SAMPLE_RATE)
        np.testing.assert_allclose((pair[:, 0] - pair[:, 1]) / (2 * step), exact[..., k], atol=2e-4)


def test_failure_log_trips_by_effect_and_names_it():
    log = FailureLog(max_consecutive=3)
    log.record("A", {"x": 1.5}, "first")
    log.success("A")
    for _ in range(3):
        log.check()
        log.success("B")
        log.record("A", {"x": 2.5}, "crashed")
    assert (log.count, log.is_tripped("A"), log.is_tripped("B")) == (4, True, False)
    with pytest.raises(EffectError, match=r"A \[x=2.5\]: crashed"):
        log.check()


@pytest.mark.parametrize("channels", [1, 2])
def test_render_matches_pedalboard_called_directly(channels):
    import pedalboard

    audio = np.repeat(AUDIO, channels, axis=2) * np.array([1.0, 0.5], np.float32)[:channels]
    audio.flags.writeable = False
    with open_host("Compressor(threshold_db, ratio, attack_ms=5) | Gain") as host:
        assert host.name == "Compressor(threshold_db, ratio, attack_ms=5) | Gain"
        assert host.parameters.names == ("Compressor.threshold_db", "Compressor.ratio", "Gain.gain_db")
        unit = host.parameters.sample(RNG, 3)
        out = host.render(audio, unit, SAMPLE_RATE)
        physical = host.parameters.to_physical(unit)
    assert out.shape == audio.shape
    assert out.dtype == np.float32
    for b in range(3):
        threshold_db, ratio, gain_db = physical[b]
        board = pedalboard.Pedalboard(
            [
                pedalboard.Compressor(threshold_db=threshold_db, ratio=ratio, attack_ms=5),
                pedalboard.Gain(gain_db=gain_db),
            ]
        )
        np.testing.assert_array_equal(out[b], board(audio[b].T, SAMPLE_RATE).T)


def test_variants_have_the_bits_of_single_renders():
    with open_host("HighpassFilter | Compressor | Reverb", num_workers=2) as host:
        unit = np.repeat(host.parameters.sample(RNG, 3)[:, None], 6, axis=1)
        for r, k in enumerate([None, 0, 2, 6, 9, 9]):
            if k is not None:
                unit[:, r, k] = np.abs(unit[:, r, k] - 0.01)
        together = host.render_variants(AUDIO, unit, SAMPLE_RATE)
        for r in range(6):
            np.testing.assert_array_equal(together[:, r], host.render(AUDIO, unit[:, r], SAMPLE_RATE))


def test_settings_that_are_not_finite_cost_one_render():
    with open_host("Reverb") as host:
        unit = host.parameters.sample(RNG, 3)
        unit[1, 2] = np.nan
        out = host.render(AUDIO, unit, SAMPLE_RATE)
        assert np.isnan(out[1]).all()
        assert np.isfinite(out[[0, 2]]).all()
        assert host.failures.count == 1
        assert host.failures.last[0].reason == "the settings are not finite"


def test_a_run_of_failures_stops_with_the_settings():
    audio = AUDIO.copy()
    audio[:, 10] = np.nan
    with open_host("Gain") as host:
        for _ in range(4):
            assert np.isnan(host.render(audio, np.full((3, 1), 0.5), SAMPLE_RATE)).all()
        with pytest.raises(EffectError, match=r"Gain \[gain_db=0\].*NaN"):
            host.failures.check()


@pytest.mark.parametrize("variants", [11, 60])
def test_one_bad_example_of_many_settings_is_one_failure(variants):
    audio = np.repeat(AUDIO[:1], 8, axis=0)
    audio[5, 10] = np.nan
    with open_host("Gain", num_workers=1) as host:
        out = host.render_variants(audio, np.linspace(0.1, 0.9, 8 * variants).reshape(8, variants, 1), SAMPLE_RATE)
        host.failures.check()
        assert host.failures.count == variants
        assert np.isfinite(out[[0, 1, 2, 3, 4, 6, 7]]).all()
        assert np.isnan(out[5]).all()


def test_ten_bad_examples_in_a_row_stop_a_run_whatever_their_settings():
    audio = np.full((10, 100, 1), np.nan, np.float32)
    with open_host("Gain", num_workers=1) as host:
        host.render_variants(audio, np.full((10, 3, 1), 0.5), SAMPLE_RATE)
        with pytest.raises(EffectError, match="10 examples in a row"):
            host.failures.check()


def test_one_example_of_very_many_settings_stops_in_the_end():
    """A plugin that hangs costs a time limit each."""
    audio = np.full((1, 100, 1), np.nan, np.float32)
    with open_host("Gain", num_workers=1) as host:
        host.render_variants(audio, np.linspace(0.0, 1.0, 150).reshape(1, 150, 1), SAMPLE_RATE)
        with pytest.raises(EffectError, match="renders of 1 examples in a row"):
            host.failures.check()


def test_bank_renders_each_example_through_its_own_effect():
    names = ["Reverb", "Gain", "PeakFilter | Delay"]
    with open_bank(names, num_workers=2) as bank:
        assert bank.names == tuple(names)
        assert bank.num_params == 5 + 1 + 6
        effect, unit, mask = bank.sample(np.random.default_rng(1), 40)
        assert set(effect) == {0, 1, 2}
        np.testing.assert_array_equal(mask.sum(axis=1), np.array([5, 1, 6])[effect])
        assert not unit[mask == 0].any()
        audio = (0.1 * RNG.standard_normal((40, 500, 1))).astype(np.float32)
        out = bank.render(audio, effect, unit, SAMPLE_RATE)
        for b in range(40):
            host = bank.hosts[effect[b]]
            alone = host.render(audio[b : b + 1], unit[b : b + 1, bank.columns(effect[b])], SAMPLE_RATE)
            np.testing.assert_array_equal(out[b], alone[0])


def test_random_chains_share_the_parameters_of_their_members():
    names = ["Reverb", "Gain", "PeakFilter", "Delay"]
    chains = RandomChains(count=12, max_length=3, share=0.75)
    with (
        open_bank(names, num_workers=2, chains=chains, seed=3) as bank,
        open_bank(names, chains=chains, seed=3) as same,
    ):
        assert bank.names == same.names
        assert bank.unit_names == tuple(names)
        assert len(set(bank.names)) == 4 + 12
        assert bank.num_params == len(bank.parameter_names) == 5 + 1 + 3 + 3
        assert bank.parameter_names[5] == "Gain.gain_db"
        for index, members in enumerate(bank.members):
            assert bank.names[index] == " | ".join(names[i] for i in members)
            assert len(set(members)) == len(members) <= 3
            assert [bank.parameter_names[k] for k in bank.columns(index)] == [
                name for i in members for name in bank.parameter_names if name.startswith(f"{names[i]}.")
            ]
            np.testing.assert_array_equal(np.flatnonzero(bank.membership[index]), sorted(members))
        effect, unit, mask = bank.sample(np.random.default_rng(1), 400)
        assert 0.65 < (effect >= 4).mean() < 0.85
        assert not unit[mask == 0].any()
        audio = (0.1 * RNG.standard_normal((20, 500, 1))).astype(np.float32)
        out = bank.render(audio, effect[:20], unit[:20], SAMPLE_RATE)
        for b in range(20):
            stage = audio[b : b + 1]  # the members alone, one after the other
            for i in bank.members[effect[b]]:
                stage = bank.hosts[i].render(stage, unit[b : b + 1, bank.columns(i)], SAMPLE_RATE)
            np.testing.assert_array_equal(out[b], stage[0])


def test_chains_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="max_length"):
        RandomChains(count=1, max_length=1)
    assert len(RandomChains(count=50, max_length=2).draw(3, seed=0)) == 6  # no more than there are


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        ("Compresor", "Compressor"),
        ("Compressor(treshold_db)", "threshold_db"),
        ("LadderFilter(mode=notch)", "LPF12"),
        ("Mix", "container"),
        ("Convolution", "impulse_response_filename"),
        ("Convolution(impulse_response_filename=/no/such.wav)", "refuses"),
        ("Delay(delay_seconds=99)", "between 0.0s and 30s"),
    ],
)
def test_bad_names_and_values_are_user_errors(effect, message):
    with pytest.raises(UserError, match=message):
        open_host(effect)


def test_a_closed_host_says_so():
    host = open_host("Gain")
    host.close()
    host.close()
    with pytest.raises(RuntimeError, match="closed"):
        host.render(AUDIO, np.zeros((3, 1)), SAMPLE_RATE)
