"""ONNX Runtime."""

from __future__ import annotations

import re

import numpy as np
import onnxruntime

from device.datatypes import Image
from device.errors import InputError
from device.inference.manifest import InputSpec, ModelFile
from device.inference.tensors import Tensor, TensorInfo, pixel_writer

_DTYPES = {"tensor(float)": np.float32, "tensor(int8)": np.int8, "tensor(uint8)": np.uint8}


class OnnxInterpreter:
    """One `.onnx` file, loaded, with its input and outputs bound to arrays that are reused."""

    def __init__(self, content: bytes, spec: InputSpec, file: ModelFile, *, threads: int, name: str) -> None:
        try:
            self._session = onnxruntime.InferenceSession(content, _options(threads), providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - its errors have no common base of their own
            raise InputError(
                f"onnxruntime refuses {name}: {_reason(error)}; the file is damaged or needs a newer runtime"
            ) from None
        [given] = self._session.get_inputs()
        found = self._session.get_outputs()
        order = file.outputs if file.outputs is not None else tuple(range(len(found)))
        if max(order, default=0) >= len(found):
            raise InputError(f"{name} has {len(found)} outputs; its manifest names number {max(order)}, from 0")
        self.input = _info(given, name)
        self.outputs = tuple(_info(found[index], name) for index in order)
        self.runtime = (
            f"onnxruntime {onnxruntime.__version__}, {file.precision}, {threads} thread{'s' if threads > 1 else ''}"
        )
        self._write = pixel_writer(self.input, spec)
        self._binding = self._session.io_binding()
        self._input = np.zeros(self.input.shape, self.input.dtype)
        self._binding.bind_ortvalue_input(given.name, onnxruntime.OrtValue.ortvalue_from_numpy(self._input))
        self._output = tuple(np.zeros(info.shape, info.dtype) for info in self.outputs)
        for index, array in zip(order, self._output, strict=True):
            self._binding.bind_ortvalue_output(found[index].name, onnxruntime.OrtValue.ortvalue_from_numpy(array))

    def write(self, square: Image) -> None:
        """See `Interpreter.write`."""
        self._write(square, self._input)

    def invoke(self) -> tuple[Tensor, ...]:
        """See `Interpreter.invoke`."""
        self._session.run_with_iobinding(self._binding)
        return self._output


def _options(threads: int) -> onnxruntime.SessionOptions:
    """Threads that sleep between pictures instead of spinning: a camera box has idle time, and a fan or a battery."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options


def _info(node: onnxruntime.NodeArg, name: str) -> TensorInfo:
    """TensorInfo of a fixed-shape input or output."""
    dtype = _DTYPES.get(node.type)
    if dtype is None or not all(isinstance(side, int) for side in node.shape):
        raise InputError(
            f"{name}: {node.name} is {node.type} {node.shape}; Sereno takes fixed shapes of float32, int8 or uint8"
        )
    return TensorInfo(tuple(node.shape), np.dtype(dtype))


def _reason(error: Exception) -> str:
    """The error's first line, without ONNX Runtime's own code and file names."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", lines[0]).rstrip(". ")
