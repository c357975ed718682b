"""An evaluation from recordings to tables: small, with the real encoders, effects and metrics."""

import json

import jax
import numpy as np
import pytest
from rich.console import Console

from dafxvae import networks
from dafxvae.audio.io import write_audio
from dafxvae.config import base_config, resolve_preset
from dafxvae.effects.factory import open_host
from dafxvae.errors import UserError
from dafxvae.evaluate import commands, rules, styles
from dafxvae.evaluate.__main__ import parse
from dafxvae.metrics.levels import loudness_lufs
from dafxvae.runs.controllers import save_controller
from dafxvae.runs.encoder_store import load_encoders, stored_encoders_path

RATE = 24000
QUIET = Console(quiet=True)


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
        (root / "songs").mkdir(exist_ok=True)
        write_audio(root / "songs" / f"{i}.wav", music(i, 12), RATE)
    config = resolve_preset(base_config())
    config.effect = "Gain"
    h = networks.build_h(config, 1)
    params = h.init(jax.random.key(0), np.zeros((1, config.g.latent_dim)))["params"]
    encoders = load_encoders(stored_encoders_path("shipped"))
    save_controller(root / "gain.safetensors", params, ("gain_db",), encoders, config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAFXVAE_CACHE", str(root / "cache"))
        patch.setenv("DAFXVAE_DATA", str(root / "data"))
        yield root


def words(root, output, **changes):
    options = {
        "controllers": root / "gain.safetensors", "corpus": root / "songs", "pairs": 3, "clip-sec": 1.0,
        "modes": "other_section", "search-pairs": 0, "baseline-pairs": 0, "workers": 1, "output": output,
    } | {key.replace("_", "-"): value for key, value in changes.items()}  # fmt: skip
    return [f"--{key}={value}" for key, value in options.items()]


def evaluate(root, output, **changes):
    commands.run(parse(words(root, output, **changes)), QUIET, QUIET)
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
    table = (folder / "results.md").read_text()
    for part in ("songs", "other_section", "Gain", results["settings"]["version"]):
        assert part in table
    page = (folder / "report.html").read_text()
    assert page.count("<audio") >= 4
    assert "http" not in page.replace("http://www.w3.org", "")


def test_what_is_finished_is_not_computed_again(finished, folders, monkeypatch):
    folder, _ = finished
    before = (folder / "results.json").read_bytes()
    monkeypatch.setattr("dafxvae.evaluate.running.run_chunk", lambda *a: pytest.fail("computed again"))
    evaluate(folders, folder)
    assert (folder / "results.json").read_bytes() == before


def test_a_chunk_that_is_missing_comes_back_with_the_same_bytes(finished, folders):
    folder, _ = finished
    (chunk,) = folder.rglob("parts/**/*.json")
    before = chunk.read_bytes(), (folder / "results.json").read_bytes()
    chunk.unlink()
    evaluate(folders, folder)
    assert (chunk.read_bytes(), (folder / "results.json").read_bytes()) == before


def test_folders_are_merged_into_one_table(finished, folders, capsys):
    other = folders / "other"
    evaluate(folders, other, modes="same_clip")
    commands.show_table(parse(["table", str(finished[0]), str(other)]), Console(width=400))
    shown = capsys.readouterr().out
    assert "other_section" in shown
    assert "same_clip" in shown


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pairs": 1}, "at least 2"),
        ({"controllers": "no_such_thing"}, "no controller is called"),
        ({"corpus": "no_such_thing"}, "no corpus or folder is called"),
        ({"clip_sec": 0.1}, "at least 0.5"),
        ({"modes": "sideways"}, "choose from other_file"),
        ({"clip_sec": 20.0}, "s"),
    ],
)
def test_bad_input_says_what_to_change(folders, changes, message):
    with pytest.raises(UserError, match=message):
        evaluate(folders, folders / "bad", **changes)


def test_a_folder_of_another_evaluation_is_refused(finished, folders):
    with pytest.raises(UserError, match="seed is 0 there, 1 here"):
        evaluate(folders, finished[0], seed=1)


def test_the_rules_match_loudness_and_spectrum():
    dry = music(5, 2)[None]
    with open_host("HighShelfFilter(-, cutoff_frequency_hz=2000, gain_db=12)", num_workers=1) as shelf:
        reference = shelf.render(dry, np.zeros((1, 0), np.float32), RATE)
    with open_host(rules.COMPRESSOR, num_workers=1) as host:
        matched = rules.rule_based(dry, reference, RATE, host)

    def tilt(clip):
        power = np.abs(np.fft.rfft(clip[0, :, 0])) ** 2
        return 10 * np.log10(power[len(power) // 2 :].sum() / power[: len(power) // 8].sum())

    assert abs(tilt(matched[0]) - tilt(reference)) < 0.3 * abs(tilt(dry) - tilt(reference))
    np.testing.assert_allclose(loudness_lufs(matched[1], RATE), loudness_lufs(dry, RATE), atol=0.5)


def test_five_styles_each_to_each(folders):
    output = folders / "styles"
    arguments = ["styles", f"--controller={folders / 'gain.safetensors'}", f"--corpus={folders / 'songs'}"]
    arguments += ["--pairs=2", "--clip-sec=1.0", "--workers=1", f"--output={output}"]
    styles.run(parse(arguments), QUIET, QUIET)
    assert list(output.rglob("*.json"))
    (table,) = output.rglob("*.md")
    text = table.read_text()
    for style in ("broadcast", "telephone", "neutral", "bright", "warm"):
        assert style in text
