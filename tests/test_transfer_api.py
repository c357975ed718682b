"""`load_controller(...).transfer(...)`."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from transfer_toys import CONFIG, RATE, music, save_toy

import dafxvae
from dafxvae.controllers.controller import read_controller
from dafxvae.core.errors import UserError
from dafxvae.core.weights import load_weights, save_weights
from dafxvae.data.pairs.neutral import change_db
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.transfer import prediction
from dafxvae.transfer.api import StyleTransfer, open_effect
from dafxvae.transfer.recordings import ArrayRecording, scan


@pytest.fixture(autouse=True)
def untrained(monkeypatch):
    """Networks that were never trained tell recordings apart by less than trained ones."""
    monkeypatch.setattr("dafxvae.transfer.amount.NEAR", 1e-6)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return save_toy(tmp_path_factory.mktemp("toy"), "Compressor | Reverb")


@pytest.fixture(scope="module")
def style(path):
    with dafxvae.load_controller(path) as transfer:
        yield transfer


def loudness(audio):
    return scan(ArrayRecording(audio, RATE, "x")).loudness


def clips(count, seed):
    return music(count * CONFIG.clip_samples / 24000, 24000, 1, seed).reshape(count, -1, 1)


def test_importing_the_package_imports_no_jax():
    code = "import dafxvae, sys; assert 'jax' not in sys.modules; dafxvae.load_controller; assert 'jax' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="nonsense"):
        dafxvae.nonsense  # noqa: B018


def every_pair(controller, dry, reference):
    """Input features of h for each window of one with each of the other."""
    return controller.features(np.repeat(dry, len(reference), 0), np.tile(reference, (len(dry), 1, 1)))


def test_features_are_combined_over_all_pairs_of_windows(path):
    controller = read_controller(path)
    dry, first, second = clips(2, 1), clips(3, 2), clips(1, 3)
    parts = [controller.combine(every_pair(controller, dry, reference)) for reference in (first, second)]
    expected = controller.settings(controller.combine(np.stack(parts))[None])[0][0]
    np.testing.assert_allclose(prediction.predict(controller, dry, [first, second])[0], expected, atol=1e-3)


def test_clips_are_predicted_as_a_transfer_of_them_predicts(path, style):
    controller = read_controller(path)
    long = [music(2.6 * CONFIG.clip_samples / 24000, 24000, 1, seed) for seed in (1, 2, 3, 4)]
    long[1][: len(long[1]) // 2] = 0.0  # a silent window is left out
    dry, reference = np.stack(long[:2]), np.stack(long[2:])
    found = prediction.predict_clips(controller, dry, reference)
    for row, pair in zip(found.unit_params, zip(dry, reference)):
        values = style.transfer(*pair, 24000).predicted
        np.testing.assert_allclose(controller_values(style, row), list(values.values()), rtol=1e-6)
    window = clips(2, 5)
    alone = prediction.predict_clips(controller, window[:1], window[1:])
    np.testing.assert_array_equal(alone.unit_params, controller.predict(window[:1], window[1:]))
    nothing = prediction.predict_clips(controller, np.zeros_like(dry), reference)
    assert np.isfinite(nothing.unit_params).all()


def test_a_stereo_controller_is_given_stereo_windows(path, monkeypatch):
    stereo = save_toy(path.parent, name="stereo", num_channels=2)
    given = []
    encode = FeatureExtractor.encode
    monkeypatch.setattr(
        FeatureExtractor, "encode", lambda self, clips, **kw: given.append(clips) or encode(self, clips, **kw)
    )
    with dafxvae.load_controller(stereo) as style:
        controller: Any = style.controller
        pair = np.stack([music(CONFIG.clip_samples / 24000, 24000, 2, seed) for seed in (1, 2)])
        pair[1, :, 1] *= -0.5
        trained = controller.predict(pair[:1], pair[1:])
        np.testing.assert_array_equal(prediction.predict_clips(controller, pair[:1], pair[1:]).unit_params, trained)
        found: Any = style.transfer(pair[0], pair[1], 24000).predicted
        np.testing.assert_allclose(list(found.values()), controller_values(style, trained[0]), rtol=1e-6)
        style.transfer(pair[0, :, 0], pair[1], 24000)  # a mono input is given as both channels
    assert {clips.shape[2] for clips in given[2:]} == {2}  # the first two are the check clip


def controller_values(style, unit_params):
    return list(style.host.parameters.describe(unit_params).values())


def test_a_reference_that_is_the_input_itself_changes_nothing(style):
    audio = music(seconds=8.0)  # several windows
    result = style.transfer(audio, audio, RATE, match_level="none", ceiling_db=None)
    neutral = style.transfer(audio, music(seed=5), RATE, match_level="none", ceiling_db=None, amount=0.0)
    assert "the reference is the input itself: nothing is to be changed" in result.notes
    for each in (result, neutral):
        assert change_db(audio, each.audio[: len(audio)]) < -60.0


def test_the_amount_leads_from_the_input_to_the_prediction(style):
    audio, reference = music(), music(seed=5)
    results = [
        style.transfer(audio, reference, RATE, amount=amount, ceiling_db=None) for amount in (0.0, 0.5, 1.0, 1.5)
    ]
    none, half, full, beyond = (result.unit_params for result in results)
    assert np.abs(full - none).max() > 0.01
    np.testing.assert_allclose(half, (none + full) / 2, atol=1e-6)
    np.testing.assert_allclose(beyond, np.clip(full + (full - none) / 2, 0.0, 1.0), atol=1e-6)


def test_an_amount_of_0_holds_locks_and_is_no_start_for_a_search(style):
    audio, locks = music(), {"Compressor.ratio": 8.0}
    options = {"amount": 0.0, "locks": locks, "match_level": "none", "ceiling_db": None}
    for num_refinements in (0, 8):
        result = style.transfer(audio, music(seed=5), RATE, refine=num_refinements, **options)
        assert result.settings["Compressor.ratio"] == pytest.approx(8.0, abs=1e-4)
        assert change_db(audio, result.audio[: len(audio)]) < -60.0


def test_the_output_has_the_loudness_that_was_asked_for(style):
    audio, reference = music(seed=1, level=0.05), music(seed=2, level=0.4)
    for mode, wanted in (("on", loudness(reference)), ("off", loudness(audio))):
        result = style.transfer(audio, reference, RATE, match_level=mode)
        assert loudness(result.audio) == pytest.approx(wanted, abs=0.1)
    assert style.transfer(audio, reference, RATE, match_level="none").gain_db == 0.0


def test_the_output_is_the_render_and_goes_on_after_the_input(style):
    audio = music()
    locks = {"Reverb.room_size": 0.9, "Reverb.wet_level": 0.5}  # the toy's own answer may well be silence
    result = style.transfer(audio, music(seed=4), RATE, match_level="none", locks=locks)
    padded = np.concatenate([audio, np.zeros((len(result.audio) - len(audio), 2), np.float32)])
    rendered = style.host.render(padded[None], result.unit_params[None], RATE)[0]
    np.testing.assert_array_equal(result.audio, rendered)
    assert len(result.audio) > len(audio) + 0.3 * RATE
    assert result.settings["Reverb.room_size"] == pytest.approx(0.9)
    assert result.predicted["Reverb.room_size"] != pytest.approx(0.9, abs=1e-4)


def test_the_fit_is_measured_and_a_take_that_fits_better_is_kept(style):
    audio = music(seed=1)[:, 0]
    locks = {"Reverb.room_size": 0.9, "Reverb.wet_level": 0.9, "Reverb.dry_level": 0.0}
    made = style.transfer(audio, audio, RATE, locks=locks)
    kept = style.transfer(audio, audio, RATE, locks=locks, only_if_better=True)
    assert made.fit == kept.fit
    assert made.fit.before == dict.fromkeys(made.fit.before, 0.0)
    assert "space" in made.fit.worse
    assert (made.kept_take, kept.kept_take) == (False, True)
    assert len(made.audio) > len(audio)
    np.testing.assert_array_equal(kept.audio, audio)
    assert style.transfer(audio, [audio, music(seed=3)], RATE).fit.before["spectrum"] > 0.0


def test_equal_calls_give_equal_bits_and_batches_change_nothing(style):
    pair = music(seed=1), music(seed=2)
    first = style.transfer(*pair, RATE)
    batch = style.transfer_batch([music(seed=3), pair[0]], [music(seed=1), pair[1]], RATE)
    np.testing.assert_array_equal(first.audio, batch[1].audio)
    assert first.settings == batch[1].settings
    with pytest.raises(UserError, match="2 recordings and 1 references"):
        style.transfer_batch([pair[0]] * 2, [pair[1]], RATE)


def test_one_channel_comes_back_as_it_was_given(style):
    flat = music(channels=1)[:, 0]
    assert style.transfer(flat, music(), RATE).audio.ndim == 1
    assert style.transfer(flat[:, None], [music(), music(seed=3)], RATE).audio.shape[1] == 1


def test_references_may_have_another_rate(style):
    assert style.transfer(music(), music(rate=22050), RATE, reference_rate=22050).sample_rate == RATE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"amount": 1.6}, r"amount 1\.6: give 0 .* to 1\.5"),
        ({"amount": float("nan")}, "amount nan"),
        ({"locks": {"room_size": 0.4}}, r"did you mean Reverb\.room_size"),
        ({"locks": {"Reverb.room_size": 4}}, "give 0 to 1"),
        ({"match_level": "loud"}, "give one of on, off, none"),
        ({"refine": -1}, "refine -1"),
        ({"max_tail_sec": 1e9}, "60 seconds"),
    ],
)
def test_options_out_of_range(style, options, message):
    with pytest.raises(UserError, match=message):
        style.transfer(music(), music(), RATE, **options)


class FakeRefiner:
    """Stands for `dafxvae.transfer.refinement`: finds settings that are half of where it began, and remembers its
    arguments."""

    def make_style_distance(self, references, sample_rate):
        self.references = references
        return lambda audio: np.zeros(len(audio))

    def refine(self, host, distance, audio, sample_rate, start, num_renders, *, free, fixed, seed=0, spread=None):
        self.seen = SimpleNamespace(audio=audio, start=start, free=free, fixed=fixed, num_renders=num_renders)
        found = 0.5 * (start if start is not None else np.ones(len(host.parameters)))
        return SimpleNamespace(
            unit_params=found, distance=float(distance(audio[None])[0]), start_distance=1.0, num_renders=7, num_failed=0
        )


def test_refinement_starts_from_the_prediction_and_leaves_locks_alone(path):
    controller, refiner = read_controller(path), FakeRefiner()
    audio = music(9.0)
    with StyleTransfer(controller.effect, controller.encoders, controller, refiner=refiner) as style:
        plain = style.transfer(audio, music(), RATE)
        locked = style.transfer(audio, music(), RATE, refine=50, locks={"Reverb.room_size": 0.9})
    k = controller.parameters.index("Reverb.room_size")
    seen = refiner.seen
    assert seen.num_renders == 50
    assert seen.audio.shape == (6 * 24000, 1)
    assert seen.free.sum() == len(seen.free) - 1
    assert not seen.free[k]
    assert seen.start[k] == seen.fixed[k] == pytest.approx(0.9)
    np.testing.assert_array_equal(seen.start[seen.free], plain.unit_params[seen.free])
    assert refiner.references.shape[1:] == (CONFIG.clip_samples, 1)
    np.testing.assert_allclose(locked.unit_params[seen.free], 0.5 * plain.unit_params[seen.free], atol=1e-6)
    assert locked.unit_params[k] == pytest.approx(0.9)
    assert locked.refined == {"distance": 0.0, "start_distance": 1.0, "num_renders": 7, "num_failed": 0}


def test_a_cold_start_needs_a_search(path):
    controller, refiner = read_controller(path), FakeRefiner()
    with StyleTransfer("Gain", controller.encoders, refiner=refiner) as style:
        result = style.transfer(music(), music(), RATE, refine=20)
        assert result.settings == {"gain_db": pytest.approx(0.0, abs=1e-5)}
        assert result.predicted is None
        assert refiner.seen.start is None
        with pytest.raises(UserError, match="--refine 200"):
            style.transfer(music(), music(), RATE)


def test_an_effect_with_nothing_to_search_is_refused():
    with pytest.raises(UserError, match="Invert has no parameter that could be controlled"):
        open_effect("Invert")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"audio": music().T}, r"shape \(2, 132300\), which is \[C, T\]"),
        ({"audio": 32767 * music()}, "integers as floats"),
        ({"audio": None}, "object of shape"),
        ({"audio": "in.wav"}, "give floats"),
        ({"audio": [[0.1], [0.1, 0.2]]}, "cannot be made an array"),
        ({"audio": (32767 * music()).astype(np.int16)}, "16-bit samples divided by 32768"),
        ({"sample_rate": 0}, "sample rate of 0 Hz: give 4000"),
        ({"sample_rate": -RATE}, "sample rate of -44100 Hz"),
        ({"sample_rate": "44100"}, "is '44100': give a whole number"),
        ({"sample_rate": float("nan")}, "is nan: give a whole number"),
        ({"reference_rate": 0}, "the reference has a sample rate of 0"),
        ({"reference": []}, "no reference"),
        ({"amount": "1"}, "amount '1': give a number"),
        ({"refine": 2.5}, "refine 2.5: give a number of renders"),
        ({"max_tail_sec": None}, "max_tail_sec None"),
        ({"ceiling_db": "-1"}, "ceiling_db '-1': give a number"),
        ({"locks": ["a=1"]}, "give a mapping"),
        ({"locks": {3: 1}}, "no parameter to lock is called '3'"),
    ],
)
def test_arguments_that_cannot_be(style, change, message):
    arguments = {"audio": music(), "reference": music(), "sample_rate": RATE} | change
    with pytest.raises(UserError, match=message):
        style.transfer(**arguments)


def test_arrays_of_other_libraries_are_recordings(style):
    found = style.transfer(jnp.asarray(music()), jnp.asarray(music(seed=1)), float(RATE))
    np.testing.assert_array_equal(found.audio, style.transfer(music(), music(seed=1), RATE).audio)
    assert found.sample_rate == RATE


def test_an_amount_without_a_controller_is_refused(path):
    controller = read_controller(path)
    with StyleTransfer("Gain", controller.encoders) as style, pytest.raises(UserError, match=r"amount 0\.5"):
        style.transfer(music(), music(), RATE, amount=0.5, refine=4)


def test_a_controller_of_other_parameters_is_refused(path):
    controller = read_controller(path)
    with pytest.raises(UserError, match="trained for"):
        StyleTransfer("Reverb", controller.encoders, controller)


def altered(path, target, change):
    """The toy with other content beside its f and g."""
    variables, metadata = load_weights(path)
    change(variables)
    own = {key: value for key, value in metadata.items() if key not in ("format", "fingerprint")}
    save_weights(target, variables, own)
    return read_controller(target)


def test_f_and_g_are_verified_at_the_length_of_its_clips_before_a_controller_predicts(path):
    controller: Any = read_controller(path)
    assert controller.check.shape == (CONFIG.g.latent_dim,)
    assert controller.check_clip.shape == (CONFIG.clip_samples, 1)
    audio = controller.check_clip[None].astype(np.float32) / 32768
    itself = controller.features(audio, audio[:, ::-1])[0, : CONFIG.g.latent_dim]
    np.testing.assert_array_equal(itself, controller.check)

    def spoil(variables):
        variables["check"]["latent"][1] += 0.5

    other = altered(path, path.with_name("other.safetensors"), spoil)
    with pytest.raises(UserError, match=r"controller of Compressor \| Reverb: f and g encode .* 0\.5 away"):
        other.predict(clips(1, 1), clips(1, 2))


def test_a_controller_that_was_stored_without_a_check_is_tried_when_it_is_loaded(path, monkeypatch):
    def forget(variables):
        del variables["check"]

    older = altered(path, path.with_name("older.safetensors"), forget)
    assert older.check is None
    np.testing.assert_array_equal(
        older.predict(clips(1, 1), clips(1, 2)), read_controller(path).predict(clips(1, 1), clips(1, 2))
    )
    monkeypatch.setattr("dafxvae.controllers.encoders.TOLERANCE", -1.0)
    with pytest.raises(UserError, match=r"encoders\.safetensors: f and g encode their check clip"):
        read_controller(path.with_name("older.safetensors"))
    read_controller(path)


def test_settings_that_are_not_heard_are_named(tmp_path):
    chain = save_toy(tmp_path, "Compressor", name="compressor")
    with dafxvae.load_controller(chain) as style:
        locks = {"ratio": 1.0, "threshold_db": -30.0}
        result: Any = style.transfer(music(), music(seed=5), RATE, locks=locks)
    assert set(result.moves_db) == set(result.settings)
    unheard = [result.moves_db[name] for name in ("attack_ms", "release_ms", "threshold_db")]
    assert max(unheard) < 0.2 < result.moves_db["ratio"]


def test_what_is_heard_of_settings_is_left_out_on_request(style, monkeypatch):
    whole = style.transfer(music(1.0), music(1.0, seed=5), RATE)
    monkeypatch.setattr("dafxvae.transfer.aspects.audibility", None)  # not called
    result = style.transfer(music(1.0), music(1.0, seed=5), RATE, audibility=False)
    assert result.moves_db is None
    np.testing.assert_array_equal(result.audio, whole.audio)
    assert "not audible here" not in result.page()


def test_settings_alone_are_those_of_a_transfer(style):
    audio, reference = music(2.0, seed=1), music(2.0, seed=2)
    options = {"amount": 0.5, "locks": {"Reverb.room_size": 0.3}}
    rendered = style.transfer(audio, reference, RATE, **options).settings
    assert style.predict(audio, reference, RATE, **options) == rendered
    assert style.predict(audio, reference[::2], RATE, reference_rate=RATE // 2) != rendered
    with pytest.raises(UserError, match="give 0"):
        style.predict(audio, reference, RATE, amount=2)


def test_what_was_warmed_up_compiles_no_more(path, caplog):
    with dafxvae.load_controller(path) as transfer, jax.log_compiles():
        transfer.warm_up()
        caplog.clear()
        transfer.predict(music(2.0, seed=1), music(1.0, seed=2), RATE)
        assert not [record.message for record in caplog.records if "Compiling" in record.message]


def test_progress_may_end_a_transfer(style, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = []

    def stop(samples):
        done.append(samples)
        if sum(done) > RATE:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        style.transfer(music(8.0, seed=1), music(2.0, seed=2), RATE, progress=stop)
    assert RATE < sum(done) < 8 * RATE
    assert not list(tmp_path.iterdir())
    assert style.transfer(music(2.0, seed=1), music(2.0, seed=2), RATE).audio.size  # it goes on working


def test_what_is_closed_is_refused(path):
    transfer = dafxvae.load_controller(path)
    transfer.close()
    transfer.close()
    for call in (transfer.transfer, transfer.predict):
        with pytest.raises(UserError, match="closed: open it again"):
            call(music(1.0), music(1.0, seed=2), RATE)
