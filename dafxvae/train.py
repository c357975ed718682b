"""Train a controller for an effect: pairs of recordings are rendered through it, and h learns its settings from them.

dafxvae train --config reverb
dafxvae train --config vst3 --config.effect='/usr/lib/vst3/ZamComp.vst3(threshold_db, ratio=2..8)'

The same command again resumes. At the end stand the controller's scores on held-out recordings, the settings that it
has learnt, and the commands to hear and store it.
"""

import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags, logging
from rich.console import Console

from dafxvae.config import Config, base_config
from dafxvae.core.command_line import prepare_jax, run_cli
from dafxvae.core.differences import flatten
from dafxvae.core.paths import user_path
from dafxvae.effects.spec import parse_chain
from dafxvae.runs.options import CommandLine, packaged_configs, read_options
from dafxvae.runs.values import check_run

KEYS = {  # those that people change
    "effect": "'Compressor(threshold_db, ratio=2..8) | Reverb', a path.vst3: see `dafxvae effects`",
    "data.folder": "your recordings, with all folders below; without it, pieces that dafxvae composes",
    "data.with_embedded": "the composed pieces in addition to your folder",
    "data.minutes": "of composed pieces",
    "data.mode": "where the reference comes from",
    "seed": "of everything that is drawn",
    "preset": "smoke: every step in a minute, to see that it works",
    "clip_samples": "length of the clips that are compared",
    "num_channels": "2 for effects of stereo",
    "h.num_pairs": "pairs whose settings are learnt: more is better, and takes longer",
    "h.num_audio_pairs": "of them, those that are compared by ear, through the effect",
    "h.num_steps": "steps through the effect",
    "h.batch_size": "pairs of a step",
    "h.learning_rate": "of these steps",
    "h.widths": "of h's layers",
    "h.descriptors": "measures of the reference: echoes for delays, lfo for choruses",
    "h.settings_weight": "of the known settings beside the sound",
    "estimator.name": "how the gradient of the effect is estimated: docs/gradients.md",
    "pretrained": "f and g: the package's, or a name of your own",
    "pretrain": "train f and g where there are none of that name",
    "eval.num_test_pairs": "pairs that the finished controller is tested on",
    "num_workers": "renders at once; 0: one for each core",
}


def _help_text() -> str:
    """What the job does, the options, and the keys that people change."""
    usual = flatten(base_config().to_dict())
    lines = [f"  {f'--config.{key}={usual[key]}':<36} {summary}" for key, summary in KEYS.items()]
    return "\n".join(
        [
            "usage: dafxvae train --config NAME_OR_FILE [--workdir DIR] [--config.KEY=VALUE ...]",
            "",
            str(__doc__).strip(),
            "",
            f"  --config NAME_OR_FILE  one of {', '.join(packaged_configs())},",
            "                         or a file with get_config()",
            "  --workdir DIR          everything of the run (runs/NAME when left out, or runs/EFFECT)",
            "",
            "keys that people change, with the values of the base configuration:",
            *lines,
            "",
            f"all {len(usual)} keys: dafxvae/config.py; a value that one cannot have is refused with those that it can",
        ]
    )


def _define_workdir(values: flags.FlagValues) -> None:
    flags.DEFINE_string("workdir", None, "Holds everything of the run.", flag_values=values)


def main(words: Sequence[str] | None = None) -> None:
    """Resolves a command line and runs the job.

    Raises:
        UserError: an unknown option or key, a missing file, a value that no run can have, an option without an effect.
    """
    given = list(sys.argv[1:] if words is None else words)
    if {"-h", "--help", "--helpfull"} & set(given):
        print(_help_text())  # noqa: T201
        return
    prepare_jax()
    logging.set_verbosity(logging.ERROR)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the run takes it over: there is nothing to save yet
    options = read_options(given, _define_workdir)
    workdir = user_path(options.flags.workdir or f"runs/{name_run(options)}")
    check_run(options.config, workdir)
    run(options.config, workdir)


def name_run(options: CommandLine) -> str:
    """Of the configuration, or of the effects where they were given by hand; and of the preset."""
    config, name = options.config, options.name
    if config.effect and "effect" in options.keys:
        name = "_".join(re.sub(r"[^A-Za-z0-9-]+", "_", effect.label) for effect in parse_chain(config.effect))
    return name if config.preset == "default" else f"{name}_{config.preset}"


def run(config: Config, workdir: Path) -> None:
    """Runs the job until its end or until a signal stops it: Ctrl-C exits with code 130, SIGTERM with 0."""
    from dafxvae.runs.jobs import run_job  # imports jax, which must come after the environment is set
    from dafxvae.training.parallel import ending_together, join_processes
    from dafxvae.training.signals import Stopped

    join_processes()

    console = Console(stderr=True)
    try:
        with ending_together():
            run_job(config, workdir, console)
    except Stopped as stopped:
        console.print(f"stopped by {stopped}; saved in {workdir}: the same command goes on from there")
        sys.exit(130 if stopped.signal_number == signal.SIGINT else 0)


if __name__ == "__main__":
    run_cli(main)
