# %% [markdown]
# # Your own controller for an audio effect
#
# From installation to sound: a controller is trained for one effect on your recordings, and then gives one recording
# the style of another. Run the cells from top to bottom; the training cell, run again, goes on where it stopped.

# %% [markdown] tags=["gpu"]
# Choose a GPU first: *Runtime → Change runtime type*. f, g and h run on it. The effect is a program for the CPU and
# stays there: a training step sends it audio and settings and gets back what it renders.

# %% [markdown] tags=["tpu"]
# Choose a TPU first: *Runtime → Change runtime type*. f, g and h run on it. The effect is a program for the CPU and
# stays on the TPU's host: a training step sends it audio and settings, gets back what it renders, and waits for it.

# %% tags=["parameters"]
import os

PRESET = os.environ.get("DAFXVAE_PRESET", "default")  # "smoke" takes every step in minutes and learns next to nothing
SOURCE = ""  # what pip installs: a wheel, a folder, git+ADDRESS; empty: the checkout that this notebook lies in
EFFECT = "Reverb"  # or another effect, or a chain: "HighpassFilter | Compressor(threshold_db, ratio=2..8)"
WORKDIR = "runs/colab"
OVERRIDES = {}  # further keys of dafxvae/config.py, such as {"h.num_steps": 1000, "data.minutes": 10.0}

# %% [markdown]
# ## Installation

# %% tags=["gpu"]
JAX = "jax[cuda12]"

# %% tags=["tpu"]
JAX = "jax[tpu]"

# %%
import importlib
import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

if not list(importlib.metadata.distributions(name="dafxvae")):
    here = Path.cwd()
    checkouts = [folder for folder in (here, *here.parents) if (folder / "dafxvae" / "train.py").exists()]
    source = SOURCE or (str(checkouts[0]) if checkouts else "")
    if not source:
        raise SystemExit("no checkout of dafxvae around this notebook: set SOURCE in the cell of parameters")
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", source, JAX], check=True)
    importlib.invalidate_caches()

# %%
from dafxvae.core.command_line import prepare_jax

prepare_jax()  # before jax is imported: docs/running.md says why

# %%
import jax
from absl import logging
from IPython.display import Audio, Image, display

import dafxvae
from dafxvae.audio.io import read_audio, write_audio
from dafxvae.config import SMOOTH, controller_config, resolve_preset
from dafxvae.data.corpora.corpus import open_corpus
from dafxvae.data.corpora.files import find_audio
from dafxvae.reporting.page import wav_bytes
from dafxvae.reporting.pictures import jpeg_bytes, spectrogram_panels
from dafxvae.runs.loop import train_and_evaluate

logging.set_verbosity(logging.ERROR)
display(jax.devices())

# %% [markdown]
# ## Recordings
#
# Choose at least two files: the first becomes the input and the last the reference of the transfer below, and h is
# trained on all of them and on the embedded corpus. Without files, or outside Colab, rendered pieces stand in.

# %%
RECORDINGS = Path("recordings")
RECORDINGS.mkdir(exist_ok=True)
if importlib.util.find_spec("google") and importlib.util.find_spec("google.colab"):
    from google.colab import files

    for name, content in files.upload().items():
        (RECORDINGS / Path(name).name).write_bytes(content)
if not any(RECORDINGS.iterdir()):
    pieces = open_corpus(folder=None, sample_rate=44100, num_channels=1, minutes=1.0, seed=1, progress=False)
    for track in pieces.tracks[:3]:
        (RECORDINGS / f"{track.name}.flac").write_bytes(track.path.read_bytes())
recordings = find_audio(RECORDINGS).paths
display([str(path) for path in recordings])

# %% [markdown]
# ## Training
#
# f and g come with the package, pretrained and frozen; h is trained here, through the real effect. The smoke preset
# trains small ones of all three.

# %%
config = controller_config(EFFECT, SMOOTH)
config.preset = PRESET
config.data.folder = str(RECORDINGS)
config.data.with_embedded = True
config = resolve_preset(config)
with config.ignore_type():
    config.update_from_flattened_dict(OVERRIDES)
results = train_and_evaluate(config, Path(WORKDIR))

# %% [markdown]
# One pair of recordings that nothing was trained on, the one with the median result:

# %%
display(Image(filename=f"{WORKDIR}/result.png"))

# %% [markdown]
# ## Transfer

# %%
INPUT, REFERENCE = recordings[0], recordings[-1]
audio, sample_rate = read_audio(INPUT)
reference, _ = read_audio(REFERENCE, sample_rate)
with dafxvae.load_controller(WORKDIR) as style:
    result = style.transfer(audio, reference, sample_rate)
write_audio("output.wav", result.audio, sample_rate)
display(result.settings)

# %%
sounds = {"input": audio, "reference": reference, "output": result.audio}
for title, sound in sounds.items():
    display(title, Audio(data=wav_bytes(sound, sample_rate)))

# %%
display(Image(data=jpeg_bytes(spectrogram_panels(sounds, sample_rate))))

# %% [markdown]
# `output.wav` and the folder of the run are yours: `controller.safetensors` and `encoders.safetensors` in it are all
# that `python -m dafxvae.transfer INPUT REFERENCE --controller FOLDER -o OUT` needs. What comes with the package:

# %%
from dafxvae.controllers.names import stored_controllers

display(sorted(stored_controllers()))
