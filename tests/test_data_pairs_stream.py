# pyright: reportArgumentType=false
# pyright: reportIncompatibleMethodOverride=false
import json
import threading
import time

import numpy as np
import pytest
from effects_vst3 import zam

from dafxvae.audio.io import write_audio
from dafxvae.core.errors import UserError
from dafxvae.data.corpora.corpus import Corpus, PcmCache, open_corpus
from dafxvae.data.pairs.augment import change_pitch_and_tempo, source_frames
from dafxvae.data.pairs.clips import ClipCutter
from dafxvae.data.pairs.neutral import change_db, neutral_settings, probe
from dafxvae.data.pairs.stream import PairOptions, fixed_pairs, iterate, make_pairs
from dafxvae.effects.bank import open_bank
from dafxvae.effects.builtins import BUILTINS

RATE, SAMPLES = 16000, 8000
MODES = ("same_clip", "other_section", "other_file", "mixed")


class Failures:
    def __init__(self):
        self.checked = 0

    def check(self):
        self.checked += 1


class GainBank:
    """Two effects in numpy: a gain of 0..2 (no change at .5), and a square root that fails below .2."""

    names = ("gain", "root")
    num_params = num_units = 2
    members = ((0,), (1,))

    def __init__(self):
        self.failures = Failures()

    def columns(self, index):
        return np.array([index])

    def sample(self, rng, n):
        effect = rng.integers(0, 2, n, dtype=np.int32)
        mask = np.eye(2, dtype=np.float32)[effect]
        return effect, (rng.random((n, 2)) * mask).astype(np.float32), mask

    def render(self, audio, effect, unit_params, sample_rate):
        value = np.take_along_axis(unit_params, effect[:, None].astype(int), axis=1)[:, :, None]
        root = np.where(value < 0.2, np.nan, np.sign(audio) * np.sqrt(np.abs(audio)))
        return np.where(effect[:, None, None] == 0, audio * 2 * value, root).astype(np.float32)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    cache = tmp_path_factory.mktemp("cache")
    return open_corpus(folder=None, sample_rate=RATE, num_channels=1, minutes=2.0, seed=0, cache=cache, progress=False)


@pytest.fixture(scope="module")
def reverb():
    with open_bank(["Reverb"], num_workers=2) as bank:
        yield bank


def pairs_of(corpus, bank, **changes):
    arguments = {"clip_samples": SAMPLES, "batch_size": 4, "seed": 0, "stream": "train"}
    return make_pairs(corpus, bank, **(arguments | changes))


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_batch_is_what_the_glossary_says(corpus, reverb):
    batch = pairs_of(corpus, reverb)[3]
    for audio in (batch.dry, batch.target, batch.reference):
        assert audio.shape == (4, SAMPLES, 1)
        assert audio.dtype == np.float32
    assert np.abs(batch.dry).max() <= 1.0
    assert batch.effect.dtype == np.int32
    assert batch.unit_params.shape == batch.mask.shape == (4, reverb.num_params)
    assert batch.item.tolist() == [12, 13, 14, 15]
    assert batch.valid.tolist() == [1, 1, 1, 1]
    assert ((batch.unit_params >= 0) & (batch.unit_params <= 1)).all()


