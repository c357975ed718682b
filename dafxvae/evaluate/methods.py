"""Every method on a batch of pairs: the settings that it chooses, and what they sound like."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dafxvae.controllers.controller import Controller
from dafxvae.core.errors import UserError
from dafxvae.core.rng import host_rng
from dafxvae.effects.bank import EffectBank, open_bank
from dafxvae.effects.host import EffectHost
from dafxvae.evaluate.learned import Learned, describe_clips
from dafxvae.evaluate.searches import SEARCHES, search
from dafxvae.metrics.rule_based import COMPRESSOR, rule_based
from dafxvae.runs.results import CONTROLLER, MEAN, NOTHING, RANDOM, RULES, RULES_KEPT, TRUE, mean_settings
from dafxvae.transfer.prediction import Prediction, predict_clips
from dafxvae.types import PairBatch

NEIGHBOUR, FOREST = "nearest neighbour", "random forest"
METHODS = (NOTHING, RANDOM, MEAN, RULES, RULES_KEPT, NEIGHBOUR, FOREST, CONTROLLER, *SEARCHES, TRUE)


@dataclass
class Tools:
    """A controller with its effect and the baselines; opened once for all its cells."""

    controller: Controller
    bank: EffectBank  # of its one effect
    compressor: EffectHost  # of the rule-based baseline
    mean: np.ndarray  # [K]
    learned: Learned | None = None

    @property
    def host(self) -> EffectHost:
        return self.bank.hosts[0]


def open_tools(controller: Controller, num_workers: int | None, seed: int, stack: ExitStack) -> Tools:
    """Opens a controller's effect and the baselines' compressor; `stack` closes them.

    Raises:
        UserError: the effect cannot be opened here, or has other parameters than the controller.
    """
    bank = stack.enter_context(open_bank([controller.effect], num_workers=num_workers))
    names = bank.hosts[0].parameters.names
    if names != controller.parameters:
        raise UserError(
            f"the controller of {controller.effect} predicts {', '.join(controller.parameters)}; here the effect "
            f"has {', '.join(names)}: train it again"
        )
    compressor = stack.enter_context(open_bank([COMPRESSOR], num_workers=num_workers)).hosts[0]
    return Tools(controller, bank, compressor, mean_settings(bank, host_rng(seed, "evaluate/mean")))


class MethodOutputs(NamedTuple):
    """Settings and sounds of every method on a batch."""

    settings: dict[str, np.ndarray]  # [B, K]; of the searches, of the first rows only
    outputs: dict[str, np.ndarray]  # [B, T, C] likewise
    num_search_failures: int


def choose_settings(tools: Tools, pairs: PairBatch, seed: int, num_searched: int) -> tuple[dict[str, np.ndarray], int]:
    """The settings of every method that chooses some, and how many renders failed in the searches."""
    count = len(pairs.dry)
    rngs = [host_rng(seed, "evaluate/random", int(item)) for item in pairs.item]  # by item: chunks do not matter
    settings = {
        RANDOM: np.concatenate([tools.bank.sample(rng, 1)[1] for rng in rngs]),
        MEAN: np.tile(tools.mean, (count, 1)),
    }
    if tools.learned is not None:
        timbre, encoding = describe_clips(tools.controller, pairs.dry, pairs.reference)
        settings[NEIGHBOUR] = tools.learned.neighbour(timbre)
        settings[FOREST] = tools.learned.forest(encoding)
    own = predict_clips(tools.controller, pairs.dry, pairs.reference)
    settings[CONTROLLER] = own.unit_params
    num_failed = 0
    if num_searched:
        dry, reference = pairs.dry[:num_searched], pairs.reference[:num_searched]
        found = search(tools.controller, tools.host, dry, reference, Prediction(*(x[:num_searched] for x in own)), seed)
        settings |= found.settings
        num_failed = found.num_failed
    settings[TRUE] = pairs.unit_params
    return settings, num_failed


def run_methods(tools: Tools, pairs: PairBatch, seed: int, num_searched: int = 0) -> MethodOutputs:
    """Every method on every pair.

    Args:
        tools: of the controller.
        pairs: B of them, whose recordings are finite.
        seed: of the random settings and the searches.
        num_searched: the first so many pairs are searched too.
    """
    settings, num_failed = choose_settings(tools, pairs, seed, num_searched)
    rate = tools.controller.sample_rate
    matched = rule_based(pairs.dry, pairs.reference, rate, tools.compressor)
    outputs = {NOTHING: pairs.dry, RULES: matched.to_reference, RULES_KEPT: matched.to_input}
    for name, values in settings.items():
        rows = len(values)
        outputs[name] = tools.bank.render(pairs.dry[:rows], pairs.effect[:rows], values, rate)
    return MethodOutputs(settings, {name: outputs[name] for name in METHODS if name in outputs}, num_failed)
