"""`--controller auto`: the stored controller whose training pairs are most like a take and its reference."""

import json

import numpy as np
import pedalboard
import pytest
import scipy.stats
import soundfile
from transfer_toys import RATE, music

import dafxvae
from dafxvae.controllers.experience import Experience, measure_experience, store_experience
from dafxvae.controllers.familiar import Familiar
from dafxvae.controllers.names import shipped_folder, user_folder
from dafxvae.core.errors import UserError
from dafxvae.core.files import copy_file
from dafxvae.transfer.__main__ import main
from dafxvae.transfer.ranking import FREEDOM, POOLED, RIDGE, Ranking, log_likelihoods, rank_latent, rank_recordings
from dafxvae.transfer.recordings import ArrayRecording

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DAFXVAE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "1000")


def experience(mean, scale=1.0):
    """Of pairs whose latents spread around a mean."""
    latents = mean + scale * RNG.standard_normal((500, len(mean)))
    return measure_experience(np.zeros((500, 1), np.float32), latents.astype(np.float32))


def test_the_likelihood_is_student_t_with_a_pooled_covariance():
    several, latent = [experience(np.eye(3)[i], 1.0 + i) for i in range(3)], np.array([0.4, -0.3, 0.9])
    pooled = np.mean([one.latent_covariance for one in several[:2]], axis=0)
    expected = []
    for one in several:
        shape = (1 - POOLED) * one.latent_covariance + POOLED * pooled
        shape = shape + RIDGE * np.diag(np.diag(shape))
        expected.append(scipy.stats.multivariate_t(one.latent_mean, shape, df=int(FREEDOM)).logpdf(latent))
    found = log_likelihoods(latent, several, 2)
    np.testing.assert_allclose(found - found[0], np.subtract(expected, expected[0]), rtol=1e-4)


def test_a_new_controller_is_ranked_beside_the_others():
    several = {name: experience(3.0 * np.eye(8)[i]) for i, name in enumerate(("eq", "reverb"))}
    nothing = experience(np.zeros(8))
    familiar = Familiar(np.zeros((1, 1)), np.ones(1), nothing.latent_mean, nothing.latent_covariance)
    shares, untouched = rank_latent(3.0 * np.eye(8)[1], several, familiar)
    assert list(shares) == ["reverb", "eq"]
    assert sum(shares.values()) == pytest.approx(1.0)
    assert untouched < 0.2
    mine = several | {"mine": experience(3.0 * np.eye(8)[5])}
    assert next(iter(rank_latent(3.0 * np.eye(8)[5], mine, familiar)[0])) == "mine"
    assert rank_latent(np.zeros(8), mine, familiar)[1] > 0.5


def test_what_is_said_of_references_that_nothing_was_done_to():
    assert Ranking({"eq": 0.9, "reverb": 0.096, "delay": 0.004}, 0.1, False, ()).notes == ()
    found = Ranking({"eq": 0.9, "reverb": 0.096, "delay": 0.004}, 0.9, False, ("old",))
    assert found.sentence == "eq 90%, reverb 10%"
    assert found.best == "eq"
    assert found.notes[0].startswith("the reference sounds as if nothing had been done to it")
    assert found.notes[1].endswith("old")


def test_the_command_line_ranks_and_takes_the_best(tmp_path, capsys):
    wet = pedalboard.Reverb(0.8, 0.2, 0.6, 0.4)(music(6.0, seed=2, channels=1).T, RATE).T
    soundfile.write(tmp_path / "in.wav", music(6.0, seed=1, channels=1), RATE)
    soundfile.write(tmp_path / "ref.wav", wet, RATE)
    copy_file(shipped_folder() / "bitcrush.safetensors", user_folder() / "mine.safetensors")
    far = np.full(96, 50.0, np.float32)
    store_experience(
        user_folder() / "mine.safetensors", Experience(np.zeros(1), np.ones(1), np.zeros(1), far, np.eye(96))
    )
    out = tmp_path / "out.wav"
    main([*map(str, (tmp_path / "in.wav", tmp_path / "ref.wav", "--controller", "auto", "-o", out))])
    assert "controllers by predicted fit: reverb" in capsys.readouterr().err
    document = json.loads((tmp_path / "out.wav.settings.json").read_text())
    assert document["controller"] == "reverb"
    assert document["effect"] == "Reverb"
    assert next(iter(document["ranking"]["shares"])) == "reverb"
    assert len(document["ranking"]["shares"]) == 14
    assert list(document["ranking"]["shares"])[-1] == "mine"
    audio, _ = soundfile.read(tmp_path / "in.wav")
    ranking = dafxvae.rank_controllers(audio, audio, RATE)
    assert "the reference is the input itself" in ranking.notes[0]
    assert dafxvae.rank_controllers(audio, wet, RATE).best == "reverb"
    recording, reference = (ArrayRecording(one, RATE, "one") for one in (audio, wet))
    dynamic = rank_recordings(recording, [reference], ["dynamics", "level"])  # the level needs no effect
    assert {"compressor", "eq_compressor"} <= set(dynamic.shares) <= set(ranking.shares) - {"reverb", "eq", "mine"}
    assert sum(dynamic.shares.values()) == pytest.approx(1.0)
    with pytest.raises(UserError, match="no controller has effects for pitch"):
        rank_recordings(recording, [reference], ["pitch"])
