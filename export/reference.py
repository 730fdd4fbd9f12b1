"""The float network behind the face that the device's detector expects, so that both are judged by the same code."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from device.datatypes import Image
from device.inference.tensors import Interpreter, Tensor, TensorInfo


class TorchInterpreter:
    """A network from [1, S, S, 3] float32 to the six heads: see `device.inference.interpreter.Interpreter`."""

    runtime = "torch, fp32"

    def __init__(self, network: nn.Module, size: int) -> None:
        self._network = network.eval()
        self._image = torch.zeros(1, size, size, 3)
        self.input = TensorInfo((1, size, size, 3), np.dtype(np.float32))
        self.outputs = tuple(TensorInfo(tuple(head.shape), np.dtype(np.float32)) for head in self._run())

    def _run(self) -> list[Tensor]:
        with torch.no_grad():
            return [head.contiguous().numpy() for head in self._network(self._image)]

    def write(self, square: Image) -> None:
        """See `Interpreter.write`."""
        self._image.copy_(torch.from_numpy(square)[None]).div_(255)

    def invoke(self) -> tuple[Tensor, ...]:
        """See `Interpreter.invoke`."""
        return tuple(self._run())


def real_heads(interpreter: Interpreter, square: Image) -> list[np.ndarray]:
    """The heads for a letterboxed picture as float32 numbers, whatever the file stores: six [H, W, C]."""
    interpreter.write(square)
    return [
        (head[0].astype(np.float32) - np.float32(info.zero_point)) * np.float32(info.scale)
        for head, info in zip(interpreter.invoke(), interpreter.outputs, strict=True)
    ]
