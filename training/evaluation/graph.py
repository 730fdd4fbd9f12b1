"""What a LiteRT file's graph says: how many multiply-adds it takes, and which tensor is the embedding."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from device.datatypes import Image
from device.inference.manifest import InputSpec
from device.inference.tensors import TensorInfo, pixel_writer
from export.litert import quiet


def multiply_adds(file: bytes) -> int:
    """Of one picture: those of convolutions and dense layers, where all the time and energy goes."""
    graph, operations = _graph(file)
    return sum(_multiply_adds(graph, name, operator) for name, operator in operations)


def _multiply_adds(graph: Any, name: str, operator: Any) -> int:
    if name not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "CONV_2D_TRANSPOSE"):
        return 0
    # For CONV_2D_TRANSPOSE the weights are used once for each place of the input, for the others of the output.
    place = graph.tensors[operator.inputs[2] if name == "CONV_2D_TRANSPOSE" else operator.outputs[0]].shape
    weights = math.prod(int(side) for side in graph.tensors[operator.inputs[1]].shape)
    return weights * math.prod(int(side) for side in place[:-1])


def embedding_tensor(file: bytes) -> int:
    """Index of the tensor that the last dense layer weighs. Raises ValueError where there is no dense layer."""
    graph, operations = _graph(file)
    wanted = graph.outputs[0]
    for name, operator in reversed(list(operations)):
        if wanted in operator.outputs:
            wanted = operator.inputs[0]
            if name == "FULLY_CONNECTED":
                return int(wanted)
    raise ValueError("the file does not end in a dense layer")


def embeddings(file: bytes, spec: InputSpec, squares: Iterable[Image]) -> np.ndarray:
    """What the file's last dense layer sees: [N, D] float32, one row a picture of the network's size."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    tensor = embedding_tensor(file)
    with quiet():
        # The usual kernels keep no tensors between layers.
        interpreter = Interpreter(
            model_content=file,
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
    [given] = interpreter.get_input_details()
    scale, zero = given["quantization"]
    info = TensorInfo(tuple(given["shape"].tolist()), np.dtype(given["dtype"]), scale or 1.0, zero)
    write, buffer = pixel_writer(info, spec), np.zeros(info.shape, info.dtype)
    [details] = [found for found in interpreter.get_tensor_details() if found["index"] == tensor]
    scale, zero = details["quantization"]
    rows = []
    for square in squares:
        write(square, buffer)
        interpreter.set_tensor(given["index"], buffer)
        interpreter.invoke()
        row = interpreter.get_tensor(tensor).reshape(-1).astype(np.float32)
        rows.append((row - zero) * np.float32(scale) if scale else row)
    return np.array(rows)


def _graph(file: bytes) -> tuple[Any, Iterator[tuple[str, Any]]]:
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffers

    model = flatbuffers.read_model(file)
    [graph] = model.subgraphs
    names = flatbuffers.TFL_OP_CODE_TO_NAME
    return graph, ((names.get(model.operatorCodes[one.opcodeIndex].builtinCode, ""), one) for one in graph.operators)
