"""Messages between a plugin process and its parent: a pipe for text, shared memory for audio."""

import mmap
import pickle
import struct
from typing import Any

import numpy as np

LENGTH = struct.Struct("<Q")
HEADER_BYTES = 64  # the first int32: which unit of the chain is being rendered; then the input, then the output


def views(memory: mmap.mmap, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Input and output of a render in the shared memory, float32 `[T, C]` each."""
    count = shape[0] * shape[1]
    source = np.frombuffer(memory, np.float32, count, HEADER_BYTES).reshape(shape)
    rendered = np.frombuffer(memory, np.float32, count, HEADER_BYTES + 4 * count).reshape(shape)
    return source, rendered


def send(stream: Any, message: Any) -> None:
    """Writes one message, its length first."""
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def receive(stream: Any) -> Any:
    """Reads one message.

    Raises:
        EOFError: the other side is gone.
    """
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    return pickle.loads(stream.read(LENGTH.unpack(head)[0]))
