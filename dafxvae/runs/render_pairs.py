"""Write the training pairs of a run ahead: `python -m dafxvae.data render --config FILE --num_pairs N --out DIR`."""

from collections.abc import Sequence

from absl import flags
from ml_collections import config_flags
from rich.console import Console

from dafxvae.config import resolve_preset
from dafxvae.core.errors import UserError
from dafxvae.core.paths import user_path
from dafxvae.data.pairs.prerendered import render_pairs
from dafxvae.runs import build, stage_pairs
from dafxvae.runs.unused import check_rendered
from dafxvae.runs.values import check_pair_values

SHARD_PAIRS = 16
STAGES = ("h", "f", "g")


def parse_job(text: str) -> tuple[int, int]:
    """(i, n) of "i/n".

    Raises:
        UserError: it is not i/n with 0 <= i < n.
    """
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise UserError(f"--shard is {text!r}: give i/n with i from 0 to n - 1, such as --shard 3/16")
    return int(index), int(count)


def render_main(arguments: Sequence[str], console: Console) -> None:
    """Parses the command line and renders; the same command again goes on where it was interrupted.

    Raises:
        UserError: an unknown option or key, a missing file, other pairs in the folder, a full disk.
    """
    values = flags.FlagValues()  # of this call: a process may hold other commands' flags too
    argv = ["render", *arguments]
    holder = config_flags.DEFINE_config_file("config", None, "Config file.", flag_values=values, sys_argv=argv)
    number = flags.DEFINE_integer("num_pairs", 1024, "How many pairs.", lower_bound=1, flag_values=values)
    out = flags.DEFINE_string("out", None, "Folder of the pairs.", flag_values=values)
    stage = flags.DEFINE_enum("stage", "h", STAGES, "Whose training pairs: h has one effect.", flag_values=values)
    part = flags.DEFINE_string("shard", "0/1", "i/n: the i-th of n parts, from 0 on; by n jobs.", flag_values=values)
    if "--help" in arguments or "-h" in arguments:
        console.print(f"{__doc__}\n\n{values.get_help()}", markup=False, highlight=False)
        return
    try:
        rest = values(argv)[1:]
        config, given = None, {}
        if holder.value is not None:
            holder.value.lock()  # a file that could not be read says so at the first look
            given = config_flags.get_override_values(values["config"])
            config = resolve_preset(holder.value, given)
    except (flags.Error, OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise UserError(f"{reason}: see --help, and the keys in dafxvae/config.py") from error
    if rest or config is None or out.value is None:
        raise UserError(f"give --config FILE, --out DIR and --num_pairs N (arguments not understood: {rest})")
    check_rendered(config, given, stage.value)
    check_pair_values(config)
    own, job = stage.value == "h", parse_job(part.value)
    with build.build_bank(config, [config.effect]) if own else build.build_pretraining_bank(config) as bank:
        pairs = stage_pairs.build_train_pairs(config, stage.value, build.build_corpus(config), bank, SHARD_PAIRS)
        rendered = render_pairs(pairs, number.value, user_path(out.value), job=job)
        console.print(f"{rendered} pairs rendered into {out.value}", markup=False, highlight=False, soft_wrap=True)
        console.print(", ".join(f"{name} {count}" for name, count in sorted(pairs.counts.items())))
