"""What all tests of training need: the frameworks loaded in an order in which they bear each other."""

import contextlib

# PyTorch's compiler and TensorFlow carry the same symbols: loaded second, it ends the process.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401
