"""Which effect a transfer plays: one that is named, the stored controller that fits best, or a chain that is found."""

from argparse import Namespace
from typing import TYPE_CHECKING

from rich.console import Console

from dafxvae.audio.io import AudioReader
from dafxvae.controllers.names import AUTO, find_controller
from dafxvae.core.errors import UserError
from dafxvae.studio.palette import EFFORT, Palette, check_search
from dafxvae.transfer.files import warn
from dafxvae.transfer.results import Options

if TYPE_CHECKING:
    from dafxvae.studio.found_chain import FoundChain
    from dafxvae.transfer.api import StyleTransfer
    from dafxvae.transfer.ranking import Ranking

# What imports jax, which takes seconds, is imported where it is needed: after what a user may have got wrong.


def check_choice(arguments: Namespace) -> None:
    """Refuses options that do not go together in saying which effect, and with what settings.

    Raises:
        UserError: both a controller and an effect, one that there is not, an effect without a search, or what only one
            of them has.
    """
    is_named = arguments.controller is not None or arguments.effect is not None
    if arguments.controller is not None and arguments.effect is not None:
        raise UserError("--controller brings its own effect: leave --effect out, or --controller")
    if arguments.controller not in (None, AUTO):
        find_controller(arguments.controller)
    if arguments.effect is not None and not arguments.refine and not arguments.lock:
        raise UserError(
            "--effect has no controller: give the renders to search its settings by, --refine 200, or --lock them all"
        )
    for name in ("palette", "effort", "seed"):
        if is_named and getattr(arguments, name) is not None:
            raise UserError(f"--{name} is for finding a chain: leave it out, or --controller and --effect")
    for name in ("refine", "lock"):
        if not is_named and getattr(arguments, name):
            raise UserError(f"--{name}: the chain and its settings are found; name it with --controller or --effect")
    if not is_named:
        check_search(**_search_options(arguments))
        Palette.parse(arguments.palette).check()


def open_transfer(arguments: Namespace, found: "FoundChain | None") -> "StyleTransfer":
    """What the command line names, or what was found."""
    from dafxvae.transfer.api import load_controller, open_effect

    if found is not None:
        return open_effect(found.chain, found.settings)
    return open_effect(arguments.effect) if arguments.controller is None else load_controller(arguments.controller)


def find_effects(
    arguments: Namespace, source: AudioReader, references: list[AudioReader], options: Options, console: Console
) -> "FoundChain | None":
    """The chain where neither a controller nor an effect is named, and says what it is."""
    options.check_controller(arguments.controller)
    if arguments.controller is not None or arguments.effect is not None:
        return None
    from dafxvae.studio.match import find_chain

    with console.status("finding the effects"):
        found = find_chain(
            source,
            references,
            palette=Palette.parse(arguments.palette),
            **_search_options(arguments),
            weights=options.weights_of(len(references)),
        )
    console.print(found.sentence, markup=False, highlight=False, soft_wrap=True)
    if not found.effects:
        warn(console, ["nothing is changed; where you know better, name it: --controller auto, or one of the list"])
    return found


def _search_options(arguments: Namespace) -> dict[str, int]:
    """Effort and seed of the search for a chain."""
    given = {name: getattr(arguments, name) for name in ("effort", "seed")}
    return {"effort": EFFORT, "seed": 0} | {name: value for name, value in given.items() if value is not None}


def choose_controller(
    arguments: Namespace, source: AudioReader, references: list[AudioReader], options: Options, console: Console
) -> "Ranking | None":
    """Puts the best controller in the place of "auto", and shows the ranking; None where one is named."""
    if arguments.controller != AUTO or arguments.effect is not None:
        return None
    from dafxvae.transfer.ranking import rank_recordings

    ranking = rank_recordings(source, references, options.needed_kinds)
    console.print(f"controllers by predicted fit: {ranking.sentence}", highlight=False, soft_wrap=True)
    warn(console, ranking.notes)
    arguments.controller = ranking.best
    return ranking
