"""What of a style is taken over: amounts of single effects, effects of some kinds, weights of references, bounds."""

import json

import numpy as np
import pytest
import soundfile
from effects_vst3 import zam
from transfer_toys import RATE, music, save_toy

import dafxvae
from dafxvae.audio.loudness import loudness_lufs
from dafxvae.core.errors import UserError
from dafxvae.effects.builtins import BUILTINS
from dafxvae.effects.factory import open_host
from dafxvae.effects.kinds import BUILTIN_KINDS, KINDS, measured_kind, unit_kind
from dafxvae.transfer.__main__ import main
from dafxvae.transfer.aspects import bound_gains, stage_amounts, stage_kinds
from dafxvae.transfer.commands import parse_reference

CHAIN = "PeakFilter | Compressor | Reverb"


@pytest.fixture(autouse=True)
def untrained(monkeypatch):
    """Networks that were never trained tell recordings apart by less than trained ones."""
    monkeypatch.setattr("dafxvae.transfer.amount.NEAR", 1e-6)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return save_toy(tmp_path_factory.mktemp("toy"), CHAIN)


@pytest.fixture(scope="module")
def style(path):
    with dafxvae.load_controller(path) as transfer:
        yield transfer


def of(result, effect):
    return {name: value for name, value in result.settings.items() if name.startswith(effect)}


def test_every_builtin_has_a_kind():
    assert set(BUILTIN_KINDS) == set(BUILTINS)
    assert set(BUILTIN_KINDS.values()) == set(KINDS)


@pytest.mark.parametrize(
    ("effect", "values", "kind"),
    [
        ("PeakFilter", {"gain_db": 12.0}, "spectrum"),
        ("HighpassFilter", {"cutoff_frequency_hz": 500.0}, "spectrum"),
        ("Compressor", {"threshold_db": -40.0, "ratio": 4.0, "attack_ms": 5.0}, "dynamics"),
        ("Reverb", {}, "space"),
        ("Delay", {"feedback": 0.4}, "space"),
        ("Phaser", {}, "modulation"),
        ("Distortion", {}, "distortion"),
        ("Gain", {"gain_db": 9.0}, "level"),
    ],
)
def test_the_response_of_an_effect_shows_its_kind(effect, values, kind):
    with open_host(effect, num_workers=1) as host:
        assert measured_kind(host, host.parameters.from_values(values), 24000) == kind == BUILTIN_KINDS[effect]


@pytest.mark.vst3
def test_a_plugin_s_category_says_its_kind():
    with open_host(f"{zam('ZamComp')} | {zam('ZamEQ2')}", num_workers=1) as host:
        assert [unit_kind(unit) for unit in host.chain.units] == ["dynamics", "spectrum"]
        kinds = stage_kinds(host, host.parameters.default_unit, 24000)
        high = host.parameters.from_values({"ZamEQ2.boost_cut_1_db": 20.0, "ZamComp.makeup_db": 20.0})
        bounded, notes = bound_gains(host.chain, high, {}, 6.0, kinds)
    found = host.parameters.describe(bounded)
    assert found["ZamEQ2.boost_cut_1_db"] == pytest.approx(6.0, abs=1e-4)
    assert found["ZamComp.makeup_db"] == pytest.approx(20.0, abs=1e-4)
    assert notes == ("ZamEQ2.boost_cut_1_db is held to +6 dB (it would be +20.0 dB)",)


def test_amounts_belong_to_effects_by_name_and_number():
    with open_host("PeakFilter | Reverb | PeakFilter", num_workers=1) as host:
        chain = host.chain
    assert chain.labels == ("PeakFilter", "Reverb", "PeakFilter2")
    assert stage_amounts(chain, 0.8, {"PeakFilter2": 0.5, "2": 1.5}, (), ()).tolist() == [0.8, 1.5, 0.5]
    kinds = ["spectrum", "space", "spectrum"]
    assert stage_amounts(chain, 0.8, {1: 0.5}, ("spectrum",), kinds).tolist() == [0.5, 0.0, 0.8]


def test_an_amount_of_one_effect_leaves_the_others_as_predicted(style):
    audio, reference = music(seed=1), music(seed=2)
    whole, half, none = (
        style.transfer(audio, reference, RATE, amount_of={"Compressor": amount}) for amount in (1.0, 0.5, 0.0)
    )
    for effect in ("PeakFilter", "Reverb"):
        assert of(whole, effect) == of(half, effect) == of(none, effect)
    ratios = [result.settings["Compressor.ratio"] for result in (whole, half, none)]
    thresholds = [result.settings["Compressor.threshold_db"] for result in (whole, half, none)]
    assert ratios[0] > 1.0
    assert ratios[2] == pytest.approx(1.0, abs=1e-3) or thresholds[2] > -1.0
    units = np.stack([result.unit_params for result in (whole, half, none)])
    np.testing.assert_allclose(units[1], (units[0] + units[2]) / 2, atol=1e-6)


