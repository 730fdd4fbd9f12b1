"""Checkpoints of PyTorch: read whole, or refused in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from device.errors import InputError


class Restorable(Protocol):
    """Whatever can go back to a state that it has saved."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to it."""


def restore(fitting: Restorable, file: Path) -> None:
    """Go back to the state in a checkpoint.

    Raises:
        InputError: the file was cut short, is no checkpoint, or is of another network.
    """
    state = read_saved(file)
    try:
        fitting.restore(state)
    except (AttributeError, KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{file} is of another network: begin the run again by --out") from error


def read_saved(file: Path) -> Any:
    """What `torch.save` wrote: tensors, numbers, texts, and lists and dicts of them.

    Raises:
        InputError: the file was cut short, or is none of PyTorch's.
    """
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        # Unpickling fails in as many ways as there are broken files; what PyTorch says advises to load it as code.
        raise InputError(f"{file} is damaged, or no checkpoint of PyTorch: begin the run again by --out") from error
