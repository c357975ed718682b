"""The job "digits": train a clip-level VAE on spoken digits, score it, and write sounds."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from dafxvae.config import Config
from dafxvae.core.files import write_json
from dafxvae.core.paths import cache_dir
from dafxvae.core.rng import stream_id
from dafxvae.digits.accuracy import evaluate_digits, scores_table
from dafxvae.digits.corpus import Digits, fixed_batches, open_digits, train_batches
from dafxvae.digits.elbo import make_digit_objective
from dafxvae.digits.inference import DigitVAE, build_digit_vae, load_digit_vae, save_digit_vae
from dafxvae.digits.media import show_some, write_all
from dafxvae.digits.model import ClipVAE
from dafxvae.runs.preparation import open_session
from dafxvae.runs.values import check_run
from dafxvae.training import parallel
from dafxvae.training.clock import Clock
from dafxvae.training.stage import Show, Stage, run_stage
from dafxvae.training.state import TrainState, create_state, lower_rate, make_optimizer
from dafxvae.training.steps import make_eval_step, make_train_step
from dafxvae.training.writer import MetricWriter, open_writer
from dafxvae.types import DigitBatch

STAGE = "digits"
MIN_DEVIATION = 0.2  # of the natural logarithm: bins that hold nothing but the floor are not blown up
EVAL_BATCH = 64


def open_configured(config: Config) -> Digits:
    """The digits of a configuration, made or prepared at first use."""
    part = config.digits
    return open_digits(
        config.data.folder,
        sample_rate=config.sample_rate,
        clip_samples=part.clip_samples,
        synthesiser=part.synthesiser,
        num_speakers=part.num_speakers,
        num_takes=part.num_takes,
        seed=config.seed,
        cache=cache_dir() / "corpora",
    )


def _constants(vae: ClipVAE, variables: Any, train: Digits) -> dict[str, jax.Array]:
    """Mean and deviation of the log-magnitudes of each bin over the training clips: fixed from then on."""
    raw = DigitVAE(vae, variables, train.sample_rate, 0)
    sums = np.zeros((3, vae.num_bins))
    for batch in fixed_batches(train, EVAL_BATCH):
        data = raw.log_magnitude(batch.audio[batch.valid > 0]).astype(np.float64)
        sums += [np.full(vae.num_bins, data.shape[0] * data.shape[1]), data.sum((0, 1)), (data**2).sum((0, 1))]
    count, mean = sums[0], sums[1] / sums[0]
    deviation = np.maximum(np.sqrt(np.maximum(sums[2] / count - mean**2, 0.0)), MIN_DEVIATION)
    return {"log_mean": jnp.asarray(mean, jnp.float32), "log_deviation": jnp.asarray(deviation, jnp.float32)}


def build_digit_stage(config: Config, digits: Digits, num_devices: int) -> Stage:
    """The one stage of the job; its frozen part holds the constants of the network."""
    part, vae = config.digits, build_digit_vae(config.digits)
    train, valid = digits.split("train"), digits.split("valid")
    key = jax.random.fold_in(jax.random.key(config.seed), stream_id(f"{STAGE}/init"))
    variables = jax.jit(vae.init)(key, jnp.zeros((1, vae.clip_samples, 1)), key[None])
    frozen = {"constants": _constants(vae, variables, train)}
    optimizer, objective = make_optimizer(part), make_digit_objective(vae, part.beta)

    def batches(start: int) -> Iterator[DigitBatch]:
        made = train_batches(
            train, batch_size=part.batch_size, max_shift=part.max_shift_samples, seed=config.seed, start=start
        )
        yield from map(parallel.own_share, made)

    return Stage(
        name=STAGE,
        state=create_state(variables["params"], optimizer),
        frozen=frozen,
        train_step=make_train_step(objective, optimizer, config.seed, f"{STAGE}/train", config.accumulate[STAGE]),
        eval_step=make_eval_step(objective, config.seed, f"{STAGE}/valid"),
        batches=batches,
        valid=fixed_batches(valid, -(-min(EVAL_BATCH, len(valid.digit)) // num_devices) * num_devices),
        num_steps=part.num_steps,
        config_text=f"```\n{config}\n```",
        remedy=lower_rate(config, STAGE),
        show=_show(config, vae, frozen, valid),
        open_writer=partial(open_writer, config=config),
    )


def _show(config: Config, vae: ClipVAE, frozen: Any, valid: Digits) -> Show:
    def show(state: TrainState, writer: MetricWriter) -> None:
        model = DigitVAE(
            vae, {"params": state.params, **frozen}, config.sample_rate, config.digits.griffin_lim_iterations
        )
        show_some(model, valid, config, int(state.step), writer)

    return show


def train_digits(config: Config, workdir: Path, console: Console | None = None) -> dict[str, Any]:
    """Runs or resumes the job of a resolved configuration.

    Args:
        config: of `dafxvae.config.resolve_preset`.
        workdir: holds everything: config, checkpoints, TensorBoard's files, weights, results, sounds.
        console: what is said goes there.

    Returns:
        The results of `dafxvae.digits.accuracy.evaluate_digits`.

    Raises:
        UserError: bad input; the message says what to change.
        Stopped: on Ctrl-C or SIGTERM, after saving; the same call goes on.
    """
    check_run(config, workdir)
    build_digit_vae(config.digits)  # says what is wrong before anything is made
    with open_session(config, workdir, (STAGE,), console) as (session, folder):
        digits = open_configured(config)
        speakers = len(set(digits.speaker.tolist()))
        session.console.print(f"digits: {len(digits.digit)} by {speakers} speakers, {digits.source}", markup=False)
        stage = build_digit_stage(config, digits, parallel.num_shards(session.devices))
        state = run_stage(stage, folder / STAGE, session, Clock())
        path = folder / "digit_vae.safetensors"
        save_digit_vae(path, {"params": state.params, **jax.device_get(stage.frozen)}, config)
        vae, test = load_digit_vae(path), digits.split("test")
        results = evaluate_digits(vae, digits.split("train"), test, config.seed)
        first = parallel.is_first_process()
        with closing(open_writer(folder / STAGE, config) if first else MetricWriter()) as writer:
            sounds = write_all(vae, test, config, folder, stage.num_steps, writer)
        write_json(folder / "results.json", results)
        session.console.print(scores_table(results))
        where = f"{folder / 'audio'}, spectrograms: {folder / 'result.png'}"
        session.console.print(f"{len(sounds)} sounds: {where}", markup=False)
        for skipped in digits.skipped:
            session.console.print(f"skipped {skipped.path}: {skipped.reason}", style="yellow", markup=False)
    return results
