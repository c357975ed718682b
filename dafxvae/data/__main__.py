"""Corpora and pre-rendered pairs.

python -m dafxvae.data list
python -m dafxvae.data fetch NAME...
python -m dafxvae.data stats FOLDER
python -m dafxvae.data render --config FILE --num_pairs N --out FOLDER
"""

from functools import partial

from dafxvae.core.command_line import dispatch, run_cli
from dafxvae.data.commands import COMMANDS

main = partial(dispatch, "python -m dafxvae.data", __doc__, COMMANDS)

if __name__ == "__main__":
    run_cli(main)
