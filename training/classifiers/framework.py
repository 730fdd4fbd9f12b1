"""TensorFlow made quiet, repeatable and as wide as it is told, before anything else imports it."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

CHATTER = re.compile(
    rb"^(I0000 |\d{4}-\d\d-\d\d [\d:.]+: I |WARNING: All log messages before absl|To enable the following instructions)"
)
"""Lines of TensorFlow's start that inform of how it was built."""


def start_tensorflow(seed: int, threads: int | None = None) -> None:
    """Import TensorFlow and Keras, the same numbers each time: call it before any other module imports them.

    Args:
        seed: of weights, dropout and all else that Keras draws.
        threads: of one operation; None for as many as there are processors. On one thread a run gives the same
            weights to the bit, whatever else the machine does.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with without_chatter():
        if find_spec("triton"):
            # PyTorch's compiler and TensorFlow carry the same symbols: loaded second, it ends the process.
            import triton  # noqa: F401
        import keras
        import tensorflow

        if threads:
            try:
                tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
                tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
            except RuntimeError:  # Something was computed already: the first call in a process decides.
                pass
        tensorflow.config.experimental.enable_op_determinism()
        keras.utils.set_random_seed(seed)
        tensorflow.zeros(1)


@contextmanager
def without_chatter() -> Iterator[None]:
    """Hold back what C++ writes to stderr, and let through at the end all of it that is not `CHATTER`.

    TensorFlow's own switch comes too late for what is said while its libraries are loaded.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # No stderr at all.
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not CHATTER.match(line):
                    os.write(2, line)
