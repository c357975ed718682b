"""The parts of an evaluation, each alone: learned baselines, summaries, corpora, tables."""

from types import SimpleNamespace

import numpy as np
import pytest

from dafxvae.audio.io import write_audio
from dafxvae.core.errors import UserError
from dafxvae.core.files import write_json
from dafxvae.data.corpora.corpus import open_corpus
from dafxvae.evaluate import held_out, learned, report, summary, tables
from dafxvae.evaluate.cells import score_pairs
from dafxvae.evaluate.methods import MethodOutputs
from dafxvae.evaluate.plan import Cell, Plan, chosen, claim_folder
from dafxvae.types import PairBatch

RNG = np.random.default_rng(3)


class MeanEncoder:
    """Stands for a controller's f: the encoding is the mean of a window."""

    clip_samples = 8
    encoders = SimpleNamespace(f=SimpleNamespace(encoding_size=1))

    def __init__(self):
        self.extractor = self

    def encode(self, clips, is_reference):
        assert clips.shape[1] <= 8
        return np.stack([clips.mean((1, 2)), np.ones(len(clips))], axis=1)


def test_the_forest_is_given_the_mean_encoding_of_the_windows_of_a_clip():
    clips = RNG.standard_normal((3, 20, 1)).astype(np.float32)
    expected = np.mean([clips[:, start : start + 8].mean((1, 2)) for start in (0, 8)], axis=0)
    found = learned.mean_encoding(MeanEncoder(), clips)  # type: ignore[arg-type]
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5)
    short = learned.mean_encoding(MeanEncoder(), clips[:, :5])  # type: ignore[arg-type]
    np.testing.assert_allclose(short[:, 0], clips[:, :5].mean((1, 2)), rtol=1e-5)


def examples(count=200):
    """The settings are a function of the first cells of each kind of features."""
    unit = RNG.uniform(size=(count, 2)).astype(np.float32)
    noise = RNG.standard_normal((2, count, 20)).astype(np.float32)
    return learned.BaselineExamples(*(np.concatenate([4.0 * unit, 0.1 * part], axis=1) for part in noise), unit)


def test_the_nearest_neighbour_of_a_training_example_is_itself():
    data = examples()
    neighbour = learned.fit_neighbour(data)
    assert neighbour.components.shape == (22, 22)
    np.testing.assert_array_equal(neighbour(data.timbre), data.unit_params)
    assert learned.fit_neighbour(data, 5).projected.shape == (200, 5)


def test_the_forest_learns_settings_of_examples_that_it_has_not_seen(monkeypatch):
    monkeypatch.setattr(learned, "NUM_TREES", 20)
    data, new = examples(), examples(50)
    predicted = learned.fit_forest(data, 0)(new.encoding)
    error = np.abs(predicted - new.unit_params).mean()
    assert error < 0.5 * np.abs(data.unit_params.mean(0) - new.unit_params).mean()
    np.testing.assert_array_equal(predicted, learned.fit_forest(data, 0)(new.encoding))
    alone = data._replace(unit_params=data.unit_params[:, :1])
    assert learned.fit_forest(alone, 0)(new.encoding).shape == (50, 1)


def test_stored_examples_are_made_once(tmp_path):
    data = examples(20)
    path = tmp_path / "deep" / "name.npz"
    learned.stored_examples(path, "recipe", lambda: data)
    again = learned.stored_examples(path, "recipe", lambda: pytest.fail("made again"))
    for ours, theirs in zip(again, data):
        np.testing.assert_array_equal(ours, theirs)
    other = learned.stored_examples(path, "of other pairs", lambda: examples(30))
    assert len(other.unit_params) == 30


