"""The studio: palette, measures, decoder, search and the chain that is found."""

from typing import Any

import numpy as np
import pedalboard
import pytest
from effects_vst3 import zam

import dafxvae
from dafxvae.audio.io import read_audio, write_audio
from dafxvae.core.errors import UserError
from dafxvae.core.rng import host_rng
from dafxvae.studio import chain_search, match, palette
from dafxvae.studio.chain_decoder import LEVELS, change_of, features_of, load_decoder
from dafxvae.studio.chain_renderer import ChainRenderer
from dafxvae.studio.decoder_training import train_decoder
from dafxvae.studio.found_chain import found_chain
from dafxvae.studio.pairs import StudioPairs
from dafxvae.studio.palette import EFFECTS, SPACE, StudioChain, draw_chain
from dafxvae.studio.sound import NUM_BANDS, SAMPLE_RATE, MeasuredSound, spectral_statistics
from dafxvae.transfer.__main__ import main
from dafxvae.transfer.recordings import ArrayRecording
from dafxvae.transfer.results import Options


def noise(seconds=1.0, channels=2, seed=0):
    return 0.1 * host_rng(seed, "noise").standard_normal((round(seconds * SAMPLE_RATE), channels)).astype(np.float32)


def test_chains_are_drawn_by_the_protocol():
    chains = [draw_chain(host_rng(0, "chains", i)) for i in range(2000)]
    sizes = np.array([len(chain.places) for chain in chains])
    assert sizes.min() == 1
    assert sizes.max() == palette.MOST_STAGES
    shares = np.mean([chain.is_on for chain in chains], axis=0)
    # at least one and at most four effects move the shares a little
    np.testing.assert_allclose(shares, [stage.share for stage in palette.STAGES], atol=0.06)
    assert {chain.order for chain in chains} == {0, 1, 2, 3}


def test_a_chain_renders_as_the_effects_in_its_order_do():
    chain = StudioChain(np.isin(EFFECTS, ["Distortion", "HighpassFilter", "Reverb"]), 1, np.full(len(SPACE), 0.25))
    assert chain.effects == ("Distortion", "HighpassFilter", "Reverb")
    audio = noise()
    expected = np.ascontiguousarray(audio.T)
    for effect in (
        pedalboard.Distortion(7.5),
        pedalboard.HighpassFilter(30.0 * 40.0**0.25),
        pedalboard.Reverb(room_size=0.375, damping=0.3, wet_level=0.225, width=0.25, dry_level=0.5),
    ):
        expected = effect(expected, SAMPLE_RATE, buffer_size=8192)
    with ChainRenderer(1) as renderer:
        np.testing.assert_allclose(renderer.render(chain, audio, SAMPLE_RATE), expected.T, atol=1e-6)
        assert renderer.render(StudioChain.empty(), audio, SAMPLE_RATE) is audio


def test_settings_outside_a_controllable_range_are_rendered():
    long_delay = StudioChain(np.isin(EFFECTS, ["Delay"]), 0, np.ones(len(SPACE), np.float32))
    assert long_delay.settings() == [pytest.approx({"delay_seconds": 1.5, "feedback": 0.7, "mix": 0.7})]
    click = np.zeros((2 * SAMPLE_RATE, 2), np.float32)
    click[0] = 0.5
    with ChainRenderer(1) as renderer:
        heard = renderer.render(long_delay, click, SAMPLE_RATE)
    assert np.abs(heard[100:]).argmax() // 2 == round(1.5 * SAMPLE_RATE) - 100


def test_statistics_follow_level_and_width():
    audio = noise()
    before, louder = (spectral_statistics(each).reshape(8, NUM_BANDS) for each in (audio, 10.0 ** (10 / 20) * audio))
    change = louder - before
    np.testing.assert_allclose(change[[0, 2, 3, 4, 5]], 1.0, atol=1e-3)  # levels: 10 dB is one unit
    np.testing.assert_allclose(change[[1, 6, 7]], 0.0, atol=1e-3)  # deviation, steps and width keep
    narrow = spectral_statistics(np.repeat(audio[:, :1], 2, axis=1)).reshape(8, NUM_BANDS)
    assert narrow[7].max() < -5.0 < before[7].min()


def toy_pairs(count, seed=0):
    """Pairs whose reference's encoding shows in plain numbers which effects are on, and how they are set."""
    rng = host_rng(seed, "toy")
    chains = [draw_chain(rng) for _ in range(count)]
    is_on = np.stack([chain.is_on for chain in chains])
    settings = np.stack([chain.unit_params for chain in chains])
    shown = np.concatenate([is_on, settings * is_on[:, palette.OWNER]], axis=1).astype(np.float32)
    blank, statistics = np.zeros_like(shown), np.zeros((count, 4), np.float32)
    orders = np.array([chain.order for chain in chains])
    return StudioPairs(blank, statistics, shown, statistics, shown, statistics + is_on[:, :4], is_on, orders, settings)


