"""The main job: `train_and_evaluate(config, workdir)` trains what is missing of f, g and h, and says how good it is."""

import json
import platform
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from dafxvae import __version__, build, showing
from dafxvae.config import Config
from dafxvae.controllers import load_controller, load_encoders, save_controller
from dafxvae.data.corpus import Corpus
from dafxvae.errors import UserError
from dafxvae.evaluation import evaluate_controller, results_table, verdict
from dafxvae.gradients.bridge import require_thread_pool
from dafxvae.paths import data_dir
from dafxvae.training import parallel
from dafxvae.training.clock import Clock
from dafxvae.training.stage import Cadence, run_stage
from dafxvae.weights import save_weights

FREE_KEYS = ("num_devices", "num_workers", "log_every_steps")  # may change between a run and its resumption
LIBRARIES = ("jax", "flax", "optax", "orbax-checkpoint", "pedalboard", "numpy", "grain")


def describe_run() -> dict[str, str]:
    """Versions and device, for the workdir and for whoever asks later what made a result."""
    versions = {name: version(name) for name in LIBRARIES}
    device = jax.local_devices()[0].device_kind
    return {"dafxvae": __version__, "python": platform.python_version(), "device": device} | versions


def claim_workdir(config: Config, workdir: Path) -> None:
    """Writes the resolved config into the workdir, or checks that the run there has the same one.

    Raises:
        UserError: the workdir belongs to a run of another config; names the differences.
    """
    path = workdir / "config.json"
    ours = json.loads(config.to_json())
    if path.exists():
        theirs = json.loads(path.read_text())
        flat_ours, flat_theirs = dict(_flatten(ours)), dict(_flatten(theirs))
        differences = [
            f"{key} was {flat_theirs.get(key)!r}, is {flat_ours.get(key)!r}"
            for key in sorted(flat_ours.keys() | flat_theirs.keys())
            if flat_ours.get(key) != flat_theirs.get(key) and key not in FREE_KEYS
        ]
        if differences:
            raise UserError(
                f"{workdir} holds a run of another configuration ({'; '.join(differences)}): "
                "give the old values to resume it, or another --workdir"
            )
    workdir.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(ours, indent=2))
    (workdir / "versions.json").write_text(json.dumps(describe_run(), indent=2))


