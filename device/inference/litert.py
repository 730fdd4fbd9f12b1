"""LiteRT: `ai-edge-litert`, or its predecessor `tflite-runtime` where only that is installed."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from device.datatypes import Image
from device.errors import InputError
from device.inference.manifest import InputSpec, ModelFile
from device.inference.tensors import Tensor, TensorInfo, pixel_writer


class LiteRTInterpreter:
    """One `.tflite` file, loaded.

    The runtime refuses to run while an array points into its memory, so views are made for each call
    (a microsecond) and none is kept.
    """

    def __init__(self, content: bytes, spec: InputSpec, file: ModelFile, *, threads: int, name: str) -> None:
        module, package = _runtime()
        try:
            with _without_greeting():
                self._model = module.Interpreter(model_content=content, num_threads=threads)
                self._model.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{package} refuses {name}: {_first_line(error)}; {_hint(package)}") from None
        [given] = self._model.get_input_details()
        found = self._model.get_output_details()
        self.input = _info(given)
        self._content = content  # The runtime reads weights from this memory for as long as it lives.
        order = file.outputs if file.outputs is not None else tuple(range(len(found)))
        if max(order, default=0) >= len(found):
            raise InputError(f"{name} has {len(found)} outputs; its manifest names number {max(order)}, from 0")
        self.outputs = tuple(_info(found[index]) for index in order)
        self.runtime = f"{package}, {file.precision}, {threads} thread{'s' if threads > 1 else ''}"
        self._write = pixel_writer(self.input, spec)
        self._input_view = self._model.tensor(given["index"])
        self._output_views = tuple(self._model.tensor(found[index]["index"]) for index in order)

    def write(self, square: Image) -> None:
        """See `Interpreter.write`."""
        self._write(square, self._input_view())

    def invoke(self) -> tuple[Tensor, ...]:
        """See `Interpreter.invoke`. Raises RuntimeError while arrays of the call before are held."""
        self._model.invoke()
        return tuple(view() for view in self._output_views)


def _runtime() -> tuple[ModuleType, str]:
    """The module with `Interpreter`, and its package's name."""
    try:
        from ai_edge_litert import interpreter as litert

        return litert, "ai-edge-litert"
    except ModuleNotFoundError:
        pass
    try:
        from tflite_runtime import interpreter as tflite

        return tflite, "tflite-runtime"
    except ModuleNotFoundError:
        raise InputError("no runtime for .tflite files: install ai-edge-litert (or tflite-runtime)") from None


@contextlib.contextmanager
def _without_greeting() -> Iterator[None]:
    """Keep the runtime's line about its CPU kernels off stderr; what others write meanwhile comes a moment later.

    It has no setting for that, and writes to the file descriptor.
    """
    sys.stderr.flush()
    with contextlib.ExitStack() as stack:
        saved = os.dup(2)
        stack.callback(os.close, saved)
        caught = stack.enter_context(os.fdopen(os.memfd_create("stderr"), "rb"))
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            caught.seek(0)
            os.write(2, b"".join(line for line in caught if not line.startswith(b"INFO: Created TensorFlow Lite")))


def _hint(package: str) -> str:
    """What would help."""
    if package == "tflite-runtime":
        return "tflite-runtime knows no newer operations: install ai-edge-litert, or set `model.runtime: onnxruntime`"
    return "the file is damaged or needs a newer runtime: make it again with `make export`"


def _first_line(error: Exception) -> str:
    """The error's first line, without the trailing full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(". ") if lines else type(error).__name__


def _info(details: dict[str, Any]) -> TensorInfo:
    """TensorInfo from the runtime's own description."""
    scale, zero_point = details["quantization"]
    dtype = np.dtype(details["dtype"])
    shape = tuple(int(side) for side in details["shape"])
    return TensorInfo(shape, dtype, float(scale), int(zero_point)) if scale else TensorInfo(shape, dtype)