def test_a_decoder_learns_what_features_show_and_is_stored(tmp_path):
    pairs = toy_pairs(1024)
    seen = []
    decoder = train_decoder(pairs, 600, width=128, report=lambda step, parts: seen.append(parts))
    assert seen[-1]["presence"] < 0.1 < seen[0]["presence"]
    fresh = toy_pairs(64, seed=1)
    found = decoder.predict(features_of(fresh.source, fresh.reference), fresh.is_on, fresh.order)
    assert ((np.asarray(found.is_on) > 0) == fresh.is_on).mean() > 0.97
    weights = np.exp(found.settings - np.max(found.settings, axis=-1, keepdims=True))
    settings = (weights / weights.sum(-1, keepdims=True)) @ LEVELS
    error = np.abs(settings - fresh.unit_params)[fresh.is_on[:, palette.OWNER]].mean()
    assert error < 0.2  # a constant: .25
    change = decoder.scaling.change(change_of(fresh.source, fresh.target))
    assert np.square(found.change - change).mean() < 0.5 * np.square(change).mean()

    path = tmp_path / "studio.safetensors"
    decoder.save(path, {})
    again = load_decoder(path).predict(features_of(fresh.source, fresh.reference), fresh.is_on, fresh.order)
    np.testing.assert_allclose(again.is_on, found.is_on, atol=0.1)  # stored in half precision


