"""Rank stored controllers for an input and a reference by g's latent, before anything is rendered.

Each controller stores where g's latent of its training pairs lies (`dafxvae.controllers.experience`), so that a new one
is ranked beside the others without anything being trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dafxvae.controllers.encoders import load_encoders
from dafxvae.controllers.experience import Experience
from dafxvae.controllers.familiar import Familiar, familiar_of
from dafxvae.controllers.names import stored_controllers
from dafxvae.core.errors import UserError
from dafxvae.core.paths import SHIPPED, stored_encoders_path
from dafxvae.core.weights import fingerprint, load_weights
from dafxvae.effects.kinds import BUILTIN_KINDS
from dafxvae.effects.spec import parse_chain
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.transfer import recordings
from dafxvae.transfer.amount import strength_of
from dafxvae.transfer.aspects import missing_kinds
from dafxvae.transfer.prediction import pair_features
from dafxvae.transfer.windows import WindowFormat, read_windows

WINDOW = 65536  # samples at the encoders' rate
POOLED = 0.7  # share of the covariance of all controllers in that of each
RIDGE = 0.05  # of its diagonal
FREEDOM = 3.0  # degrees of freedom of Student's t: an unusual recording is unlike every controller's
TEMPERATURE = 4.0  # of the shares; chosen like the others on validation recordings
SHOWN = 0.01  # shares below it are not named


@dataclass(frozen=True)
class Ranking:
    """Stored controllers for one input and reference, the best first."""

    shares: Mapping[str, float]  # name to predicted fit: how likely the reference was made by its effect; they sum to 1
    untouched: float  # how likely nothing was done to the reference
    is_input: bool  # the reference is the input itself
    left_out: tuple[str, ...]  # stored controllers that cannot be compared

    @property
    def best(self) -> str:
        """The name of the best."""
        return next(iter(self.shares))

    @property
    def sentence(self) -> str:
        """The ranking in a line."""
        shown = [f"{name} {share:.0%}" for name, share in self.shares.items() if share >= SHOWN]
        return ", ".join(shown)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know."""
        found = []
        if self.is_input:
            found.append("the reference is the input itself: no controller fits better than another")
        elif self.untouched > 0.5:
            found.append("the reference sounds as if nothing had been done to it: no controller may be wanted")
        if self.left_out:
            names = ", ".join(self.left_out)
            found.append(f"not ranked, for another f and g or an older version trained them: {names}")
        return tuple(found)

    def document(self) -> dict[str, Any]:
        """As the settings of a transfer hold it."""
        found = {"shares": dict(self.shares), "untouched": self.untouched, "left_out": list(self.left_out)}
        return {"ranking": found}


def log_likelihoods(latent: np.ndarray, experiences: Sequence[Experience], num_pooled: int) -> np.ndarray:
    """How likely each one's pairs have this latent, `[N]`; up to a constant.

    Args:
        latent: g's, `[Z]`.
        experiences: N; their latents' means and covariances are used.
        num_pooled: the covariances of so many, the first, are pooled.
    """
    size = len(latent)
    pooled = np.mean([one.latent_covariance for one in experiences[:num_pooled]], axis=0, dtype=np.float64)
    found = []
    for one in experiences:
        covariance = (1.0 - POOLED) * one.latent_covariance + POOLED * pooled
        covariance += RIDGE * np.diag(np.diag(covariance)) + 1e-6 * np.eye(size)
        away = latent - one.latent_mean
        distance = away @ np.linalg.solve(covariance, away)
        found.append(-0.5 * (np.linalg.slogdet(covariance)[1] + (FREEDOM + size) * np.log1p(distance / FREEDOM)))
    return np.array(found)


def rank_latent(
    latent: np.ndarray, experiences: Mapping[str, Experience], familiar: Familiar
) -> tuple[dict[str, float], float]:
    """Shares of controllers for g's latent of a pair `[Z]`, the best first, and that of an unprocessed reference."""
    untouched = Experience(np.zeros(0), np.zeros(0), np.zeros(1), familiar.latent_mean, familiar.latent_covariance)
    likelihoods = log_likelihoods(latent, [*experiences.values(), untouched], len(experiences)) / TEMPERATURE
    shares = np.exp(likelihoods - likelihoods.max())
    among, names = shares[:-1] / shares[:-1].sum(), list(experiences)
    ranked = {names[i]: float(among[i]) for i in np.argsort(-among, kind="stable")}
    return ranked, float(shares[-1] / shares.sum())


def rank_recordings(
    source: recordings.Recording, references: Sequence[recordings.Recording], kinds: Sequence[str] = ()
) -> Ranking:
    """Rank all stored controllers over the package's f and g, the user's own among them.

    Args:
        source, references: what they are ranked for.
        kinds: of effects that each must have.

    Raises:
        UserError: bad input, or no stored controller can be ranked.
    """
    encoders = load_encoders(stored_encoders_path(SHIPPED), verify=False)
    own, found, left_out = fingerprint(encoders.variables), dict[str, Experience](), []
    have_kinds = set()
    for name, path in stored_controllers().items():
        stored = load_weights(path)
        if "experience" in stored.variables and stored.metadata["encoders"] == own:
            found[name] = Experience(**stored.variables["experience"])
            chain = parse_chain(stored.metadata["effect"])
            if not missing_kinds(["" if one.is_vst3 else BUILTIN_KINDS[one.name] for one in chain], kinds):
                have_kinds.add(name)
        else:
            left_out.append(name)
    if not found:
        raise UserError("no stored controller can be ranked: name one (`dafxvae controllers list`)")
    if not have_kinds:
        raise UserError(
            f"no controller has effects for {', '.join(dict.fromkeys(kinds))} together: ask for fewer kinds at a time"
        )
    for one in (source, *references):
        recordings.check_header(one)
    form = WindowFormat(WINDOW, encoders.metadata["sample_rate"], 1)
    dry, *others = [
        read_windows(one, recordings.scan(one, with_loudness=False).levels_db, form) for one in (source, *references)
    ]
    features = pair_features(FeatureExtractor(encoders, form.sample_rate), lambda rows: rows.mean(axis=-2), dry, others)
    familiar = familiar_of(encoders)
    assert familiar is not None  # both come with the package
    shares, untouched = rank_latent(features.combined, found, familiar)
    total = sum(shares[name] for name in have_kinds)
    return Ranking(
        {name: share / total for name, share in shares.items() if name in have_kinds},
        untouched,
        strength_of(features.combined, features.itself, encoders.g.latent_dim) == 0.0,
        tuple(left_out),
    )


def rank_controllers(
    audio: np.ndarray,
    reference: np.ndarray | Sequence[np.ndarray],
    sample_rate: int,
    *,
    reference_rate: int | None = None,
) -> Ranking:
    """Rank all stored controllers for a recording and its reference: `load_controller(ranking.best)` is the best.

    Args:
        audio: float `[T, C]` or `[T]` in [-1, 1], mono or stereo, at least .25 s.
        reference: one such array, or several.
        sample_rate: Hz, any.
        reference_rate: Hz of the references; None for `sample_rate`.

    Raises:
        UserError: audio that cannot be used, or no stored controller can be ranked.
    """
    rate = sample_rate if reference_rate is None else reference_rate
    source = recordings.ArrayRecording(audio, sample_rate, "the input")
    return rank_recordings(source, recordings.references_of(reference, rate))