def songs(folder, lengths):
    folder.mkdir()
    for i, seconds in enumerate(lengths):
        audio = 0.1 * RNG.standard_normal((round(24000 * seconds), 1)).astype(np.float32)
        write_audio(folder / f"{i}.wav", audio, 24000)
    return open_corpus(
        folder=str(folder), sample_rate=24000, num_channels=1, minutes=1.0, seed=0, cache=folder.parent / "cache",
        progress=False,
    )  # fmt: skip


def controller_of(config):
    return SimpleNamespace(config=config, sample_rate=24000)


def test_baselines_are_fitted_on_the_training_split_alone(tmp_path, monkeypatch):
    corpus = songs(tmp_path / "songs", [16.0] * 6)
    seen = []

    def make_pairs(part, bank, **options):
        seen.extend(track.name for track in part.tracks)
        raise StopIteration

    monkeypatch.setattr(learned, "build_corpus", lambda config: corpus)
    monkeypatch.setattr(learned, "make_pairs", make_pairs)
    with pytest.raises(StopIteration):
        learned.training_examples(controller_of(SimpleNamespace(clip_samples=8192)), None, 16, 0)  # type: ignore[arg-type]
    held_out = {track.name for part in ("valid", "test") for track in corpus.split(part).tracks}
    assert seen
    assert not set(seen) & held_out


def test_missing_training_recordings_say_how_to_go_without(monkeypatch):
    def build_corpus(config):
        raise UserError("no such folder: /nowhere")

    monkeypatch.setattr(learned, "build_corpus", build_corpus)
    with pytest.raises(UserError, match=r"/nowhere .*--baseline-pairs 0"):
        learned.training_examples(controller_of(None), None, 16, 0)  # type: ignore[arg-type]


def test_recordings_must_be_long_enough_for_the_mode(tmp_path):
    corpus = songs(tmp_path / "songs", [16.0, 18.0, 40.0])
    assert len(held_out.long_enough(corpus, 17 * 24000, "other_file").tracks) == 2
    assert len(held_out.long_enough(corpus, 17 * 24000, "other_section").tracks) == 1
    with pytest.raises(UserError, match=r"1 of 3 recordings have 30.00 s \(the longest has 40.00 s\), 2 needed"):
        held_out.long_enough(corpus, 30 * 24000, "other_file")


def test_corpora_are_found_by_name_and_know_speech(tmp_path, monkeypatch):
    monkeypatch.setenv("DAFXVAE_DATA", str(tmp_path))
    folder = tmp_path / "held_out" / "voices"
    folder.mkdir(parents=True)
    assert not held_out.find_corpus("voices").is_speech
    (folder / "corpus.json").write_text('{"kind": "speech"}')
    assert held_out.find_corpus("voices") == (folder.name, folder, True)
    assert held_out.find_corpus(str(folder)).is_speech
    assert held_out.find_corpus("embedded").folder is None
    with pytest.raises(UserError, match="did you mean voices"):
        held_out.find_corpus("voice")
    (folder / "corpus.json").write_text("{")
    with pytest.raises(UserError, match="mend or delete"):
        held_out.find_corpus("voices")


def test_undefined_scores_and_failed_renders_are_counted_apart():
    ours = np.asarray([1.0, np.nan, 3.0, np.nan])
    nothing = np.asarray([2.0, 2.0, 2.0, 2.0])
    row = summary.metric_summary("MRSTFT", ours, nothing, np.asarray([True, True, True, False]))
    assert row is not None
    assert (row["count"], row["undefined"], row["mean"], row["improved"]) == (2, 1, 2.0, 0.5)
    assert row["ratio"]["mean"] == 1.0
    assert summary.metric_summary("MRSTFT", ours, 0.0 * nothing, np.ones(4, bool))["ratio"] is None  # type: ignore[index]
    quality = summary.metric_summary("PESQ", ours, nothing, np.ones(4, bool))
    assert quality is not None
    assert (quality["ratio"], quality["improved"]) == (None, 0.5)  # of 1 and 3, the higher is better
    none = np.full(4, np.nan)
    assert summary.metric_summary("SCE", none, nothing, np.ones(4, bool)) == {"count": 0, "undefined": 4}
    assert summary.metric_summary("PESQ", none, nothing, np.zeros(4, bool)) is None