@pytest.mark.parametrize("effect", sorted(BUILTINS))
def test_true_settings_give_exactly_zero_loss(corpus, effect, tmp_path):
    """The target is the very call that makes the output later: equal to the bit, for every effect."""
    if effect == "Convolution":
        write_audio(tmp_path / "room.wav", np.geomspace(1.0, 0.001, RATE // 4, dtype=np.float32)[:, None], RATE)
        effect = f"Convolution(impulse_response_filename='{tmp_path / 'room.wav'}', mix)"
    with open_bank([effect], num_workers=2) as bank:
        batch = pairs_of(corpus, bank, batch_size=2, options=PairOptions(style_share=0.5))[0]
        output = bank.render(batch.dry, batch.effect, batch.unit_params, RATE)
        np.testing.assert_array_equal(output, batch.target)
        single = bank.render(batch.dry[1:], batch.effect[1:], batch.unit_params[1:], RATE)
        np.testing.assert_array_equal(single[0], batch.target[1])


@pytest.mark.parametrize("mode", MODES)
def test_true_settings_are_the_optimum_in_every_mode_and_chain(corpus, mode):
    options = PairOptions(style_share=0.4, untouched_share=0.4)
    with open_bank(["Compressor | Reverb", "Delay", "Distortion"], num_workers=2) as bank:
        pairs = pairs_of(corpus, bank, mode=mode, options=options, batch_size=8)
        for step in range(2):
            batch = pairs[step]
            output = bank.render(batch.dry, batch.effect, batch.unit_params, RATE)
            np.testing.assert_array_equal(output, batch.target)


@pytest.mark.vst3
@pytest.mark.parametrize("mode", MODES)
def test_true_settings_are_the_optimum_through_a_vst3_plugin(corpus, mode):
    """Another process, other state, the same bits."""
    with open_bank([f"HighpassFilter | {zam('ZamComp')} | Reverb", zam("ZamEQ2")], num_workers=2) as bank:
        batch = pairs_of(corpus, bank, mode=mode, options=PairOptions(style_share=0.4, untouched_share=0.2))[0]
        assert batch.valid.all()
        output = bank.render(batch.dry, batch.effect, batch.unit_params, RATE)
        np.testing.assert_array_equal(output, batch.target)
        assert not np.array_equal(batch.dry, batch.target)


def test_modes(corpus):
    cutter = ClipCutter(corpus, SAMPLES, gain_db=(-12.0, 6.0), silence_db=-50.0)
    levels = []
    for item in range(60):
        rng = np.random.default_rng(item)
        dry = cutter.draw(rng)
        assert cutter.draw_reference(rng, dry, "same_clip") == dry
        section = cutter.draw_reference(rng, dry, "other_section")
        assert section.track == dry.track
        assert abs(section.start - dry.start) >= SAMPLES
        assert cutter.draw_reference(rng, dry, "other_file").track != dry.track
        audio = np.empty((SAMPLES, 1), np.float32)
        cutter.read(dry, audio)
        levels.append(np.sqrt(np.mean(audio**2)) / dry.gain)
        assert np.abs(audio).max() <= 0.9901
    assert min(levels) >= 10 ** (-50 / 20) * 0.999  # no silence
    assert max(levels) / min(levels) > 2.0


def test_other_file_of_a_single_track_is_another_section(tmp_path):
    rng = np.random.default_rng(0)
    write_audio(tmp_path / "in" / "a.wav", (0.1 * rng.standard_normal((RATE * 20, 1))).astype(np.float32), RATE)
    corpus = open_corpus(
        folder=str(tmp_path / "in"), sample_rate=RATE, num_channels=1, minutes=1, seed=0, cache=tmp_path, progress=False
    )
    cutter = ClipCutter(corpus.split("train"), SAMPLES, gain_db=(0.0, 0.0), silence_db=-50.0)
    for item in range(20):
        rng = np.random.default_rng(item)
        dry = cutter.draw(rng)
        other = cutter.draw_reference(rng, dry, "other_file")
        assert abs(other.start - dry.start) >= SAMPLES
    short = ClipCutter(corpus.split("valid"), 3 * RATE, gain_db=(0.0, 0.0), silence_db=-50.0)  # 2 s: zeros follow
    audio = np.full((3 * RATE, 1), 7.0, np.float32)
    short.read(short.draw(np.random.default_rng(0)), audio)
    assert (audio[2 * RATE :] == 0).all()
    assert audio[: 2 * RATE].std() > 0.05


def test_same_pairs_whatever_batch_size_and_order(corpus, reverb):
    fours, twos = pairs_of(corpus, reverb), pairs_of(corpus, reverb, batch_size=2)
    second = fours[1]
    assert_same(second, fours[1])
    for half in range(2):
        for whole, part in zip(second, twos[2 + half], strict=True):
            np.testing.assert_array_equal(whole[2 * half : 2 * half + 2], part)
    other = pairs_of(corpus, reverb, stream="valid")[1]
    assert not np.array_equal(other.unit_params, second.unit_params)


def test_same_pairs_whatever_the_number_of_workers(corpus, reverb):
    with open_bank(["Reverb"], num_workers=1) as one, open_bank(["Reverb"], num_workers=3) as three:
        for bank in (one, three):
            assert_same(pairs_of(corpus, bank)[2], pairs_of(corpus, reverb)[2])


@pytest.mark.parametrize("prefetch", [0, 1, 5])
def test_iterator_gives_the_same_batches_and_resumes_at_the_very_next(corpus, reverb, prefetch):
    pairs = pairs_of(corpus, reverb, batch_size=2)
    with iterate(pairs, prefetch=prefetch) as batches:
        for step in range(3):
            assert_same(next(batches), pairs[step])
        state = json.loads(json.dumps(batches.get_state()))
    with iterate(pairs, prefetch=2) as resumed:
        resumed.set_state(state)
        assert_same(next(resumed), pairs[3])
    with iterate(pairs, start_step=7, prefetch=prefetch) as later:
        assert_same(next(later), pairs[7])


def test_closing_waits_for_batches_in_the_making(corpus):
    class Slow(GainBank):
        running = 0

        def render(self, *arguments):
            self.running += 1
            time.sleep(0.05)
            out = super().render(*arguments)
            self.running -= 1
            return out

    bank = Slow()
    batches = iterate(pairs_of(corpus, bank, batch_size=1), prefetch=4)
    next(batches)
    batches.close()
    assert bank.running == 0
    deadline = time.monotonic() + 10
    while any(t.name.startswith("grain-prefetch") and t.is_alive() for t in threading.enumerate()):
        assert time.monotonic() < deadline, "the prefetch threads go on after close"
        time.sleep(0.01)


def test_errors_in_the_background_reach_the_loop(corpus):
    class Broken(GainBank):
        def render(self, *_):
            raise OSError("the disk is gone")

    with iterate(pairs_of(corpus, Broken()), prefetch=2) as batches, pytest.raises(OSError, match="disk is gone"):
        next(batches)


def test_unusable_draws_are_drawn_again(corpus):
    options = PairOptions(min_change_db=-12.0, max_peak=1.2, max_attempts=20)
    pairs = pairs_of(corpus, GainBank(), batch_size=32, options=options)
    batch = pairs[0]
    counts = pairs.counts
    assert counts["pairs"] == 32
    assert counts["failed"] > 0
    assert counts["unchanged"] > 0
    assert counts["gave_up"] == 0
    assert batch.valid.all()
    assert np.isfinite(batch.target).all()
    assert np.isfinite(batch.reference).all()
    assert np.abs(batch.target).max() <= 1.2
    for dry, target in zip(batch.dry, batch.target):
        assert change_db(dry, target) >= -12.0
    np.testing.assert_array_equal(
        GainBank().render(batch.dry, batch.effect, batch.unit_params, RATE), batch.target
    )  # drawn again in a smaller batch, still the same bits


def test_the_threshold_is_honoured(corpus):
    strict = pairs_of(corpus, GainBank(), batch_size=32, options=PairOptions(min_change_db=-3.0))
    loose = pairs_of(corpus, GainBank(), batch_size=32, options=PairOptions(min_change_db=-60.0))
    assert strict[0].valid.sum() > 0
    assert loose[0].valid.sum() > 0
    assert strict.counts["unchanged"] > loose.counts.get("unchanged", 0)


def test_a_pair_that_never_renders_is_marked(corpus):
    class Dead(GainBank):
        def render(self, audio, *_):
            return np.full_like(audio, np.nan)

    bank = Dead()
    pairs = pairs_of(corpus, bank, options=PairOptions(max_attempts=2))
    batch = pairs[0]
    assert (batch.valid == 0).all()
    assert np.isfinite(batch.target).all()
    assert pairs.counts == {"pairs": 4, "failed": 4, "gave_up": 4}
    assert bank.failures.checked == 4


def test_untouched_references(corpus):
    with open_bank(["Reverb", "PeakFilter"], num_workers=2) as bank:
        pairs = pairs_of(corpus, bank, batch_size=40, options=PairOptions(untouched_share=0.25))
        batch = pairs[0]
        quiet = [change_db(dry, target) for dry, target in zip(batch.dry, batch.target)]
        untouched = sum(change < -40.0 for change in quiet)
        assert 4 <= untouched <= 16
        for change, settings, effect in zip(quiet, batch.unit_params, batch.effect):
            if change < -40.0:
                expected = neutral_settings(bank, int(effect), RATE, 1)
                np.testing.assert_array_equal(settings, expected)
    assert pairs_of(corpus, GainBank(), options=PairOptions(untouched_share=1.0))[0].valid.all()


@pytest.mark.parametrize("effect", ["Reverb", "Delay", "PeakFilter", "Compressor", "Gain", "Chorus"])
def test_neutral_settings_do_next_to_nothing(effect):
    with open_bank([effect], num_workers=2) as bank:
        settings = neutral_settings(bank, 0, RATE, 1)
        audio = probe(RATE, 1)
        rendered = bank.render(audio[None], np.zeros(1, np.int32), settings[None], RATE)[0]
        assert change_db(audio, rendered) < -30.0


def test_style_to_style_inputs_are_effected(corpus, reverb):
    anything = {"min_change_db": -200.0, "min_output_db": -200.0, "max_peak": 100.0}  # nothing is drawn again
    plain = pairs_of(corpus, reverb, batch_size=8, options=PairOptions(**anything))[0]
    styled = pairs_of(corpus, reverb, batch_size=8, options=PairOptions(style_share=1.0, **anything))[0]
    np.testing.assert_array_equal(plain.unit_params, styled.unit_params)
    changes = [change_db(a, b) for a, b in zip(plain.dry, styled.dry)]
    assert sum(change > -30.0 for change in changes) >= 6, changes
    assert np.abs(styled.dry).max() <= 1.0


def test_pitch_and_tempo_of_a_tone():
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(60000) / RATE)).astype(np.float32)[:, None]
    for semitones, tempo in ((3.0, 1.0), (0.0, 1.2), (-4.0, 0.8), (0.0, 1.0)):
        source = tone[: source_frames(32000, tempo)]
        changed = change_pitch_and_tempo(source, 32000, RATE, semitones, tempo)
        assert changed.shape == (32000, 1)
        spectrum = np.abs(np.fft.rfft(changed[8000:24000, 0]))
        assert abs(np.argmax(spectrum) - 440 * 2 ** (semitones / 12)) <= 2
        assert np.abs(changed[-500:]).max() > 0.1  # sound to the very end
        np.testing.assert_array_equal(changed, change_pitch_and_tempo(source, 32000, RATE, semitones, tempo))


