"""Stored weights: safetensors files, which hold arrays and text and can never execute code."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dafxvae.core.differences import flatten
from dafxvae.core.errors import UserError
from dafxvae.core.files import write_bytes

FORMAT = 1


class StoredWeights(NamedTuple):
    """Content of a weights file."""

    variables: dict[str, Any]  # nested dict of numpy arrays
    metadata: dict[str, Any]  # JSON


def fingerprint(variables: Any) -> str:
    """SHA-256 over names, shapes, types and bytes of all arrays: equal exactly when the weights are."""
    digest = hashlib.sha256()
    for path, leaf in sorted(flatten(variables, separator="/").items()):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{path}{array.shape}{array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def save_weights(path: Path, variables: Any, metadata: dict[str, Any], *, half: bool = False) -> None:
    """Writes arrays and metadata to one file; whole or not at all, whenever the process dies.

    Args:
        path: `*.safetensors`; folders are made.
        variables: nested dict of arrays.
        metadata: anything JSON can hold.
        half: round float32 to float16, half the size; `load_weights` gives float32 again, so that storing what was
            loaded changes nothing.
    """
    leaves = flatten(variables, separator="/").items()
    flat = {name: np.ascontiguousarray(_stored(np.asarray(leaf), half)) for name, leaf in leaves}
    text = json.dumps(metadata | {"format": FORMAT, "fingerprint": fingerprint(flat)}, sort_keys=True)
    write_bytes(path, save(flat, metadata={"dafxvae": text}))


def load_weights(path: Path) -> StoredWeights:
    """Reads what `save_weights` wrote, and checks that it is unharmed.

    Raises:
        UserError: no such file, not a weights file, another format, or damaged.
    """
    if not path.is_file():
        raise UserError(f"no weights at {path}: check the path, or train them")
    try:
        with safe_open(path, framework="np") as file:
            header = file.metadata() or {}
            flat = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise UserError(f"{path} is not a readable safetensors file ({error}): restore it or train again") from error
    if "dafxvae" not in header:
        raise UserError(f"{path} was not written by dafxvae: name a file that dafxvae stored")
    metadata = json.loads(header["dafxvae"])
    if metadata.get("format") != FORMAT:
        raise UserError(f"{path} has format {metadata.get('format')}, this version reads {FORMAT}: train again")
    if fingerprint(flat) != metadata["fingerprint"]:
        raise UserError(f"{path} is damaged (its checksum does not match): restore it or train again")
    variables: dict[str, Any] = {}
    for name, leaf in flat.items():
        *folders, last = name.split("/")
        part = variables
        for folder in folders:
            part = part.setdefault(folder, {})
        part[last] = _loaded(leaf)
    return StoredWeights(variables, metadata)


def _stored(leaf: np.ndarray, half: bool) -> np.ndarray:
    if not half or leaf.dtype != np.float32:
        return leaf
    if np.abs(leaf).max(initial=0.0) > np.finfo(np.float16).max:
        raise ValueError(f"a weight of {np.abs(leaf).max():g} does not fit into float16: store it with half=False")
    return leaf.astype(np.float16)


def _loaded(leaf: np.ndarray) -> np.ndarray:
    return leaf.astype(np.float32) if leaf.dtype == np.float16 else leaf
