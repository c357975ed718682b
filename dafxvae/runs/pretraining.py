"""The frozen f and g of a run: the workdir's own, stored ones, or newly trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from dafxvae.config import Config
from dafxvae.controllers.encoders import load_encoders, save_encoders
from dafxvae.core.differences import check_same, flatten
from dafxvae.core.paths import stored_encoders_path
from dafxvae.data.corpora.corpus import Corpus
from dafxvae.models.networks import Encoders
from dafxvae.runs import build, media, stage_pairs
from dafxvae.runs.unused import pretraining_choices
from dafxvae.training.clock import Clock
from dafxvae.training.parallel import all_have
from dafxvae.training.session import Session
from dafxvae.training.stage import run_stage


def check_encoders(encoders: Encoders, config: Config, path: Path) -> None:
    """Raises UserError when stored f and g are not the ones that the configuration describes."""
    asked = {"sample_rate": config.sample_rate, "f": config.f.to_dict(), "g": config.g.to_dict()}
    asked = flatten(asked) | pretraining_choices(config)
    stored = flatten(encoders.metadata)
    fix = "give --config.pretrained another name to train new ones, or leave these settings alone"
    what = f"the stored f and g at {path} differ from the configuration"
    check_same(asked, {key: stored.get(key) for key in asked}, what, fix)


def ensure_encoders(config: Config, workdir: Path, corpus: Corpus, session: Session) -> Encoders:
    """f and g: the workdir's, else the stored ones of the config's name, else trained now and stored by that name."""
    path, stored = workdir / "encoders.safetensors", stored_encoders_path(config.pretrained)
    pretraining_alone = not config.effect
    if not all_have(path.exists()) and all_have(stored.exists()) and not pretraining_alone:
        session.console.print(f"f and g: using {stored}", markup=False, highlight=False, soft_wrap=True)
        encoders = load_encoders(stored)
        check_encoders(encoders, config, stored)
        save_encoders(path, encoders.variables, encoders.metadata)
    if not all_have(path.exists()):
        variables, metadata = pretrain(config, workdir, corpus, session)
        save_encoders(stored, variables, metadata)
        save_encoders(path, variables, metadata)
        session.console.print(f"f and g: stored at {stored}", markup=False, highlight=False, soft_wrap=True)
    return load_encoders(path)


def pretrain(config: Config, workdir: Path, corpus: Corpus, session: Session) -> tuple[dict[str, Any], dict[str, Any]]:
    """Stages f and g on the bank of effects; returns their variables and metadata."""
    with build.build_pretraining_bank(config) as bank:
        pairs = stage_pairs.build_pairs(config, "f", corpus, bank, workdir)
        stage, constants = build.build_encoder_stage(config, pairs, bank, check=bank.failures.check)
        stage = replace(stage, show=media.show_reconstructions(config, pairs.valid[0], constants))
        state = run_stage(stage, workdir / "f", session, Clock(bank))
        f_variables = {"params": state.params["f"], "constants": jax.device_get(constants)}
        pairs = stage_pairs.build_pairs(config, "g", corpus, bank, workdir)
        pairs = stage_pairs.encode_stage_pairs(config, pairs, bank, f_variables, workdir / "pairs" / "g_encoded.npz")
        stage, constants = build.build_controller_stage(config, pairs, bank)
        state = run_stage(stage, workdir / "g", session, Clock())
        g_variables = {"params": state.params, "constants": jax.device_get(constants)}
        return {"f": f_variables, "g": g_variables}, build.describe_encoders(config, bank)
