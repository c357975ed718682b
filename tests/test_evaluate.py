"""An evaluation from recordings to tables: small, with real effects and metrics, and encoders that know nothing."""

import argparse
import importlib.util
import json

import jax
import numpy as np
import pytest
from encoder_toys import random_encoders
from tiny import tiny_config

from dafxvae.audio.io import write_audio
from dafxvae.audio.loudness import loudness_lufs
from dafxvae.controllers.controller import save_controller
from dafxvae.controllers.encoders import load_encoders
from dafxvae.core.command_line import run_cli
from dafxvae.core.errors import UserError
from dafxvae.core.weights import save_weights
from dafxvae.descriptors import echoes
from dafxvae.effects.factory import open_host
from dafxvae.evaluate import __main__ as cli
from dafxvae.evaluate import commands, learned, methods, searches, styles, tables
from dafxvae.metrics import rule_based
from dafxvae.models import networks
from dafxvae.runs import build
from dafxvae.transfer import refinement

RATE = 24000


def music(seed, seconds):
    """Decaying tones and noise bursts, `[T, 1]`."""
    rng = np.random.default_rng(seed)
    time = np.arange(seconds * RATE) / RATE
    decay = np.exp(-4.0 * (time % 0.5))
    tones = sum(np.sin(2 * np.pi * rng.uniform(100, 2000) * time) for _ in range(3))
    return (0.1 * decay * (tones + rng.standard_normal(len(time)))).astype(np.float32)[:, None]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A controller that knows nothing, two recordings, and data folders of this module's own."""
    root = tmp_path_factory.mktemp("evaluate")
    for i in range(2):
        (root / "songs" / str(i)).mkdir(parents=True)  # short files of one folder would be one recording
        write_audio(root / "songs" / str(i) / f"{i}.wav", music(i, 12), RATE)
    (root / "short").mkdir()
    write_audio(root / "short" / "a.wav", music(2, 1), RATE)
    (root / "talk").mkdir()
    for i in range(2):
        write_audio(root / "talk" / f"{i}.wav", music(3 + i, 3), RATE)
    (root / "talk" / "corpus.json").write_text('{"kind": "speech"}')
    config = tiny_config(bank=("Gain",), chains__count=0, effect="Gain")
    config.data.folder = str(root / "songs")  # what the learned baselines are fitted on
    with build.build_pretraining_bank(config) as bank:
        save_weights(root / "encoders.safetensors", *random_encoders(config, bank))
    heard = np.zeros((1, config.g.latent_dim + echoes.NUM_COLUMNS))
    params = networks.build_h(config, 1).init(jax.random.key(0), heard)["params"]
    encoders = load_encoders(root / "encoders.safetensors")
    save_controller(root / "gain.safetensors", params, ("gain_db",), encoders, config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAFXVAE_CACHE", str(root / "cache"))
        patch.setenv("DAFXVAE_DATA", str(root / "data"))
        yield root


def parse(words, add_arguments=cli.add_evaluation):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def words(root, output, **changes):
    options = {
        "controllers": root / "gain.safetensors", "corpus": root / "songs", "pairs": 3, "clip-sec": 0.5,
        "modes": "other_section", "search-pairs": 0, "baseline-pairs": 0, "workers": 1, "output": output,
    } | {key.replace("_", "-"): value for key, value in changes.items()}  # fmt: skip
    return [f"--{key}={value}" for key, value in options.items()]


def evaluate(root, output, **changes):
    commands.run_evaluation(parse(words(root, output, **changes)))
    return json.loads((output / "results.json").read_text())


@pytest.fixture(scope="module")
def finished(folders):
    return folders / "out", evaluate(folders, folders / "out")


def test_the_truth_scores_zero_and_every_row_says_what_it_is(finished):
    folder, results = finished
    (cell,) = results["cells"]
    methods = {name: row["metrics"] for name, row in cell["methods"].items()}
    assert methods["true settings"]["MRSTFT"]["mean"] == 0.0
    assert methods["do nothing"]["MRSTFT"]["mean"] > 0.1
    assert methods["do nothing"]["MRSTFT"]["low"] <= methods["do nothing"]["MRSTFT"]["mean"]
    assert {"controller", "random settings", "mean settings"} <= set(methods)
    for own in methods.values():
        assert own["MRSTFT matched"]["count"] == 3
    for name in ("do nothing", "controller", "random settings"):  # a gain is nothing but level
        assert methods[name]["MRSTFT matched"]["mean"] < 1e-3 < 0.1 < methods[name]["LUFS"]["mean"]
    table = (folder / "results.md").read_text()
    for part in ("songs", "other_section", "Gain", results["settings"]["version"]):
        assert part in table
    page = (folder / "report.html").read_text()
    assert page.count('"audio"') == 4
    assert "<td><b>controller</b></td>" in page
    assert "**" not in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_what_is_finished_is_not_computed_again(finished, folders, monkeypatch):
    folder, _ = finished
    before = (folder / "results.json").read_bytes()
    monkeypatch.setattr("dafxvae.evaluate.cells.run_chunk", lambda *a: pytest.fail("computed again"))
    evaluate(folders, folder)
    assert (folder / "results.json").read_bytes() == before


def test_a_chunk_that_is_missing_comes_back_with_the_same_bytes(finished, folders):
    folder, _ = finished
    (chunk,) = folder.rglob("parts/**/*.json")
    before = chunk.read_bytes(), (folder / "results.json").read_bytes()
    chunk.unlink()
    evaluate(folders, folder)
    assert (chunk.read_bytes(), (folder / "results.json").read_bytes()) == before


def test_a_run_that_is_stopped_has_the_tables_of_what_is_finished(folders, monkeypatch):
    done, output = commands.run_task, folders / "stopped"

    def stop_at_the_second(folder, plan, job, *rest):
        if job.name == "other":
            raise KeyboardInterrupt
        return done(folder, plan, job, *rest)

    (folders / "other.safetensors").write_bytes((folders / "gain.safetensors").read_bytes())
    monkeypatch.setattr(commands, "run_task", stop_at_the_second)
    both = f"{folders / 'gain.safetensors'},{folders / 'other.safetensors'}"
    with pytest.raises(KeyboardInterrupt):
        evaluate(folders, output, controllers=both)
    assert [cell["controller"] for cell in tables.read_results(output)["cells"]] == ["gain"]
    assert "| gain | Gain | songs |" in (output / "results.md").read_text()


def test_folders_are_merged_into_one_table(finished, folders, capsys):
    other = folders / "other"
    evaluate(folders, other, modes="same_clip")
    commands.show_table(parse([str(finished[0]), str(other)], cli.add_table))
    shown = capsys.readouterr().out
    assert "other_section" in shown
    assert "same_clip" in shown
    commands.show_table(parse([str(finished[0]), str(other), "--json"], cli.add_table))
    rows = json.loads(capsys.readouterr().out)
    assert {row["mode"] for row in rows} == {"other_section", "same_clip"}
    assert all(
        0 < row["scores"]["MRSTFT"]["controller"]["low"] <= row["scores"]["MRSTFT"]["controller"]["mean"]
        for row in rows
    )
    assert all(row["ratio"]["do nothing"]["mean"] == 1 for row in rows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pairs": 1}, "at least 2"),
        ({"controllers": "no_such_thing"}, "no controller is called"),
        ({"corpus": "no_such_thing"}, "no corpus or folder is called"),
        ({"clip_sec": 0.1}, "at least 0.5"),
        ({"modes": "sideways"}, "choose from other_file"),
        ({"clip_sec": 20.0}, "0 of 2 recordings have 40.[0-9]+ s .the longest has 12.00 s., 1 needed"),
        ({"clip_sec": 5.0, "corpus": "SHORT", "modes": "other_file"}, "0 of 1 recordings have .* 2 needed"),
        ({"search_pairs": -1}, "--search-pairs -1"),
        ({"baseline_pairs": 3}, "at least 16, or 0"),
        ({"inputs": "wet"}, "choose from dry, styled"),
        ({"controllers": ","}, "give 'all'"),
        ({"controllers": "all"}, "no controllers are stored"),
    ],
)
def test_bad_input_says_what_to_change(folders, changes, message, monkeypatch):
    changes = {key: folders / "short" if value == "SHORT" else value for key, value in changes.items()}
    monkeypatch.setattr(commands, "stored_controllers", dict)
    with pytest.raises(UserError, match=message):
        evaluate(folders, folders / "bad", **changes)
    assert not (folders / "bad").exists()


