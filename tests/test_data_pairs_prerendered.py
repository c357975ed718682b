import re
import shutil
from collections import namedtuple

import numpy as np
import pytest
from rich.console import Console

from dafxvae.core.errors import UserError
from dafxvae.data.corpora.corpus import open_corpus
from dafxvae.data.pairs import prerendered
from dafxvae.data.pairs.prerendered import open_prerendered, render_pairs
from dafxvae.data.pairs.stream import PairOptions, iterate, make_pairs
from dafxvae.effects.bank import open_bank
from dafxvae.runs.render_pairs import parse_job, render_main

RATE, SAMPLES = 16000, 4000
CONFIG = """
from dafxvae.config import base_config


def get_config():
    config = base_config()
    config.sample_rate, config.clip_samples, config.data.minutes = 16000, 4000, 1.0
    return config
"""


@pytest.fixture(scope="module")
def bank():
    with open_bank(["Reverb"], num_workers=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def pairs(bank, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    corpus = open_corpus(
        folder=None, sample_rate=RATE, num_channels=1, minutes=1.0, seed=0, cache=cache, progress=False
    )
    return make_pairs(corpus, bank, clip_samples=SAMPLES, batch_size=4, seed=0, stream="train")


def test_stored_pairs_are_the_rendered_ones(pairs, bank, tmp_path):
    assert render_pairs(pairs, 10, tmp_path, progress=False) == 12  # whole shards
    stored = open_prerendered(tmp_path, batch_size=12, seed=0)
    batch = stored[0]
    order = np.argsort(
        [next(i for i in range(12) if np.array_equal(dry, pairs[i // 4].dry[i % 4])) for dry in batch.dry]
    )
    for shard in range(3):
        for name in ("dry", "target", "reference", "effect", "unit_params", "mask", "valid"):
            expected = getattr(pairs[shard], name)
            np.testing.assert_array_equal(getattr(batch, name)[order][4 * shard : 4 * shard + 4], expected)
    output = bank.render(batch.dry, batch.effect, batch.unit_params, RATE)
    np.testing.assert_array_equal(output, batch.target)  # zero loss at the true settings, from disk too


def test_epochs_hold_every_pair_once_in_new_orders(pairs, tmp_path):
    render_pairs(pairs, 12, tmp_path, progress=False)
    stored = open_prerendered(tmp_path, batch_size=5, seed=0)
    settings = np.concatenate([stored[step].unit_params for step in range(12)])  # 60 draws: five epochs
    items = np.concatenate([stored[step].item for step in range(12)])
    assert items.tolist() == list(range(60))
    epochs = settings.reshape(5, 12, -1)
    first = {tuple(row) for row in epochs[0]}
    assert len(first) == 12
    assert all({tuple(row) for row in epoch} == first for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])
    with iterate(stored, start_step=3, prefetch=2) as batches:
        for a, b in zip(next(batches), stored[3], strict=True):
            np.testing.assert_array_equal(a, b)


def test_interrupted_rendering_goes_on(pairs, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    render_pairs(pairs, 20, whole, progress=False)
    written = []

    def dies_at_third(folder, shard, batch, write=render_pairs.__globals__["_write_shard"]):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(shard)
        write(folder, shard, batch)

    monkeypatch.setitem(render_pairs.__globals__, "_write_shard", dies_at_third)
    with pytest.raises(KeyboardInterrupt):
        render_pairs(pairs, 20, parts, progress=False)
    monkeypatch.undo()
    with pytest.raises(UserError, match="not rendered to the end"):
        open_prerendered(parts, batch_size=4, seed=0)
    (parts / "shard-00000.npy").unlink()  # and a hole besides
    assert render_pairs(pairs, 20, parts, progress=False) == 16
    assert render_pairs(pairs, 20, parts, progress=False) == 0
    for a, b in zip(
        open_prerendered(whole, batch_size=20, seed=0)[0], open_prerendered(parts, batch_size=20, seed=0)[0]
    ):
        np.testing.assert_array_equal(a, b)
    assert render_pairs(pairs, 24, parts, progress=False) == 4  # more pairs later
    assert open_prerendered(parts, batch_size=4, seed=0).counts == {"pairs": 24}


@pytest.mark.parametrize("apart", [False, True], ids=["one folder", "a folder each"])
def test_jobs_without_a_coordinator_render_the_same_shards(pairs, tmp_path, apart):
    """Three jobs in any order, in one folder or in three that are copied together: the pairs of a single job."""
    render_pairs(pairs, 20, tmp_path / "alone", progress=False)
    together = tmp_path / "together"
    counts = []
    for index in (2, 0, 1):
        folder = tmp_path / str(index) if apart else together
        counts.append(render_pairs(pairs, 20, folder, progress=False, job=(index, 3)))
        if apart:
            shutil.copytree(folder, together, dirs_exist_ok=True)
        if len(counts) < 3:
            with pytest.raises(UserError, match="not rendered to the end"):
                open_prerendered(together, batch_size=4, seed=0)
    assert sorted(counts) == [4, 8, 8]
    if apart:
        assert render_pairs(pairs, 20, together, progress=False) == 0  # nothing is missing: announced
    folders = tmp_path / "alone", together
    for a, b in zip(*(open_prerendered(folder, batch_size=20, seed=0)[0] for folder in folders)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("text", ["3/3", "-1/3", "1", "1/0", "a/b", "1/3/5"])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(UserError, match="--shard is"):
        parse_job(text)


@pytest.mark.parametrize("how", ["truncated", "flipped bit", "settings"])
def test_a_damaged_shard_is_found_before_it_teaches(pairs, tmp_path, how):
    render_pairs(pairs, 8, tmp_path, progress=False)
    path = tmp_path / ("shard-00001.npz" if how == "settings" else "shard-00001.npy")
    content = bytearray(path.read_bytes())
    if how == "flipped bit":
        content[-1000] ^= 1
    else:
        content = content[:-1000]
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"(shard-00001.*damaged|cannot read the pairs).*render again"):
        open_prerendered(tmp_path, batch_size=8, seed=0)[0]
    for name in tmp_path.glob("shard-00001.*"):
        name.unlink()
    assert render_pairs(pairs, 8, tmp_path, progress=False) == 4
    open_prerendered(tmp_path, batch_size=8, seed=0)[0]


def test_a_shard_with_pickled_code_is_refused(pairs, tmp_path):
    render_pairs(pairs, 4, tmp_path, progress=False)
    np.save(tmp_path / "shard-00000.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot read the pairs"):
        open_prerendered(tmp_path, batch_size=4, seed=0)


class Trap:
    """Ends the process when it is unpickled."""

    def __reduce__(self):
        return (exit, (3,))


def test_other_pairs_are_never_mixed_in(pairs, bank, tmp_path):
    render_pairs(pairs, 4, tmp_path, progress=False)
    corpus = pairs.maker.cutter.corpus
    other = make_pairs(
        corpus, bank, clip_samples=SAMPLES, batch_size=4, seed=0, stream="train", options=PairOptions(style_share=0.5)
    )
    with pytest.raises(UserError, match=r"holds other pairs .draws"):
        render_pairs(other, 4, tmp_path, progress=False)
    with pytest.raises(UserError, match=r"cannot be read .*dafxvae.data render"):
        open_prerendered(tmp_path / "nowhere", batch_size=4, seed=0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clip_samples": 5000}, "clip_samples is 4000 there, 5000 here"),
        ({"num_channels": 2}, "num_channels is 1 there, 2 here"),
        ({"effects": ["Delay"]}, "effects is ['Reverb'] there, ['Delay'] here"),
        ({"format": 9}, "format is 3 there, 9 here"),
        ({"tracks": {"a.wav": "0" * 64}}, "recordings are not the run's, 1 of the run's not there"),
        ({"draws": {"mode": "same_clip"}}, "draws.mode is 'other_file' there, 'same_clip' here"),
        ({"draws": {"options": {"style_share": 0.5}}}, "draws.options.style_share is 0.0 there, 0.5 here"),
        ({"draws": {"seed": 7, "stream": "h/train"}, "corpus": "elsewhere"}, ""),
        ({"tracks": "renamed"}, ""),
    ],
)
def test_pairs_that_a_run_would_not_render_are_refused(pairs, tmp_path, monkeypatch, change, words):
    render_pairs(pairs, 4, tmp_path, progress=False)
    expected = prerendered.describe(pairs, 4)
    if change.get("tracks") == "renamed":
        change = {"tracks": {f"other/{name}": content for name, content in expected["tracks"].items()}}
    draws = expected["draws"] | change.get("draws", {})
    draws["options"] = expected["draws"]["options"] | change.get("draws", {}).get("options", {})
    monkeypatch.setattr(prerendered, "describe", lambda *arguments: expected | change | {"draws": draws})
    if words:
        with pytest.raises(UserError, match=re.escape(words)):
            open_prerendered(tmp_path, batch_size=4, seed=0, expected=pairs)
    else:
        assert open_prerendered(tmp_path, batch_size=4, seed=0, expected=pairs)[0].valid.all()


def test_too_small_a_disk_is_told_before_rendering(pairs, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 1000))
    with pytest.raises(UserError, match="do not fit"):
        render_pairs(pairs, 4, tmp_path / "new", progress=False)
    assert not (tmp_path / "new").exists()


def test_full_disk_leaves_no_half_shard(pairs, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(UserError, match=r"shard-00000\.npy: No space left"):
        render_pairs(pairs, 4, tmp_path, progress=False)
    assert not list(tmp_path.glob("*.npy"))
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # of ml_collections
def test_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DAFXVAE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "config.py").write_text(CONFIG)
    arguments = ["--config", str(tmp_path / "config.py"), "--num_pairs=20", "--out", str(tmp_path / "out")]
    render_main(arguments, Console())
    assert "32 pairs rendered" in capsys.readouterr().out
    assert open_prerendered(tmp_path / "out", batch_size=4, seed=0)[2].dry.shape == (4, 4000, 1)
    render_main([*arguments, "--shard=1/2"], Console())
    assert "0 pairs rendered" in capsys.readouterr().out  # they are all there
    with pytest.raises(UserError, match=r"holds other pairs .draws"):
        render_main([*arguments, "--config.seed=0", "--config.data.mode=same_clip"], Console())
    wrong = {"--out=x": "give --config", "--nonsense": "nonsense", "--config=none.py": r"none\.py"}
    for argument, message in wrong.items():
        with pytest.raises(UserError, match=message):
            render_main([argument], Console())