def test_a_failed_render_has_no_scores_and_the_table_says_so():
    clips = (0.1 * RNG.standard_normal((2, 24000, 1))).astype(np.float32)
    broken = clips.copy()
    broken[1] = np.nan
    settings = np.full((2, 1), 0.25, np.float32)
    pairs = PairBatch(clips, clips, clips, np.zeros(2, int), settings, settings, *np.ones((2, 2)), np.arange(2))
    outputs = {"do nothing": 0.5 * clips, "controller": broken, "true settings": clips}
    scores = score_pairs(pairs, MethodOutputs({}, outputs, 0), 24000, 0)
    assert scores["controller"]["RMS"] == [0.0, None]
    joined = {
        "items": [0, 1], "valid": [True, True], "num_pesq": 0, "num_search_failures": 0, "scores": scores,
        "failed": {name: (~np.isfinite(out).all(axis=(1, 2))).tolist() for name, out in outputs.items()},
        "settings": {"controller": settings.tolist(), "true settings": settings.tolist()},
    }  # fmt: skip
    parts = SimpleNamespace(
        host=SimpleNamespace(parameters=SimpleNamespace(names=("gain",))),
        controller=SimpleNamespace(effect="Gain", sample_rate=24000),
    )
    cell = summary.summarise(Plan(2), Cell("a", "b", "other_file", "dry"), joined, parts)  # type: ignore[arg-type]
    found = cell["methods"]["controller"]
    assert (found["num_pairs"], found["num_failed"], found["metrics"]["RMS"]["count"]) == (2, 1, 1)
    row = next(row for row in tables.method_rows(cell) if "controller" in row[0])
    assert (row[1], row[-1]) == ("2", "1")
    nothing = cell["methods"]["do nothing"]["metrics"]
    assert nothing["RMS"]["mean"] == pytest.approx(6.02, abs=0.01)
    assert nothing["MRSTFT matched"]["mean"] == pytest.approx(0.0, abs=1e-4)
    assert (nothing["MRSTFT matched"]["level_kept"], found["metrics"]["MRSTFT matched"]["count"]) == (0, 1)
    invalid = pairs._replace(valid=np.asarray([1.0, 0.0]))
    assert score_pairs(invalid, MethodOutputs({}, outputs, 0), 24000, 0)["true settings"]["RMS"] == [0.0, None]


def test_pairs_with_a_sound_that_keeps_its_level_are_counted():
    scores = {
        "do nothing": {"MRSTFT matched": [1.0, 1.0, 1.0, None], "LUFS": [None, 1.0, 1.0, 1.0]},
        "controller": {"MRSTFT matched": [0.5, 0.5, None], "LUFS": [1.0, None, None]},  # the last one failed
    }
    assert summary.num_level_kept(scores, "controller") == 2
    assert summary.num_level_kept(scores, "do nothing") == 1


def test_every_controller_is_heard_before_one_is_heard_twice():
    cells = [{"controller": name} for name in "aaabbc"]
    assert report.cells_with_sounds(cells, 4) == {0, 3, 5, 1}
    assert report.cells_with_sounds(cells, 9) == set(range(6))