def test_only_one_kind_is_the_chain_with_all_others_neutral(style):
    audio, reference = music(seed=1), music(seed=2)
    found = style.transfer(audio, reference, RATE, only=["spectrum"], amount=1.0)
    same = style.transfer(audio, reference, RATE, amount_of={2: 0.0, "Reverb": 0.0})
    np.testing.assert_array_equal(found.audio, same.audio)
    assert of(found, "PeakFilter") == of(style.transfer(audio, reference, RATE, amount=1.0), "PeakFilter")
    assert found.settings["Reverb.wet_level"] == pytest.approx(0.0, abs=1e-3)


def test_gains_of_filters_stay_within_the_bound(style):
    free = style.transfer(music(seed=1), music(seed=2), RATE, amount=1.0).settings["PeakFilter.gain_db"]
    bound = abs(free) / 2
    held = style.transfer(music(seed=1), music(seed=2), RATE, amount=1.0, max_eq_db=bound)
    assert held.settings["PeakFilter.gain_db"] == pytest.approx(np.sign(free) * bound, rel=1e-4)
    assert any("PeakFilter.gain_db is held to" in note for note in held.notes)
    loose = style.transfer(music(seed=1), music(seed=2), RATE, amount=1.0, max_eq_db=abs(free) + 1)
    assert loose.settings["PeakFilter.gain_db"] == free
    with pytest.raises(UserError, match="locked at 12 dB, beyond max_eq 6"):
        style.transfer(music(), music(), RATE, max_eq_db=6, locks={"PeakFilter.gain_db": 12})


def test_a_weight_counts_as_the_recording_given_so_often(style):
    audio, first, second = (music(seed=seed) for seed in (1, 2, 3))
    weighted = style.transfer(audio, [first, second], RATE, weights=[1, 3])
    repeated = style.transfer(audio, [first, second, second, second], RATE)
    np.testing.assert_array_equal(weighted.audio, repeated.audio)
    assert dict(weighted.fit.after) == pytest.approx(dict(repeated.fit.after))
    assert not np.array_equal(weighted.unit_params, style.transfer(audio, [first, second], RATE).unit_params)


def test_a_reference_for_one_kind_sets_the_effects_of_it_and_they_are_judged_by_it(style):
    audio, first, second = (music(seed=seed) for seed in (1, 2, 3))
    alone = [style.transfer(audio, one, RATE, amount=1.0) for one in (first, second)]
    both = style.transfer(audio, [first, second], RATE, amount=1.0, aspects=["", "space"])
    assert of(both, "Reverb") == of(alone[1], "Reverb") != of(alone[0], "Reverb")
    for effect in ("PeakFilter", "Compressor"):
        assert of(both, effect) == of(alone[0], effect)
    before = [both.fit.before[name] for name in ("space", "spectrum")]
    assert before == [alone[1].fit.before["space"], alone[0].fit.before["spectrum"]]
    assert both.document["compared"][2]["aspect"] == "space"
    assert [clip.label for clip in both.clips] == ["Take", "Reference 1", "Output", "Reference 2 (space)"]
    with pytest.raises(UserError, match="no effect of this kind"):
        style.transfer(audio, [first, second], RATE, aspects=["", "pitch"])
    with pytest.raises(UserError, match="the search has one goal"):
        style.transfer(audio, [first, second], RATE, aspects=["", "space"], refine=10)
    with pytest.raises(UserError, match="one aspect for each"):
        style.transfer(audio, [first, second], RATE, aspects=["space"])


def test_where_every_reference_is_for_one_kind_other_effects_leave_the_take_alone(style):
    audio, reference = music(seed=1), music(seed=2)
    only = style.transfer(audio, reference, RATE, amount=1.0, only=["space"])
    found = style.transfer(audio, [reference, music(seed=3)], RATE, amount=1.0, aspects=["space", "level"])
    np.testing.assert_array_equal(found.unit_params, only.unit_params)
    with pytest.raises(UserError, match="no reference is given for it"):
        style.transfer(audio, reference, RATE, only=["dynamics"], aspects=["space"])


