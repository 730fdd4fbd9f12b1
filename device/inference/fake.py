"""An interpreter without a network: answers what it is told, and remembers what it was shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from device.datatypes import Image
from device.inference.manifest import InputSpec
from device.inference.tensors import Tensor, TensorInfo, pixel_writer


class FakeInterpreter:
    """For tests: gives `answers` whatever it sees.

    `inputs` holds a copy of each tensor that was invoked on; `answers` may be replaced between calls.
    """

    runtime = "fake"

    def __init__(
        self,
        spec: InputSpec,
        answers: Sequence[Tensor],
        *,
        input: TensorInfo | None = None,
        outputs: Sequence[TensorInfo] | None = None,
    ) -> None:
        """`input` defaults to int8 with scale 1/255 and zero point -128, `outputs` to what the answers are."""
        sides = (spec.height, spec.width)
        shape = (1, *sides, 3) if spec.layout == "NHWC" else (1, 3, *sides)
        self.input = input or TensorInfo(shape, np.dtype(np.int8), 1 / 255, -128)
        self.outputs = tuple(outputs or [TensorInfo(answer.shape, answer.dtype) for answer in answers])
        self.answers = tuple(answers)
        self.inputs: list[Tensor] = []
        self._write = pixel_writer(self.input, spec)
        self._buffer = np.zeros(self.input.shape, self.input.dtype)

    def write(self, square: Image) -> None:
        """See `Interpreter.write`."""
        self._write(square, self._buffer)

    def invoke(self) -> tuple[Tensor, ...]:
        """See `Interpreter.invoke`."""
        self.inputs.append(self._buffer.copy())
        return self.answers
