"""PyTorch's weight files as NumPy arrays, read by a process of its own: its compiler and TensorFlow's share symbols.

Loaded after TensorFlow, PyTorch's compiler (Triton) ends the process; so the two never meet in one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.errors import InputError

_CONVERT = """
import sys, numpy, torch
state = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
numpy.savez(sys.argv[2], **{name: value.numpy() for name, value in state.items()})
"""


def read_torch_weights(file: Path) -> dict[str, npt.NDArray[np.float32]]:
    """The arrays of a state dict, by name, in the file's order.

    Raises:
        InputError: it is no state dict.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "weights.npz"
        done = subprocess.run(
            [sys.executable, "-c", _CONVERT, str(file), str(target)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
            raise InputError(f"{file} cannot be read as PyTorch weights: {reason}")
        with np.load(target) as arrays:
            return {name: arrays[name] for name in arrays.files}
