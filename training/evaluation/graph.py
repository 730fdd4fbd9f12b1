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


def embedding_tensor(file: bytes) -> int | None:
    """Index of the tensor that the last dense layer weighs; None where there is no dense layer."""
    graph, operations = _graph(file)
    wanted = graph.outputs[0]
    for name, operator in reversed(list(operations)):
        if wanted in operator.outputs:
            wanted = operator.inputs[0]
            if name == "FULLY_CONNECTED":
                return int(wanted)
    return None


def embeddings(file: bytes, tensor: int, spec: InputSpec, squares: Iterable[Image]) -> np.ndarray:
    """What a tensor of the graph, `embedding_tensor`, holds: [N, D] float32, a row a picture of the network's size."""
    from ai_edge_litert.interpreter import Interpreter

    with quiet():
        interpreter = Interpreter(model_content=_ending_in(file, tensor), num_threads=1)
        interpreter.allocate_tensors()
    [given], [told] = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = given["quantization"]
    info = TensorInfo(tuple(given["shape"].tolist()), np.dtype(given["dtype"]), scale or 1.0, zero)
    write, buffer = pixel_writer(info, spec), np.zeros(info.shape, info.dtype)
    scale, zero = told["quantization"]
    rows = []
    for square in squares:
        write(square, buffer)
        interpreter.set_tensor(given["index"], buffer)
        interpreter.invoke()
        row = interpreter.get_tensor(told["index"]).reshape(-1).astype(np.float32)
        rows.append((row - zero) * np.float32(scale) if scale else row)
    return np.array(rows)


def _ending_in(file: bytes, tensor: int) -> bytes:
    """The same graph, told to give another of its tensors: so that the device's own fast kernels compute it."""
    from ai_edge_litert.tools.flatbuffer_utils import convert_object_to_bytearray, read_model_from_bytearray

    model = read_model_from_bytearray(bytearray(file))
    [graph] = model.subgraphs
    # Operators stand in the order in which they run.
    last = max(number for number, one in enumerate(graph.operators) if tensor in one.outputs)
    graph.outputs, graph.operators = [tensor], graph.operators[: last + 1]
    model.signatureDefs = []
    return bytes(convert_object_to_bytearray(model))


def _graph(file: bytes) -> tuple[Any, Iterator[tuple[str, Any]]]:
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffers

    model = flatbuffers.read_model(file)
    [graph] = model.subgraphs
    names = flatbuffers.TFL_OP_CODE_TO_NAME
    return graph, ((names.get(model.operatorCodes[one.opcodeIndex].builtinCode, ""), one) for one in graph.operators)