def _flatten(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows = []
    for key, value in tree.items():
        rows += _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return rows


def stored_encoders_path(name: str) -> Path:
    """Where pretrained f and g of a name live; a path to a *.safetensors file stands for itself."""
    return Path(name) if name.endswith(".safetensors") else data_dir() / "pretrained" / f"{name}.safetensors"


def check_encoders(encoders: build.Encoders, config: Config, path: Path) -> None:
    """Raises UserError when stored f and g are not the ones that the configuration describes."""
    asked = {"sample_rate": config.sample_rate, "f": config.f.to_dict(), "g": config.g.to_dict()}
    flat_asked = dict(_flatten(json.loads(json.dumps(asked))))
    flat_stored = dict(_flatten({key: encoders.metadata[key] for key in asked}))
    differences = [
        f"{key} is {flat_stored.get(key)!r} there, {value!r} in the config"
        for key, value in flat_asked.items()
        if flat_stored.get(key) != value
    ]
    if differences:
        raise UserError(
            f"the stored f and g at {path} differ from the configuration ({'; '.join(differences)}): "
            "give --config.pretrained another name to train new ones, or leave these settings alone"
        )


def ensure_encoders(
    config: Config, workdir: Path, corpus: Corpus, cadence: Cadence, devices: list, console: Console
) -> build.Encoders:
    """f and g: the workdir's, else the stored ones of the config's name, else trained now and stored by that name."""
    path, stored = workdir / "encoders.safetensors", stored_encoders_path(config.pretrained)
    pretraining_alone = not config.effect
    if not path.exists() and stored.exists() and not pretraining_alone:
        console.print(f"f and g: using {stored}")
        encoders = load_encoders(stored)
        check_encoders(encoders, config, stored)
        save_weights(path, encoders.variables, encoders.metadata)
    if not path.exists():
        variables, metadata = pretrain(config, workdir, corpus, cadence, devices)
        save_weights(stored, variables, metadata)
        save_weights(path, variables, metadata)
        console.print(f"f and g: stored at {stored}")
    return load_encoders(path)


def pretrain(
    config: Config, workdir: Path, corpus: Corpus, cadence: Cadence, devices: list
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Stages f and g on the bank of effects; returns their variables and metadata."""
    with build.build_bank(config, config.bank) as bank:
        pairs = build.build_pairs(config, "f", corpus, bank)
        stage, constants = build.build_encoder_stage(config, pairs, bank, check=bank.failures.check)
        stage = replace(stage, show=showing.show_reconstructions(config, pairs.valid[0], constants))
        state = run_stage(stage, workdir / "f", cadence, devices, Clock())
        f_variables = {"params": state.params["f"], "constants": jax.device_get(constants)}
        pairs = build.build_pairs(config, "g", corpus, bank)
        stage, constants = build.build_controller_stage(config, pairs, bank, f_variables, check=bank.failures.check)
        state = run_stage(stage, workdir / "g", cadence, devices, Clock())
        g_variables = {"params": state.params, "constants": jax.device_get(constants)}
        return {"f": f_variables, "g": g_variables}, build.describe_encoders(config, bank)


def train_controller(
    config: Config, workdir: Path, corpus: Corpus, encoders: build.Encoders, cadence: Cadence, devices: list
) -> dict[str, Any]:
    """Stage h through the real effect; stores the controller, reads it back and scores it on the test recordings."""
    path = workdir / "controller.safetensors"
    with build.build_bank(config, [config.effect]) as bank:
        pairs = build.build_pairs(config, "h", corpus, bank, num_test_pairs=config.eval.num_test_pairs)
        clock = Clock()
        stage = build.build_decoder_stage(config, pairs, bank, encoders, clock)
        stage = replace(stage, show=showing.show_transfers(config, pairs.valid[0], bank, encoders))
        state = run_stage(stage, workdir / "h", cadence, devices, clock)
        save_controller(path, state.params, bank.hosts[0].parameters.names, encoders, config)
        controller = load_controller(path, workdir / "encoders.safetensors")
        assert pairs.test is not None
        results = evaluate_controller(pairs.test, bank, controller.predict, config.sample_rate, config.seed)
    (workdir / "results.json").write_text(json.dumps(results, indent=2))
    return results


def train_and_evaluate(config: Config, workdir: Path, console: Console | None = None) -> dict[str, Any]:
    """Runs or resumes the whole job of a resolved configuration.

    Args:
        config: of `dafxvae.config.resolve_preset`.
        workdir: holds everything: config, checkpoints, TensorBoard's files, weights, results.
        console: what is said goes there.

    Returns:
        The results of `dafxvae.evaluation.evaluate_controller`; empty when the config names no effect.

    Raises:
        UserError: bad input; the message says what to change.
        Stopped: on Ctrl-C or SIGTERM, after saving; the same call goes on.
    """
    console = console or Console(stderr=True)
    devices = parallel.local_devices(config.num_devices)
    require_thread_pool(len(devices))
    for stage in ("f", "g", "h"):
        parallel.check_batch_size(config[stage].batch_size, len(devices))
    claim_workdir(config, workdir)
    cadence = Cadence(config.log_every_steps, config.eval.every_steps, config.checkpoint_every_steps)
    corpus = build.build_corpus(config)
    console.print(f"audio: {corpus.minutes:.1f} minutes in {len(corpus.tracks)} recordings")
    encoders = ensure_encoders(config, workdir, corpus, cadence, devices, console)
    results: dict[str, Any] = {}
    if config.effect:
        results = train_controller(config, workdir, corpus, encoders, cadence, devices)
        console.print(results_table(results))
        console.print(verdict(results))
        console.print(f"controller: {workdir / 'controller.safetensors'}")
    for skipped in corpus.skipped:
        console.print(f"skipped {skipped.path}: {skipped.reason}", style="yellow", markup=False)
    return results