def test_a_reference_for_the_level_is_the_one_that_is_matched_in_loudness(style):
    audio, first, quiet = music(seed=1), music(seed=2), music(seed=3, level=0.01)
    wanted = float(loudness_lufs(quiet[None], RATE)[0])
    for options in ({"aspects": ["", "level"]}, {"aspects": ["space", "level"], "only": ["level"]}):
        found = style.transfer(audio, [first, quiet], RATE, **options)
        assert float(loudness_lufs(found.audio[None], RATE)[0]) == pytest.approx(wanted, abs=0.1)
    assert found.settings["Reverb.wet_level"] == pytest.approx(0.0, abs=1e-3)


def test_a_reference_s_weight_is_a_number_behind_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    soundfile.write("odd:2", music(1.0), RATE, format="WAV")
    soundfile.write("a.wav", music(1.0), RATE)
    given = ("a.wav", "a.wav:3", "odd:2", "odd:2:4", "a.wav:space", "odd:2:space:4", "new.wav:2:level")
    assert [(str(path), *others) for path, *others in map(parse_reference, given)] == [
        ("a.wav", 1, ""),
        ("a.wav", 3, ""),
        ("odd:2", 1, ""),
        ("odd:2", 4, ""),
        ("a.wav", 1, "space"),
        ("odd:2", 4, "space"),
        ("new.wav", 2, "level"),
    ]
    assert parse_reference(r"C:\takes\a.wav")[1:] == (1, "")
    with pytest.raises(UserError, match="did you mean space"):
        parse_reference("a.wav:spaces")
    with pytest.raises(UserError, match="give a weight in whole numbers"):
        parse_reference("a.wav:0.5")


def test_the_command_line_takes_aspects_and_reports_what_was_compared(tmp_path, path, capsys):
    soundfile.write(tmp_path / "in.wav", music(seed=1, level=0.05), RATE)
    for name, seed in (("one.wav", 2), ("two.wav", 3)):
        soundfile.write(tmp_path / name, music(seed=seed), RATE)
    files = [tmp_path / "in.wav", tmp_path / "one.wav", f"{tmp_path / 'two.wav'}:2:dynamics"]
    options = ["--amount-of", "Compressor=0.5", "--amount-of", "3=0", "--only", "dynamics,space", "--max-eq", "12"]
    main([*map(str, files), "--controller", str(path), "-o", str(tmp_path / "out.wav"), *options])
    document = json.loads((tmp_path / "out.wav.settings.json").read_text())
    assert document["amount_of"] == {"Compressor": 0.5, "3": 0.0}
    assert (document["only"], document["max_eq_db"]) == (["dynamics", "space"], 12.0)
    own, one, two = document["compared"]
    assert [entry["weight"] for entry in (own, one, two)] == [1, 1, 2]
    assert one["lufs"] - own["lufs"] == pytest.approx(20 * np.log10(0.3 / 0.05), abs=1.0)
    printed = " ".join(capsys.readouterr().err.split())
    assert f"windows of the input ({own['lufs']:.1f} LUFS) with {one['windows']} of one.wav" in printed
    assert "of two.wav for dynamics alone (" in printed
    assert "weight 2)" in printed


def test_less_is_made_of_what_would_take_the_spectrum_away(style):
    audio = music(seed=1)
    reference = audio[::-1].copy()  # of the same spectrum: any filter is worse
    whole = style.transfer(audio, reference, RATE, amount=1.0)
    usual = style.transfer(audio, reference, RATE)
    assert "spectrum" in whole.fit.worse
    assert not any("the amount is" in note for note in whole.notes)
    assert sum("the amount is" in note for note in usual.notes) == 1
    assert usual.fit.after["spectrum"] < whole.fit.after["spectrum"]
    weaker = [style.transfer(audio, reference, RATE, amount=amount).unit_params for amount in (0.5, 0.25)]
    assert any(np.array_equal(usual.unit_params, one) for one in weaker)
    locks = {"PeakFilter.gain_db": 12.0, "PeakFilter.cutoff_frequency_hz": 1000.0, "PeakFilter.q": 0.5}
    held = style.transfer(audio, audio, RATE, locks=locks)  # any amount of nothing is nothing
    assert "spectrum" in held.fit.worse
    assert not any("the amount is" in note for note in held.notes)
    named = style.transfer(audio, reference, RATE, amount_of={"PeakFilter": 1.0})
    np.testing.assert_array_equal(named.unit_params, whole.unit_params)