def test_a_folder_of_another_evaluation_is_refused(finished, folders):
    with pytest.raises(UserError, match="seed is 0 there, 1 here"):
        evaluate(folders, finished[0], seed=1)


def test_the_fix_that_an_error_names_is_accepted(folders, monkeypatch):
    """Without the recordings that a controller was trained on there are no learned baselines."""
    monkeypatch.setattr(learned, "build_corpus", lambda _: (_ for _ in ()).throw(UserError("no such folder")))
    with pytest.raises(UserError, match="`--baseline-pairs 0` leaves them out"):
        evaluate(folders, folders / "fixed", baseline_pairs=16)
    assert not (folders / "fixed").exists()
    monkeypatch.setattr(commands, "run_task", lambda *_: (_ for _ in ()).throw(UserError("no such plugin")))
    with pytest.raises(UserError, match="no such plugin"):
        evaluate(folders, folders / "fixed")
    monkeypatch.undo()
    assert evaluate(folders, folders / "fixed", pairs=2)["settings"]["num_pairs"] == 2


def test_results_by_an_earlier_definition_are_refused(finished, folders):
    """Format 2 has nothing at matched loudness."""
    old = folders / "earlier"
    old.mkdir()
    identity, results = (json.loads((finished[0] / f"{name}.json").read_text()) for name in ("evaluation", "results"))
    identity["settings"]["format"] = results["format"] = 2
    (old / "evaluation.json").write_text(json.dumps(identity))
    (old / "results.json").write_text(json.dumps(results))
    with pytest.raises(UserError, match="format is 2 there, 3 here"):
        evaluate(folders, old)
    for cell in results["cells"]:
        for method in cell["methods"].values():
            del method["metrics"]["MRSTFT matched"]
    (old / "results.json").write_text(json.dumps(results))
    assert "| – |" in tables.results_markdown(tables.merge([old]))
    with pytest.raises(UserError, match="are of formats 3 and 2"):
        tables.merge([finished[0], old])


