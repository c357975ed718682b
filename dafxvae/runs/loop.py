"""The main job: `train_and_evaluate(config, workdir)` trains what is missing of f, g and h, and says how good it is."""

import re
import shlex
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from dafxvae.config import Config, check_config
from dafxvae.controllers.controller import read_controller, save_controller, store_results
from dafxvae.controllers.experience import measure_experience, store_experience
from dafxvae.core.files import write_json, write_text
from dafxvae.core.paths import user_path
from dafxvae.data.corpora.corpus import Corpus
from dafxvae.descriptors.lfo_measurement import known_curves
from dafxvae.models import networks
from dafxvae.runs import build, media, stage_pairs
from dafxvae.runs.descriptor_choice import choose_descriptors, with_candidates
from dafxvae.runs.gradient_choice import build_estimator, describe_cost, describe_estimator, effect_calibration
from dafxvae.runs.parameter_choice import with_useful_parameters
from dafxvae.runs.preparation import open_session
from dafxvae.runs.pretraining import ensure_encoders
from dafxvae.runs.results import evaluate_controller, learnt_table, pair_caption, results_table, typical_pair, verdict
from dafxvae.runs.values import check_run
from dafxvae.training.clock import Clock
from dafxvae.training.session import Session
from dafxvae.training.stage import run_stage
from dafxvae.transfer.prediction import predict_clips

SHOWN = ("num_pairs", "num_failed", "mrstft", "matched")  # of the results: stored with a controller


def train_controller(
    config: Config,
    workdir: Path,
    corpus: Corpus,
    encoders: networks.Encoders,
    session: Session,
) -> dict[str, Any]:
    """Stage h through the real effect; stores the controller, reads it back and scores it on the test recordings."""
    path = workdir / "controller.safetensors"
    with build.build_bank(config, [config.effect]) as bank:
        host = bank.hosts[0]
        calibration = effect_calibration(config, host, corpus, session.console)
        estimator = build_estimator(config, host, calibration)
        for text in (describe_estimator(estimator, host, calibration), describe_cost(config, host, estimator)):
            session.console.print(text, markup=False, highlight=False)
        pairs = stage_pairs.build_pairs(config, "h", corpus, bank, workdir, config.eval.num_test_pairs)
        clock, wide = Clock(bank), with_candidates(config)
        encoders = build.measure_effect(wide, bank, encoders, workdir / "pairs" / "h")
        features = stage_pairs.extract_stage_pairs(wide, pairs, bank, encoders, workdir / "pairs" / "h")
        config, features = choose_descriptors(config, features, bank, workdir, session.console)
        start = build.warm_start(config, features, bank)
        session.console.print(f"known settings: mean squared error {float(start.errors.min()):.4f} on other recordings")
        stage = build.build_decoder_stage(config, features, bank, start.params, estimator, clock)
        stage = replace(stage, show=media.show_transfers(config, pairs.valid[0], bank, encoders))
        state = run_stage(stage, workdir / "h", session, clock)
        save_controller(path, state.params, host.parameters.names, encoders, config)
        controller = read_controller(path, workdir / "encoders.safetensors")
        seen = features.train.z[features.train.valid > 0]
        experience = measure_experience(controller.settings(seen)[0], seen[:, : encoders.g.latent_dim])
        store_experience(path, experience)
        assert pairs.test is not None
        chosen = predict_clips(controller, pairs.test.dry, pairs.test.reference).unit_params
        results = evaluate_controller(pairs.test, bank, chosen, config.sample_rate, config.seed)
        store_results(path, {key: results[key] for key in SHOWN})
        index = typical_pair(results)
        caption, settings = pair_caption(results, index), chosen[index : index + 1]
        media.save_picture(workdir / "result.png", pairs.test, index, bank, settings, config.sample_rate, caption)
        if bank.failures.count:
            lost = f"{bank.failures.count} renders failed and were left out, last: {bank.failures.last[-1]}"
            session.console.print(f"warning: {lost}", style="yellow", markup=False)
    write_json(workdir / "results.json", results)
    return results


def list_skipped(corpus: Corpus, folder: Path, console: Console) -> None:
    """Says how many files cannot be used, and of which kind most are; all of them, with reasons, stand in a file."""
    if not corpus.skipped:
        return
    path = folder / "skipped.txt"
    write_text(path, "".join(f"{item.path}\t{item.reason}\n" for item in corpus.skipped))
    reason, count = Counter(re.split(r"[:(]", item.reason)[0].strip() for item in corpus.skipped).most_common(1)[0]
    text = f"{len(corpus.skipped)} files cannot be used ({count} of them: {reason}); listed in {path}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def next_commands(workdir: Path) -> str:
    """What to type after a run: to hear its controller, to store it, and to see its curves."""
    folder = shlex.quote(str(workdir))
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", workdir.absolute().name).strip("_-") or "mine"
    return "\n".join(
        [
            f"hear it:   dafxvae transfer take.wav reference.wav --controller {folder} -o out.wav --page",
            f"store it:  dafxvae controllers import {folder} --name my_{name}",
            f"curves:    tensorboard --logdir {folder}   (pip install tensorboard)",
            f"controller: {workdir / 'controller.safetensors'}",
        ]
    )


def train_and_evaluate(config: Config, workdir: Path, console: Console | None = None) -> dict[str, Any]:
    """Runs or resumes the whole job of a resolved configuration.

    Args:
        config: of `dafxvae.config.resolve_preset`.
        workdir: holds everything: config, checkpoints, TensorBoard's files, weights, results.
        console: what is said goes there.

    Returns:
        The results of `dafxvae.runs.results.evaluate_controller`; empty when the config names no effect.

    Raises:
        UserError: bad input; the message says what to change.
        Stopped: on Ctrl-C or SIGTERM, after saving; the same call goes on.
    """
    check_config(config)
    workdir = user_path(workdir)
    check_run(config, workdir)
    if config.effect:
        with build.build_bank(config, [config.effect]) as bank:  # what cannot be opened, before f and g are trained
            known_curves(bank.hosts[0], config.h.lfo.rate, ())
    with open_session(config, workdir, ("f", "g", "h"), console) as (session, folder):
        corpus = build.build_corpus(config)
        session.console.print(f"audio: {corpus.minutes:.1f} minutes in {len(corpus.tracks)} recordings")
        list_skipped(corpus, folder, session.console)
        encoders = ensure_encoders(config, folder, corpus, session)
        results: dict[str, Any] = {}
        if config.effect:
            config = with_useful_parameters(config, folder, session.console)
            results = train_controller(config, folder, corpus, encoders, session)
            session.console.print(results_table(results))
            session.console.print(verdict(results))
            session.console.print(learnt_table(results))
            session.console.print(next_commands(workdir), markup=False, highlight=False, soft_wrap=True)
        for skipped in corpus.skipped:
            session.console.print(f"skipped {skipped.path}: {skipped.reason}", style="yellow", markup=False)
    return results