def test_a_file_that_holds_no_decoder_is_refused(tmp_path):
    with pytest.raises(UserError, match="no weights at"):
        load_decoder(tmp_path / "none.safetensors")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A take, another stretch of the same playing, and that one through a low-pass and a long reverb."""
    folder = tmp_path_factory.mktemp("recordings")
    seconds = np.arange(16 * SAMPLE_RATE) / SAMPLE_RATE
    hits = host_rng(0, "studio").standard_normal((len(seconds), 2)) * np.exp(-12 * (seconds % 0.5))[:, None]
    tones = np.sum([np.sin(2 * np.pi * f * seconds) / f for f in (110.0, 277.2, 659.3, 1318.5)], axis=0)
    audio = (0.1 * hits + 8.0 * tones[:, None] * np.exp(-4 * (seconds % 1.0))[:, None]).astype(np.float32)
    write_audio(folder / "take.wav", 0.5 * audio[: 8 * SAMPLE_RATE], SAMPLE_RATE)
    write_audio(folder / "other.wav", 0.5 * audio[8 * SAMPLE_RATE :], SAMPLE_RATE)
    chain = pedalboard.LowpassFilter(2500.0), pedalboard.Reverb(0.8, wet_level=0.5, dry_level=0.5)
    wet = np.ascontiguousarray(0.5 * audio[8 * SAMPLE_RATE :].T)
    for effect in chain:
        wet = effect(wet, SAMPLE_RATE)
    write_audio(folder / "reference.wav", wet.T, SAMPLE_RATE)
    return folder


def test_the_effects_are_found_and_a_transfer_made_by_them(recordings, tmp_path, capsys):
    paths = [str(recordings / name) for name in ("take.wav", "reference.wav")]
    main([*paths, "-o", str(tmp_path / "out.wav"), "--effort", "4"])
    said = capsys.readouterr().err
    take, reference = (read_audio(path)[0] for path in paths)
    transfer, found = dafxvae.match(take, reference, SAMPLE_RATE, effort=4)
    assert {"LowpassFilter", "Reverb"} <= set(found.effects)
    assert "Distortion" not in found.effects
    assert found.presence["LowpassFilter"] > 0.5
    assert found.sentence in " ".join(said.split())
    np.testing.assert_allclose(read_audio(tmp_path / "out.wav")[0], transfer.audio, atol=1e-6)
    spectra = [spectral_statistics(audio)[:NUM_BANDS] for audio in (take, transfer.audio[: len(take)], reference)]
    assert np.abs(spectra[1] - spectra[2]).mean() < 0.5 * np.abs(spectra[0] - spectra[2]).mean()


def test_what_cannot_be_asked_of_a_match_is_refused():
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"locks": {}}, "locks: match finds the settings itself"),
        ({"amount": 2.0}, "amount 2"),
        ({"palette": "Reverb, Reverb"}, "stands there twice"),
        ({"palette": ["Compressor | Reverb"]}, "give single effects"),
        ({"palette": 3}, "palette 3: give the short forms"),
        ({"palette": [None]}, "give the short forms"),
        ({"palette": []}, "give at least one effect"),
        ({"only": "space"}, "give a list"),
        ({"palette": "Reverb, NoSuchEffect"}, "NoSuchEffect"),
        ({"refine": 3}, "refine: match finds"),
        ({"effort": 0}, "effort is 0"),
        ({"effort": 1.5}, "effort is 1.5"),
        ({"seed": -1}, "seed"),
    )
    for options, message in cases:
        with pytest.raises(UserError, match=message):
            dafxvae.match(noise(), noise(), SAMPLE_RATE, **options)
    with pytest.raises(UserError, match="too short or too quiet"):
        dafxvae.match(noise(), 1e-5 * noise(), SAMPLE_RATE)


def test_settings_are_those_that_are_played():
    """A gain of 50 dB and a delay of 1.5 s are beyond the effects: what is said is what is heard."""
    chain = StudioChain(np.isin(EFFECTS, ["Compressor", "Delay", "Reverb"]), 0, np.ones(len(SPACE), np.float32))
    found = found_chain(chain, [], 50.0, {}, 1)
    assert found.chain == "Gain | Compressor | Delay | Reverb"
    assert found.settings["Gain.gain_db"] == 24.0
    assert found.settings["Delay.delay_seconds"] == 1.0
    assert found.settings["Compressor.ratio"] == pytest.approx(12.0)
    assert found.settings["Reverb.dry_level"] == 0.5
    alone = StudioChain(np.isin(EFFECTS, ["PeakFilter"]), 0, np.zeros(len(SPACE), np.float32))
    assert found_chain(alone, [], 50.0, {}, 1).settings == pytest.approx(
        {"cutoff_frequency_hz": 80.0, "gain_db": -12.0, "q": 0.3}
    )
    assert found_chain(StudioChain.empty(), [], 50.0, {}, 1).settings == {"gain_db": 0.0}


@pytest.mark.vst3
def test_a_plugin_takes_the_place_of_a_filter(recordings):
    take, reference = (read_audio(recordings / name)[0] for name in ("take.wav", "reference.wav"))
    transfer, found = dafxvae.match(take, reference, SAMPLE_RATE, palette=["Reverb", zam("ZamEQ2")])
    assert found.effects == ("Gain", "Reverb", zam("ZamEQ2"))
    spectra = [spectral_statistics(audio)[:NUM_BANDS] for audio in (take, transfer.audio[: len(take)], reference)]
    assert np.abs(spectra[1] - spectra[2]).mean() < 0.6 * np.abs(spectra[0] - spectra[2]).mean()


def test_what_is_asked_of_effects_that_are_not_found_is_left_out_and_said():
    chain = StudioChain(np.isin(EFFECTS, ["Reverb", "LowpassFilter"]), 0, np.full(len(SPACE), 0.5, np.float32))
    found = found_chain(chain, [], 0.0, {}, 1)
    assert found.kinds == ("spectrum", "space")
    asked = Options(amount_of={"Reverb": 0.5, "Chorus": 0.2}, only=["space"], max_eq_db=3.0)
    kept, options = found.adapted(asked)
    assert kept.effects == found.effects
    assert (options.amount_of, options.only, options.max_eq_db) == ({"Reverb": 0.5}, ["space"], None)
    assert [note.partition(":")[0] for note in kept.left_out] == ["amount_of Chorus", "max_eq 3"]
    none, options = found.adapted(Options(only=["dynamics"], amount_of={"Reverb": 0.5}))
    assert none.effects == ()
    assert none.settings == {"gain_db": 0.0}
    assert (options.match_level, options.ceiling_db, options.only, options.amount_of) == ("none", None, (), {})
    assert none.left_out[0] == "only dynamics: no such effect was found, but spectrum, space"


def test_a_take_that_needs_nothing_is_left_alone(recordings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(chain_search, "CHAIN_WEIGHT", 0.0)
    monkeypatch.setattr(chain_search.ChainSearch, "proposals", lambda *_: iter([StudioChain.empty()]))
    paths = [str(recordings / name) for name in ("take.wav", "other.wav")]
    main([*paths, "-o", str(tmp_path / "out.wav"), "--effort", "1"])
    assert "nothing is changed" in capsys.readouterr().err
    np.testing.assert_array_equal(read_audio(tmp_path / "out.wav")[0], read_audio(paths[0])[0])
    take, other = (read_audio(path)[0] for path in paths)
    transfer, found = dafxvae.match(take, other, SAMPLE_RATE, effort=1, match_level="on")
    assert found.effects == ()
    np.testing.assert_array_equal(transfer.audio, take)
    assert transfer.gain_db == 0.0


def test_a_found_chain_has_amounts(recordings):
    take, reference = (read_audio(recordings / name)[0] for name in ("take.wav", "reference.wav"))
    options: dict[str, Any] = {"effort": 1, "match_level": "none", "ceiling_db": None, "max_tail_sec": 0.0}
    none, _ = dafxvae.match(take, reference, SAMPLE_RATE, amount=0.0, **options)
    whole, found = dafxvae.match(take, reference, SAMPLE_RATE, **options)
    assert whole.settings == pytest.approx(found.settings, rel=1e-4)
    # a low-pass at its highest cutoff still turns phases a little
    assert np.std(none.audio - take) < 0.4 * np.std(whole.audio - take)


def test_references_are_averaged_by_their_weights(recordings, monkeypatch):
    paths = [recordings / f"{name}.wav" for name in ("take", "other", "reference")]
    source, *references = [ArrayRecording(read_audio(path)[0], SAMPLE_RATE, path.name) for path in paths]
    compared = []

    class Recording(chain_search.ChainSearch):
        def __init__(self, *arguments, **options):
            compared.append(arguments[4].statistics)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(match, "ChainSearch", Recording)
    for weights in ([1, 0], [0, 1], [3, 1]):
        match.find_chain(source, references, effort=1, weights=weights)
    np.testing.assert_allclose(compared[2], 0.75 * compared[0] + 0.25 * compared[1], rtol=1e-5)
    assert np.abs(compared[0] - compared[1]).max() > 0.1


def test_a_chain_is_made_of_the_palette(recordings):
    take, reference = (read_audio(recordings / name)[0] for name in ("take.wav", "reference.wav"))
    _, found = dafxvae.match(take, reference, SAMPLE_RATE, effort=6, palette="Chorus, LowpassFilter, Compressor")
    assert set(found.presence) == {"Chorus", "LowpassFilter", "Compressor"}
    assert "LowpassFilter" in found.effects
    assert set(found.effects) <= {"Gain", *found.presence}


def test_an_effect_that_the_decoder_does_not_know_is_searched_for(recordings):
    """With a range of its own, the low-pass is none of the eight: its cutoff goes to where the reference's was."""
    take, reference = (read_audio(recordings / name)[0] for name in ("take.wav", "reference.wav"))
    palette = ["Reverb", "LowpassFilter(cutoff_frequency_hz=1000..20000)", "Invert"]
    with pytest.raises(UserError, match="Invert"):  # nothing can be set of it
        dafxvae.match(take, reference, SAMPLE_RATE, effort=2, palette=palette)
    transfer, found = dafxvae.match(take, reference, SAMPLE_RATE, effort=2, palette=palette[:2])
    assert found.effects == ("Gain", *palette[:2])
    assert 1500.0 < transfer.settings["LowpassFilter.cutoff_frequency_hz"] < 6000.0
    spectra = [spectral_statistics(audio)[:NUM_BANDS] for audio in (take, transfer.audio[: len(take)], reference)]
    assert np.abs(spectra[1] - spectra[2]).mean() < 0.6 * np.abs(spectra[0] - spectra[2]).mean()


def test_a_chain_loses_what_it_does_not_need(monkeypatch):
    """With a score that only counts effects but the reverb, the reverb alone is left."""
    chain = StudioChain(np.isin(EFFECTS, ["Delay", "Chorus", "Reverb"]), 0, np.full(len(SPACE), 0.5))

    class Counting(chain_search.ChainSearch):
        def __init__(self):
            pass

        def compare(self, chains):
            return [
                chain_search.Candidate(each, len(each.places) - 2.0 * ("Reverb" in each.effects)) for each in chains
            ]

    compared = Counting().prune(*Counting().compare([chain]))
    assert min(compared, key=lambda one: one.score).chain.effects == ("Reverb",)
    assert len(compared) == 1 + 3 + 2 + 1  # the chain, without each of three, of two, of the last


def test_differences_are_of_after_and_before():
    first = MeasuredSound(np.array([1.0, 2.0]), np.array([3.0]))
    second = MeasuredSound(np.array([5.0, 5.0]), np.array([4.0]))
    np.testing.assert_array_equal(change_of(first, second), [1.0, 4.0, 3.0])
    np.testing.assert_array_equal(features_of(first, second), [[1, 2, 5, 5, 4, 3, 3, 1]])
