"""A rendering process of the embedded corpus: one JSON job a line on stdin, one JSON result a line on stdout."""

import json
import signal
import sys

from dafxvae.core.errors import UserError
from dafxvae.data.composer.pieces import store_piece


def main() -> None:
    """Serves jobs until stdin closes, be it by the parent's death; Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        try:
            result = store_piece(*json.loads(line))
        except UserError as error:
            result = {"error": str(error)}
        try:
            sys.stdout.write(json.dumps(result) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:  # the parent is gone
            return


if __name__ == "__main__":
    main()
