"""The command line of jobs: `--config NAME_OR_FILE --config.KEY=VALUE`, checked before jax is imported."""

from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import NamedTuple

from absl import flags
from ml_collections import config_flags

from dafxvae import configs
from dafxvae.config import Config, resolve_preset
from dafxvae.core.errors import UserError, unknown_name
from dafxvae.core.paths import user_path
from dafxvae.runs.unused import check_used
from dafxvae.runs.values import OPEN_PART, check_key, refused_value

FAILURES = (flags.Error, OSError, AttributeError, KeyError, TypeError, ValueError, SyntaxError)


class CommandLine(NamedTuple):
    """A parsed command line of a job."""

    config: Config  # resolved
    name: str  # of the configuration's file
    flags: flags.FlagValues  # the other options
    keys: Set[str]  # dotted, that the user has set by hand


def packaged_configs() -> dict[str, Path]:
    """The configurations that come with the package, by name."""
    folder = Path(configs.__path__[0])
    return {path.stem: path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"}


def find_config(text: str) -> Path:
    """The file of a configuration: a path, or the name of one of the package's ("reverb" or "configs/reverb.py").

    Raises:
        UserError: there is none; with the nearest names.
    """
    path, own = user_path(text), packaged_configs()
    if path.is_file():
        return path
    is_packaged = path.parent == Path("configs") if path.suffix == ".py" else path.name == text
    if is_packaged and path.stem in own:
        return own[path.stem]
    error = unknown_name("configuration", text, own)
    raise UserError(f"{error} (or give the path of a file with get_config())")


def read_options(words: Sequence[str], define: Callable[[flags.FlagValues], object]) -> CommandLine:
    """Parse a command line, and resolve its configuration.

    Args:
        words: without the program's name.
        define: declares the options beside `--config`.

    Raises:
        UserError: an unknown option, key or configuration, a value of the wrong type, an option without an effect.
    """
    argv, values = ["train", *_with_paths(words)], flags.FlagValues()
    holder = config_flags.DEFINE_config_file("config", None, "A configuration.", flag_values=values, sys_argv=argv)
    define(values)
    overrides = [word.removeprefix("--config.").partition("=") for word in words if word.startswith("--config.")]
    for key, _, _ in overrides:
        check_key(key)
    try:
        rest = values(argv)[1:]
        config = holder.value
        if config is not None:
            config.lock()  # a file that could not be read says so at the first look
    except FAILURES as error:
        for key, _, text in overrides:
            if f"--config.{key}=" in str(error):
                raise refused_value(key, text) from error
            if isinstance(error, KeyError | AttributeError) and key.startswith(OPEN_PART):
                raise UserError(f"--config.{key}: this configuration has no such loss; add it in a file") from error
        reason = str(error).strip().splitlines()[-1].strip()
        raise UserError(f"{reason}: see `dafxvae train --help`") from error
    if rest:
        raise UserError(f"unexpected arguments {rest}: options look like --config.seed=1")
    if config is None:
        raise UserError(f"no configuration: give --config and one of {', '.join(packaged_configs())}, or a file")
    given = config_flags.get_override_values(values["config"])
    config = resolve_preset(config, given)
    check_used(config, given)
    return CommandLine(config, Path(config_flags.get_config_filename(values["config"])).stem, values, given.keys())


def _with_paths(words: Sequence[str]) -> list[str]:
    """The words with the path of the configuration in the place of its name."""
    found, is_config = [], False
    for word in words:
        name, equals, text = word.partition("=")
        if is_config:
            word = str(find_config(word))
        elif name == "--config" and equals:
            word = f"--config={find_config(text)}"
        found.append(word)
        is_config = word == "--config"
    return found