def test_methods_are_compared_by_ratios_of_the_same_pairs():
    def method(ratio, count, errors=None):
        row = {"count": count, "ratio": ratio and {"mean": ratio, "low": ratio - 0.1, "high": ratio + 0.1}}
        settings = errors and {"parameters": {name: {"error": error} for name, error in zip("abc", errors)}}
        return {"metrics": {"MRSTFT": row}, "settings": settings}

    found = {
        "true settings": method(0.0, 9),
        "controller": method(0.5, 9, (0.1, 0.3, 0.2)),
        "mean settings": method(0.8, 9, (0.2, 0.2, 0.25)),
        "do nothing": method(1.0, 9),
        "CMA-ES, 64 renders": method(0.4, 4, (0.1, 0.1, 0.1)),
    }
    cell = {"controller": "x", "corpus": "songs", "mode": "same_clip", "input": "dry", "methods": found}
    columns, (row,) = tables.comparison_table([cell], "MRSTFT")
    assert columns[4:] == ["mean settings", "controller", "CMA-ES, 64 renders"]
    assert row == [
        *("x", "songs", "same_clip", "dry"),
        *(".80 (.70 … .90)", ".50 (.40 … .60)", "**.40 (.30 … .50)**; n = 4"),
    ]
    found["controller"]["metrics"]["MRSTFT matched"] = method(0.7, 9)["metrics"]["MRSTFT"] | {"level_kept": 2}
    for name, mean in (("controller", 3.0), ("do nothing", 9.0)):
        found[name]["metrics"]["LUFS"] = {"count": 9, "mean": mean, "low": mean, "high": mean}
    assert tables.comparison_table([cell], "MRSTFT matched")[1][0][4:] == [
        *("–", "**.70 (.60 … .80)**; 2 kept their level", "–")
    ]
    columns, (row,) = tables.comparison_table([cell], "LUFS")
    assert columns[4] == "do nothing"
    assert row[4:] == ["9.00 (9.00 … 9.00)", "–", "**3.00 (3.00 … 3.00)**", "–"]
    assert tables.settings_below_guess(cell) == (2, 3)
    assert tables.settings_below_guess({"methods": {"controller": method(0.5, 9)}}) is None


def test_settings_are_compared_by_error_and_correlation():
    true = RNG.uniform(size=(50, 2))
    found = summary.settings_summary(np.stack([1.0 - true[:, 0], np.full(50, 0.5)], axis=1), true, ("a", "b"))
    assert found["parameters"]["a"]["correlation"] == pytest.approx(-1.0)
    assert found["parameters"]["b"]["correlation"] is None
    assert found["parameters"]["b"]["error"] == pytest.approx(np.abs(true[:, 1] - 0.5).mean())


def test_a_folder_knows_its_evaluation(tmp_path):
    plan = Plan(10)
    claim_folder(tmp_path, plan, {"a": "1"}, {"songs": "x"})
    claim_folder(tmp_path, plan, {"b": "2"}, {"songs": "x"})  # another controller may join
    claim_folder(tmp_path, Plan(5), {"a": "1"}, {"songs": "x"})  # there is no result yet: it may have failed
    claim_folder(tmp_path, plan, {"a": "1"}, {"songs": "x"})
    write_json(tmp_path / "parts" / "a" / "000000.json", {})
    with pytest.raises(UserError, match=r"controllers\.a is '1' there, '3' here"):
        claim_folder(tmp_path, plan, {"a": "3"}, {"songs": "x"})
    with pytest.raises(UserError, match=r"num_pairs is 10 there, 20 here"):
        claim_folder(tmp_path, Plan(20), {"a": "1"}, {"songs": "x"})
    (tmp_path / "evaluation.json").write_text("[]")
    with pytest.raises(UserError, match="cannot be read"):
        claim_folder(tmp_path, plan, {"a": "1"}, {})


def test_lists_and_numbers_of_the_command_line():
    assert chosen("dry, styled,dry", ("dry", "styled"), "--inputs") == ("dry", "styled")
    assert Plan(2).clip_samples(24000) == 131072
    assert Plan(2, clip_sec=1.0).clip_samples(24000) == 23 * 1024
    assert tables.format_number(0.5, 2) == ".50"
    assert tables.format_number(-0.25, 2) == "-.25"
    assert tables.format_number(10.05, 1) in ("10.1", "10.0")
    assert tables.markdown_table(["a"], [["x | y"]]).endswith("| x \\| y |")