def test_augmented_pairs(corpus, reverb, tmp_path):
    options = PairOptions(augment_share=0.5)
    pairs = pairs_of(corpus, reverb, options=options, batch_size=6)
    batch = pairs[0]
    assert_same(batch, pairs[0])
    assert np.abs(batch.dry).max() <= 1.0
    np.testing.assert_array_equal(reverb.render(batch.dry, batch.effect, batch.unit_params, RATE), batch.target)
    arguments = {"clip_samples": SAMPLES, "num_pairs": 6, "seed": 1, "path": tmp_path / "valid.json"}
    first = fixed_pairs(corpus, reverb, options=options, **arguments)
    assert_same(first, fixed_pairs(corpus, reverb, **arguments))
    stored = json.loads((tmp_path / "valid.json").read_text())["pairs"]
    changed = [clip for pair in stored for clip in (pair["dry"], pair["reference"]) if clip["tempo"] != 1.0]
    assert 1 <= len(changed) <= 11


def test_fixed_pairs_are_the_same_for_ever(corpus, reverb, tmp_path):
    held_out = corpus.split("valid")
    arguments = {"clip_samples": SAMPLES, "num_pairs": 10, "seed": 1, "path": tmp_path / "valid.json"}
    options = PairOptions(style_share=0.3, untouched_share=0.3)
    first = fixed_pairs(held_out, reverb, options=options, **arguments)
    assert first.dry.shape == (10, SAMPLES, 1)
    assert first.item.tolist() == list(range(10))
    assert_same(first, fixed_pairs(held_out, reverb, options=PairOptions(), **arguments))  # read, not drawn
    stored = json.loads((tmp_path / "valid.json").read_text())
    assert set(stored["pairs"][0]["dry"]) == {"track", "sha256", "start", "gain", "semitones", "tempo"}
    assert {pair["dry"]["track"] for pair in stored["pairs"]} <= {track.name for track in held_out.tracks}
    assert_same(first, fixed_pairs(corpus, reverb, **arguments))  # by name, whatever else the corpus holds
    with pytest.raises(UserError, match="num_pairs is 10 there, 12 here"):
        fixed_pairs(held_out, reverb, **(arguments | {"num_pairs": 12}))
    stored["pairs"][3]["dry"]["sha256"] = "0"
    (tmp_path / "valid.json").write_text(json.dumps(stored))
    with pytest.raises(UserError, match="is not the one"):
        fixed_pairs(held_out, reverb, **arguments)
    (tmp_path / "valid.json").write_text("{")
    with pytest.raises(UserError, match=r"cannot be read .*delete it to draw new ones"):
        fixed_pairs(held_out, reverb, **arguments)


