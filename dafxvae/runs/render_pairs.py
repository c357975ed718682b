"""Write the training pairs of a run ahead: `dafxvae data render --config NAME --num_pairs N --out DIR`."""

from collections.abc import Sequence

from absl import flags
from rich.console import Console

from dafxvae.core.errors import UserError
from dafxvae.core.paths import user_path
from dafxvae.data.pairs.prerendered import render_pairs
from dafxvae.runs import build, stage_pairs
from dafxvae.runs.options import read_options
from dafxvae.runs.unused import check_rendered
from dafxvae.runs.values import check_values

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


def _define_options(values: flags.FlagValues) -> None:
    flags.DEFINE_integer("num_pairs", 1024, "How many pairs.", lower_bound=1, flag_values=values)
    flags.DEFINE_string("out", None, "Folder of the pairs.", flag_values=values)
    flags.DEFINE_enum("stage", "h", STAGES, "Whose training pairs: h has one effect.", flag_values=values)
    flags.DEFINE_string("shard", "0/1", "i/n: the i-th of n parts, from 0 on; by n jobs.", flag_values=values)


def render_main(arguments: Sequence[str], console: Console) -> None:
    """Parses the command line and renders; the same command again goes on where it was interrupted.

    Raises:
        UserError: an unknown option or key, a missing file, other pairs in the folder, a full disk.
    """
    if "--help" in arguments or "-h" in arguments:
        values = flags.FlagValues()
        _define_options(values)
        console.print(f"{__doc__}\n\n{values.get_help(include_special_flags=False)}", markup=False, highlight=False)
        return
    config, _, given, keys = read_options(arguments, _define_options)
    check_rendered(config, keys, given.stage)
    check_values(config)
    if given.out is None:
        raise UserError("give --out DIR, the folder of the pairs")
    folder, own, job = user_path(given.out), given.stage == "h", parse_job(given.shard)
    if own and not config.effect:
        raise UserError("--config names no effect, whose pairs --stage h has: give --config.effect, or --stage f or g")
    with build.build_bank(config, [config.effect]) if own else build.build_pretraining_bank(config) as bank:
        pairs = stage_pairs.build_train_pairs(config, given.stage, build.build_corpus(config), bank, SHARD_PAIRS)
        rendered = render_pairs(pairs, given.num_pairs, folder, job=job)
        console.print(f"{rendered} pairs rendered into {folder}", markup=False, highlight=False, soft_wrap=True)
        console.print(", ".join(f"{name} {count}" for name, count in sorted(pairs.counts.items())))
