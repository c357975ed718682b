"""Corpora and pre-rendered pairs.

dafxvae data list                              what can be fetched
dafxvae data fetch train                       the corpora for training, to the data folder
dafxvae data stats songs                       minutes, rates and level of a folder
dafxvae data render --config reverb --num_pairs 20000 --out pairs
"""

from functools import partial

from dafxvae.core.command_line import dispatch, run_cli
from dafxvae.data.commands import COMMANDS

main = partial(dispatch, "dafxvae data", __doc__, COMMANDS)

if __name__ == "__main__":
    run_cli(main)