def test_the_rules_match_loudness_and_spectrum():
    dry = music(5, 2)[None]
    with open_host("HighShelfFilter(-, cutoff_frequency_hz=2000, gain_db=12)", num_workers=1) as shelf:
        reference = shelf.render(dry, np.zeros((1, 0), np.float32), RATE)
    with open_host(rule_based.COMPRESSOR, num_workers=1) as host:
        matched = rule_based.rule_based(dry, reference, RATE, host)

    def tilt(clip):
        power = np.abs(np.fft.rfft(clip[0, :, 0])) ** 2
        return 10 * np.log10(power[len(power) // 2 :].sum() / power[: len(power) // 8].sum())

    assert abs(tilt(matched[0]) - tilt(reference)) < 0.3 * abs(tilt(dry) - tilt(reference))
    np.testing.assert_allclose(loudness_lufs(matched[1], RATE), loudness_lufs(dry, RATE), atol=0.5)


def test_every_method_on_every_input(folders, monkeypatch):
    monkeypatch.setattr(learned, "NUM_TREES", 4)
    asked = []

    def refine(host, distance, audio, rate, start, num_renders, *, seed, free):
        asked.append((start is None, num_renders))
        assert free is None if start is None else free.tolist() in ([True], [False])
        assert audio.shape == (12 * 1024, 1)
        assert distance(audio[None]).shape == (1,)
        return refinement.Refined(np.asarray([0.5]), 0.0, 0.0, num_renders, num_failed=1)

    monkeypatch.setattr(searches, "refine", refine)
    pesq = 1 if importlib.util.find_spec("pesq") else 0
    corpus = folders / "talk"
    results = evaluate(
        folders, folders / "all", corpus=corpus, inputs="dry,styled", modes="other_file",
        baseline_pairs=16, search_pairs=2, pesq_pairs=1,
    )  # fmt: skip
    assert [cell["input"] for cell in results["cells"]] == ["dry", "styled"]
    assert asked == 4 * [(False, 64), (True, 64), (True, 1024)]
    for cell in results["cells"]:
        assert list(cell["methods"]) == list(methods.METHODS)
        assert cell["num_search_failures"] == 6
        for name in searches.SEARCHES:
            assert cell["methods"][name]["num_pairs"] == cell["methods"][name]["metrics"]["MRSTFT"]["count"] == 2
        truth = cell["methods"]["true settings"]
        assert {m: row["mean"] for m, row in truth["metrics"].items() if m not in ("PESQ", "MSD")} == dict.fromkeys(
            ("MRSTFT", "MRSTFT matched", "SCE", "CFE", "RMS", "LUFS"), 0.0
        )
        assert truth["metrics"]["MSD"] == {"count": 0, "undefined": 3}  # clips of half a second are too short for it
        assert truth["settings"]["parameters"]["gain_db"] == {"error": 0.0, "correlation": pytest.approx(1.0)}
        assert cell["num_pesq"] == pesq
        scores = {name: np.mean(cell["pairs"]["scores"][name]["MRSTFT"][:2]) for name in cell["methods"]}
        over = tables.overview([cell])[0]["refined_over"]
        for other in ("controller", "CMA-ES, 1024 renders"):
            expected = scores["controller + 64 renders"] / scores[other]
            assert over[other]["mean"] == pytest.approx(expected, abs=1e-4)
    text = (folders / "all" / "results.md").read_text()
    assert "6 renders failed in the searches" in text
    assert "3 undefined" in text
    assert ("PESQ: the first 1 pairs" if pesq else "PESQ was not measured") in text


def test_more_cells_join_a_folder_and_none_is_lost(folders):
    folder = folders / "joined"
    evaluate(folders, folder)
    results = evaluate(folders, folder, modes="same_clip")
    assert [cell["mode"] for cell in results["cells"]] == ["other_section", "same_clip"]
    assert len(tables.merge([folder, folder])["cells"]) == 2


def test_folders_that_do_not_agree_are_not_merged(finished, folders):
    other = folders / "seed1"
    evaluate(folders, other, seed=1)
    with pytest.raises(UserError, match="different results"):
        tables.merge([finished[0], other])
    with pytest.raises(UserError, match="finished evaluation"):
        tables.merge([folders / "nowhere"])


def test_bad_input_ends_with_code_2(folders, monkeypatch, capsys):
    (folders / "file").write_text("not a folder")
    for arguments in (words(folders, folders / "file" / "out"), words(folders, folders / "x", workers=-1)):
        monkeypatch.setattr("sys.argv", ["evaluate", *arguments])
        with pytest.raises(SystemExit) as ended:
            run_cli(cli.main)
        assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert "cannot make the folder" in shown
    assert "--workers -1" in shown


def test_a_damaged_chunk_is_named(folders):
    folder = folders / "damaged"
    evaluate(folders, folder)
    (chunk,) = folder.rglob("parts/**/*.json")
    chunk.write_text("{")
    with pytest.raises(UserError, match=r"000000.json cannot be read .* delete it"):
        evaluate(folders, folder)


def test_five_styles_each_to_each(folders):
    output = folders / "styles"
    arguments = [f"--controller={folders / 'gain.safetensors'}", f"--corpus={folders / 'songs'}"]
    arguments += ["--pairs=2", "--clip-sec=0.5", "--workers=1", f"--output={output}"]
    styles.run_styles(parse(arguments, cli.add_styles))
    results = json.loads((output / "styles-gain" / "styles.json").read_text())
    names = list(results["styles"])
    assert names == ["broadcast", "telephone", "neutral", "bright", "warm"]
    nothing = np.asarray(results["corpora"][0]["scores"]["do nothing"]["MRSTFT"])
    assert nothing.shape == (5, 5, 2)
    np.testing.assert_array_equal(nothing.mean(2) == 0.0, np.eye(5, dtype=bool))
    np.testing.assert_allclose(nothing, nothing.swapaxes(0, 1), rtol=1e-4)
    text = (output / "styles-gain" / "styles.md").read_text()
    assert text.count(".000 → ") >= 5
    assert text.count("| **telephone** |") == 4
    assert "\n| MRSTFT matched | " in text
    ours = np.asarray(results["corpora"][0]["scores"]["controller"]["MRSTFT"])
    row = next(line for line in text.splitlines() if line.startswith("| MRSTFT |")).split(" | ")
    apart = ~np.eye(5, dtype=bool)
    assert row[3].split()[0] == tables.format_number(ours[apart].mean() / nothing[apart].mean(), 2)
    for entry, values in zip((row[1], row[2], row[6]), (nothing[apart], ours[apart], ours[~apart])):
        assert entry.split()[0] == tables.format_number(values.mean(), 3)
    assert row[4] == f"{(ours.mean(2) < nothing.mean(2))[apart].sum()} of 20"
    assert row[5] == f"{(ours < nothing)[apart].mean():.0%}"


def test_undefined_scores_of_styles_are_left_out():
    scores = [[[0.0, None], [2.0, None]], [[2.0, 3.0], [0.0, 1.0]]]
    method = dict.fromkeys(styles.SHOWN, scores)
    text = styles.summary_table({"scores": {"do nothing": method, "controller": method}})
    two, one = "2.000 (2.000 … 2.000)", "1.00 (1.00 … 1.00)"
    assert f"| MRSTFT | {two} | {two} | {one} | 0 of 2 | 0% | .000 (.000 … .000) |" in text
