"""List, describe, render and check effects: Pedalboard's, VST3 plugins, and chains of them.

dafxvae effects show 'Reverb | Compressor'
dafxvae effects render in.wav out.wav 'Reverb(room_size, wet_level)' --set room_size=0.7
dafxvae effects check /usr/lib/vst3/ZamComp.vst3
"""

from functools import partial

from dafxvae.core.command_line import dispatch, run_cli
from dafxvae.effects.commands import COMMANDS

main = partial(dispatch, "dafxvae effects", __doc__, COMMANDS)

if __name__ == "__main__":
    run_cli(main)
