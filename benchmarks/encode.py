"""How fast f and g encode; prints one JSON object. Ends within two minutes.

    python -m benchmarks.encode [ENCODERS]

Input and reference are encoded by f and g to one latent, on one core: the process is pinned to it, and XLA gets one
thread. Seconds of audio (both recordings) per second of the clock, medians of interleaved rounds: of each length in
`encode_realtime_by_sec`, of the slowest in `encode_realtime`.
"""

import os
import statistics
from functools import partial
from pathlib import Path

LENGTHS_SEC = (2.73, 10.0, 30.0)
ROUNDS = 15
# Before jax reads them: one core, one thread.
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.environ["NPROC"] = "1"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"

import numpy as np  # noqa: E402

from benchmarks.common import interleave, make_parser, print_json  # noqa: E402
from dafxvae.controllers.encoders import load_encoders  # noqa: E402
from dafxvae.core.paths import SHIPPED, stored_encoders_path  # noqa: E402
from dafxvae.models.extractor import FeatureExtractor  # noqa: E402


def main() -> None:
    """Compiles each length, then times them in turn."""
    parser = make_parser(__doc__)
    parser.add_argument("encoders", nargs="?", type=Path, default=stored_encoders_path(SHIPPED), help="*.safetensors")
    encoders = load_encoders(parser.parse_args().encoders)
    rate = encoders.metadata["sample_rate"]
    features = FeatureExtractor(encoders, rate).features
    rng = np.random.default_rng(0)
    clips = {
        seconds: (0.1 * rng.standard_normal((2, 1, round(seconds * rate), 1))).astype(np.float32)
        for seconds in LENGTHS_SEC
    }
    times = interleave({seconds: partial(features, *both) for seconds, both in clips.items()}, ROUNDS)
    by_length = {str(seconds): round(2 * seconds / statistics.median(each), 1) for seconds, each in times.items()}
    result = {
        "encode_realtime": min(by_length.values()),
        "encode_realtime_by_sec": by_length,
        "parameters": sum(leaf.size for leaf in _leaves(encoders.variables)),
        "cores": 1,
    }
    print_json(result, indent=None)


def _leaves(tree: dict) -> list[np.ndarray]:
    """The arrays of nested dictionaries."""
    return [leaf for node in tree.values() for leaf in (_leaves(node) if isinstance(node, dict) else [node])]


if __name__ == "__main__":
    main()
