"""Time and memory of a style transfer as one JSON object: `python -m benchmarks.transfer [--controller NAME] [--hour]`.

Without --controller h is random, over the f and g of the package. Cold: the command line, compilation included. Warm:
the second call in a process, scan, windows, render and level included.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import make_parser, print_json

RATE = 44100


def write_music(path: Path, seconds: int) -> None:
    """Stereo noise bursts and plucks, block by block, 16 bit."""
    import numpy as np

    from dafxvae.audio.io import audio_writer

    time_axis = np.arange(RATE) / RATE
    rng = np.random.default_rng(0)
    with audio_writer(path, RATE, 2, seconds * RATE, "PCM_16") as write:
        for second in range(seconds):
            tone = np.sin(2 * np.pi * (110 + 11 * (second % 40)) * time_axis) * np.exp(-4 * (time_axis % 0.25))
            noise = 0.05 * rng.standard_normal((RATE, 2))
            write((0.3 * tone[:, None] + noise).astype(np.float32))


def random_controller(path: Path, effect: str) -> None:
    """A controller that was never trained."""
    import jax
    import numpy as np

    from dafxvae.config import base_config
    from dafxvae.controllers.controller import save_controller
    from dafxvae.controllers.encoders import load_encoders
    from dafxvae.core.paths import SHIPPED, stored_encoders_path
    from dafxvae.effects.factory import open_host
    from dafxvae.models import networks

    config: Any = base_config()
    config.effect = effect
    encoders = load_encoders(stored_encoders_path(SHIPPED))
    with open_host(effect, num_workers=1) as host:
        names = host.parameters.names
    h = networks.build_h(config, len(names))
    params = jax.jit(h.init)(jax.random.key(0), np.zeros((1, config.g.latent_dim), np.float32))["params"]
    save_controller(path, params, names, encoders, config)


def measured(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Wall time and peak memory of a process."""
    start = time.perf_counter()
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as child:
        assert child.stderr is not None
        printed = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(printed.decode())
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "seconds": round(time.perf_counter() - start, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mib": round(usage.ru_maxrss * unit / 2**20),
    }


def warm(controller: str, source: Path, reference: Path) -> dict[str, float]:
    """Seconds of the second transfer in a process, and how many times faster than the audio plays."""
    from dafxvae.audio.io import AudioReader
    from dafxvae.transfer.api import load_controller
    from dafxvae.transfer.results import Options

    with AudioReader(source) as audio, AudioReader(reference) as style, load_controller(controller) as transfer:
        transfer.run(audio, [style], Options()).rendered.close()
        start, used = time.perf_counter(), time.process_time()
        transfer.run(audio, [style], Options()).rendered.close()
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - used
        length_sec = audio.frames / audio.sample_rate
    rate = round(length_sec / seconds, 1)
    return {"seconds": round(seconds, 2), "cpu_seconds": round(cpu_seconds, 2), "times_real_time": rate}


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__)
    parser.add_argument("--controller", default="")
    parser.add_argument("--effect", default="Reverb", help="of the random controller")
    parser.add_argument("--hour", action="store_true", help="also the peak memory for an hour of audio")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, reference = folder / "in.wav", folder / "ref.wav"
        write_music(source, 180)
        write_music(reference, 60)
        controller = arguments.controller or str(folder / "random.safetensors")
        if not arguments.controller:
            random_controller(Path(controller), arguments.effect)
        environment = {key: value for key, value in os.environ.items() if key != "JAX_COMPILATION_CACHE_DIR"}
        command = [sys.executable, "-m", "dafxvae.transfer", str(source), str(reference)]
        command += ["--controller", controller, "-o", str(folder / "out.wav")]
        results = {
            "audio": "180 s stereo 44.1 kHz",
            "effect": arguments.effect if not arguments.controller else controller,
            "cold": measured(command, environment),
            "warm": warm(controller, source, reference),
            "load": round(os.getloadavg()[0], 1),
        }
        if arguments.hour:
            write_music(source, 3600)
            results["hour"] = measured(command, environment)
    print_json(results)


if __name__ == "__main__":
    main()
