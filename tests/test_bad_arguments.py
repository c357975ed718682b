"""Bad arguments of what README and docs import: refused with the value and the fix, before anything is computed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dafxvae.audio.griffin_lim import griffin_lim
from dafxvae.audio.io import read_audio, write_audio
from dafxvae.audio.losses import make_audio_loss
from dafxvae.config import SMOOTH, controller_config, resolve_preset
from dafxvae.controllers.controller import read_controller
from dafxvae.controllers.names import open_controller
from dafxvae.core.errors import UserError
from dafxvae.data.corpora.corpus import open_corpus
from dafxvae.data.corpora.files import find_audio
from dafxvae.effects.factory import open_host
from dafxvae.effects.response import audibility, measure_response
from dafxvae.gradients.estimators import Estimator, make_effect, make_effect_loss
from dafxvae.runs.loop import train_and_evaluate

NAN, RATE = float("nan"), 24000
AUDIO, UNIT = np.zeros((2, 64, 1), np.float32), np.full((2, 1), 0.5, np.float32)
KEYS, MAGNITUDE = jax.random.split(jax.random.key(0), 2), np.ones((1, 8, 33), np.float32)
FILE = "written.wav"
NO_RATE = (0, -1, "24000", None, NAN, float("inf"), 1e12, [1])
NO_PATH = (None, 3, "", "missing", ["x"], "a\0b")
NO_AUDIO = (None, "x", [], np.zeros(5), np.zeros((2, 64)), AUDIO.astype(complex), [[["a"]]])
NO_SETTINGS = (None, "x", [], np.zeros(5), np.zeros((2, 2)), np.zeros((3, 1)), [["a"], ["b"]], UNIT.astype(complex))
EFFECT_LOSS = {"audio": AUDIO, "unit_params": UNIT, "keys": KEYS, "target": AUDIO}
NO_KEYS = (None, 3, KEYS[:1], np.zeros(2))
CORPUS = {"folder": None, "sample_rate": RATE, "num_channels": 1, "minutes": 1.5, "seed": 0, "progress": False}
ISTFT = {"magnitude": MAGNITUDE, "hop": 16, "num_samples": 112, "num_iterations": 2, "momentum": 0.9}


def same(audio, unit_params):
    return np.repeat(np.asarray(audio)[:, None], unit_params.shape[1], 1)


def squares(output, target):
    return jnp.mean((output - target) ** 2, (1, 2)), {}


def on_gain(name):
    """What is called with a host of Gain."""

    def call(**arguments):
        with open_host("Gain", num_workers=1) as host:
            methods = {"render": host.render, "render_variants": host.render_variants}
            methods |= {key: getattr(host.parameters, key) for key in ("sample", "describe", "from_values")}
            functions = {"measure_response": measure_response, "audibility": audibility}
            return functions[name](host, **arguments) if name in functions else methods[name](**arguments)

    return call


CALLS = [  # what is called, with what, and what its arguments cannot be
    (
        "open_host", open_host, {"effect": "Gain", "num_workers": 1},
        {
            "effect": (
                *(None, 3, "", [], {}, NAN, "Reverp", {"name": 3}, b"Reverb"),
                *({"name": "Reverb", key: 3} for key in ("control", "fixed")), {"name": "Reverb", "fixed": [1]},
                {"name": "Reverb", "ranges": {"room_size": 3}}, {"name": "Reverb", "ranges": {"room_size": ("a", 1)}},
            ),
            "num_workers": (0, -1, 1.5, "2", NAN, 10**9),
        },
    ),
    (
        "render", on_gain("render"), {"audio": AUDIO, "unit_params": UNIT, "sample_rate": RATE},
        {
            "audio": (*NO_AUDIO, np.zeros((2, 64, 3)), np.zeros((0, 64, 1)), np.zeros((3, 64, 1))),
            "unit_params": NO_SETTINGS,
            "sample_rate": NO_RATE,
        },
    ),
    (
        "render_variants", on_gain("render_variants"),
        {"audio": AUDIO, "unit_params": UNIT[:, None], "sample_rate": RATE},
        {"unit_params": (*NO_SETTINGS, UNIT)},
    ),
    (
        "sample", on_gain("sample"), {"rng": np.random.default_rng(0), "n": 3},
        {"rng": (None, 3), "n": (-1, "x", 1.5, None)},
    ),
    (
        "describe", on_gain("describe"), {"unit_row": [0.5]},
        {"unit_row": (None, "x", 3, [], [1, 2], ["a"], [[0.5]])},
    ),
    (
        "from_values", on_gain("from_values"), {"values": {"gain_db": 3}},
        {"values": (None, "x", 3, [1], {"loud": 1}, {"gain_db": "x"}, {"gain_db": NAN}, {1: 1})},
    ),
    (
        "measure_response", on_gain("measure_response"),
        {"unit_params": [[0.5]], "sample_rate": RATE},
        {
            "unit_params": (None, "x", [], [0.5], [[0.5, 0.5]], [["a"]]),
            "sample_rate": (*NO_RATE, 8000),
        },
    ),
    (
        "audibility", on_gain("audibility"), {"unit_params": [0.5], "sample_rate": RATE},
        {"unit_params": (None, "x", [], [0.5, 0.5], [[0.5]], ["a"]), "sample_rate": (0, "x", 8000)},
    ),
    (
        "write_audio", write_audio, {"path": FILE, "audio": AUDIO[0], "sample_rate": RATE, "subtype": None},
        {
            "path": (None, 3, "", "x.xyz", "."),
            "audio": (None, "x", [], np.zeros(5), AUDIO, AUDIO[0].astype(complex), [["a"]]),
            "sample_rate": NO_RATE,
            "subtype": (3, "x"),
        },
    ),
    (
        "read_audio", read_audio,
        {"path": FILE, "sample_rate": RATE, "num_channels": 1, "start": 0, "frames": -1},
        {
            "path": NO_PATH, "sample_rate": (0, -1, "24000", NAN, float("inf"), 1e12), "num_channels": (0, "1", 3, 1.5),
            "start": (-1, "1", NAN, 1.5, None), "frames": (-2, "1", NAN, 1.5, None),
        },
    ),
    (
        "griffin_lim", griffin_lim, ISTFT,
        {
            "magnitude": (np.ones(3), np.ones((0, 8, 33)), np.ones((1, 8, 1))),
            "hop": (0, -1, "x", 1.5, NAN, None, 33), "num_samples": (0, -1, "x", 1.5, NAN, 10**9),
            "num_iterations": (-1, "x", 1.5, NAN), "momentum": (-1, 1, NAN, "x", None),
        },
    ),
    (
        "Estimator", Estimator, {},
        {
            "name": ("x", 3, None, []), "num_probes": (-1, 0, 1.5, "x", None, NAN), "level": ("x", 3, None),
            "step_size": (0, -1, NAN, 1, "x", None, [], (0.1, NAN), [[0.1]]), "blocks": (3, "x", (-1,), (1.5,)),
            "discrete": (3, "x"),
        },
    ),
    (
        "make_effect", make_effect, {"render": same, "estimator": Estimator(), "audio_gradient": "zero"},
        {"render": (None, 3), "estimator": (None, "spsa"), "audio_gradient": ("x", None)},
    ),
    (
        "make_effect_loss", make_effect_loss, {"render": same, "loss_fn": squares, "estimator": Estimator()},
        {"render": (None, 3), "loss_fn": (None, 3), "estimator": (None, 3, "spsa")},
    ),
    (
        "effect_loss", lambda **given: make_effect_loss(same, squares, Estimator())(*given.values()), EFFECT_LOSS,
        {
            "audio": (None, "x", np.zeros(3), np.zeros((2, 64)), np.zeros((3, 64, 1)), [["a"]]),
            "unit_params": (None, "x", np.zeros(2), np.zeros((3, 1)), np.zeros((2, 0))),
            "keys": NO_KEYS,
            "target": (None, np.zeros((2, 63, 1))),
        },
    ),
    (
        "make_audio_loss", make_audio_loss, {"weights": {"mrstft": 1.0}, "stft_sizes": (16,), "sample_rate": RATE},
        {
            "weights": (None, 3, "mrstft", [], {"x": 1}, {"mrstft": NAN}, {"mrstft": "x"}, {"mrstft": -1}, {3: 1}),
            "stft_sizes": (None, 3, "x", (0,), (-1,), (NAN,), ("x",), (1.5,)),
            "sample_rate": NO_RATE,
        },
    ),
    (
        "controller_config", controller_config, {"effect": "Reverb", "estimator": SMOOTH},
        {
            "effect": (None, 3, []), "estimator": (None, 3, "spsa", {"nam": 1}, {"name": 3}), "sed": (1,),
            "seed": ("x", 1.5), "h__learning_rat": (1e-3,), "h": (3,), "h__x__y": (1,), "seed__x": (1,),
            "h__loss_weights": (3,),
        },
    ),
    ("resolve_preset", resolve_preset, {"config": controller_config("Reverb", SMOOTH)}, {"config": (None, 3, {}, "x")}),
    ("read_controller", read_controller, {"path": None}, {"path": NO_PATH}),
    ("open_controller", open_controller, {"name": None}, {"name": NO_PATH}),
    (
        "train_and_evaluate", train_and_evaluate, {"config": controller_config("Reverb", SMOOTH), "workdir": "run"},
        {"config": (None, 3, {}, "x"), "workdir": (None, 3, "", f"{FILE}/x", "a\0b")},
    ),
    (
        "open_corpus", open_corpus, CORPUS,
        {
            "folder": (3, "missing", "a\0b"), "sample_rate": NO_RATE, "num_channels": (0, 3, "1", None, NAN, 1.5),
            "minutes": (0, -1, "x", None, NAN, float("inf")), "seed": (-1, "x", None, NAN, 1.5, 2**31),
            "cache": (3, ""),
        },
    ),
    ("find_audio", find_audio, {"folder": None}, {"folder": NO_PATH}),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("arguments")
        patch.chdir(root)
        patch.setenv("DAFXVAE_CACHE", str(root / "cache"))
        patch.setenv("DAFXVAE_DATA", str(root / "data"))
        write_audio(FILE, AUDIO[0], RATE)
        yield root


@pytest.mark.parametrize(
    ("function", "given", "name", "value"),
    [
        pytest.param(function, given, name, value, id=f"{called}-{name}-{i}")
        for called, function, given, wrong in CALLS
        for name, values in wrong.items()
        for i, value in enumerate(values)
    ],
)
def test_a_bad_argument_is_refused_with_the_fix(folder, function, given, name, value):
    before = sorted(folder.rglob("*"))
    with pytest.raises((UserError, ValueError)) as refused:  # ValueError: of functions of arrays
        function(**given | {name: value})
    assert len(str(refused.value).split()) > 3
    assert "array with" not in str(refused.value)
    assert sorted(folder.rglob("*")) == before
