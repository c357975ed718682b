"""Paths of users with and without a home."""

import pwd

import pytest

from dafxvae.controllers.names import find_controller, stored_controllers
from dafxvae.core.errors import UserError
from dafxvae.core.paths import cache_dir, data_dir, stored_data, training_folder, user_path


@pytest.fixture
def homeless(monkeypatch):
    """A user id without an entry, as in a container."""
    for name in ("HOME", "DAFXVAE_CACHE", "DAFXVAE_DATA", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)

    def nobody(_):
        raise KeyError("uid not found")

    monkeypatch.setattr(pwd, "getpwuid", nobody)


@pytest.mark.usefixtures("homeless")
def test_the_package_s_controllers_need_no_home():
    assert find_controller("eq") == stored_controllers()["eq"]
    assert stored_data("held_out") is None
    for folder, variable in ((cache_dir, "DAFXVAE_CACHE"), (data_dir, "DAFXVAE_DATA")):
        with pytest.raises(UserError, match=f"no home folder is known for this user: set {variable}"):
            folder()


def test_a_home_that_is_not_there_is_a_name():
    assert str(user_path("~no such user/x.wav")) == "~no such user/x.wav"


def test_fetched_recordings_are_found_whoever_trained_on_them(tmp_path, monkeypatch):
    monkeypatch.setenv("DAFXVAE_DATA", str(tmp_path / "data"))
    elsewhere = "/home/nobody/.local/share/dafxvae/train"
    assert training_folder(elsewhere) == elsewhere
    (tmp_path / "data" / "train").mkdir(parents=True)
    assert training_folder(elsewhere) == str(tmp_path / "data" / "train")
    own = tmp_path / "dafxvae" / "train"
    own.mkdir(parents=True)
    assert [training_folder(folder) for folder in (str(own), "/songs")] == [str(own), "/songs"]
