"""Which parameters of an effect a run controls: those of a plugin are examined first."""

from pathlib import Path
from typing import Any

from rich.console import Console

from dafxvae.config import Config, with_values
from dafxvae.core.files import read_json, stored_file, write_json
from dafxvae.effects.check import check_audio
from dafxvae.effects.factory import open_host
from dafxvae.effects.spec import format_chain, parse_chain
from dafxvae.effects.usefulness import advise_chain

FILE = "parameters.json"  # in the workdir


def with_useful_parameters(config: Config, folder: Path, console: Console) -> Config:
    """A configuration whose effect controls what is worth it: the parameters of plugins that nobody has chosen.

    What does nothing, bypasses or mutes is held, and ranges end where the output is silent or extreme
    (`dafxvae.effects.usefulness`). The result is stored, so that a resumed run controls the same.

    Args:
        config: resolved, with an effect.
        folder: of the process, in the workdir.
        console: says what is held or narrowed, and why.
    """
    asked, path = format_chain(parse_chain(config.effect)), folder / FILE
    stored = dict[str, Any]()
    if path.is_file():
        with stored_file(path, "remove it, and the parameters are examined again"):
            stored = {key: read_json(path)[key] for key in ("asked", "effect", "notes")}
    if stored.get("asked") != asked:
        with open_host(asked, num_workers=config.num_workers or None) as host:
            advised = advise_chain(host, check_audio(config.sample_rate, config.sample_rate), config.sample_rate)
        stored = {"asked": asked, "effect": format_chain(advised.chain), "notes": list(advised.notes)}
        write_json(path, stored)
    for note in stored["notes"]:
        console.print(note, markup=False, highlight=False)
    if stored["effect"] == asked:
        return config
    console.print(f"controlled: {stored['effect']} (name parameters in the effect to choose them)", markup=False)
    return with_values(config, {"effect": stored["effect"]})