def test_pairs_in_stereo(tmp_path):
    corpus = open_corpus(
        folder=None, sample_rate=44100, num_channels=2, minutes=0.6, seed=0, cache=tmp_path, progress=False
    )
    with open_bank(["Chorus | Reverb"], num_workers=2) as bank:
        batch = pairs_of(corpus, bank, batch_size=3, clip_samples=20000)[0]
        assert batch.target.shape == (3, 20000, 2)
        output = bank.render(batch.dry, batch.effect, batch.unit_params, 44100)
        np.testing.assert_array_equal(output, batch.target)


def test_decoded_files_are_shared(corpus):
    cache = PcmCache()
    for stream in ("train", "valid"):
        pairs_of(corpus, GainBank(), stream=stream, cache=cache)[0]
    assert 0 < cache.num_bytes <= sum(2 * track.frames for track in corpus.tracks)


def test_bad_arguments_are_refused(corpus, reverb):
    for change, message in (
        ({"mode": "sideways"}, "same_clip, other_section, other_file"),
        ({"batch_size": 0}, "batch_size"),
        ({"clip_samples": 0}, "clip_samples"),
    ):
        with pytest.raises(UserError, match=message):
            pairs_of(corpus, reverb, **change)
    with pytest.raises(UserError, match="untouched_share"):
        PairOptions(untouched_share=1.5)
    with pytest.raises(UserError, match="no tracks"):
        pairs_of(Corpus("none", RATE, 1, ()), reverb)
    with pytest.raises(UserError, match="negative"):
        iterate(pairs_of(corpus, reverb), start_step=-1)
