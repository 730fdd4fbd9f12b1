"""YOLOv8 as ONNX files: what a detector asks of the general conversion and quantization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
from torch import nn

from device.datatypes import Image
from export import onnx_graph
from export.calibration import SILU_FLOOR, Range, as_input, pixel_span
from export.checkpoint import HEADS

QUANTIZED = ("Conv",)
"""Convolutions are where the time goes. ONNX Runtime has no fast integer kernel for SiLU, and each further rounding
takes the scores further from the float network's."""


def convert(network: nn.Module, size: int) -> bytes:
    """The network, which takes [1, size, size, 3] float32 and gives HEADS, as a float ONNX file."""
    return onnx_graph.convert(network, size, HEADS)


def calibrate(float_file: bytes, squares: Sequence[Image]) -> dict[str, Range]:
    """What each tensor of the graph spans over letterboxed pictures (SxSx3 uint8 RGB), by name.

    What SiLU is computed of is floored, the input is exactly 0 to 1.
    """
    nodes = onnx.load_from_string(float_file).graph.node
    floors = {node.input[0]: SILU_FLOOR for node in nodes if node.op_type == "Sigmoid"}
    return onnx_graph.calibrate(float_file, (as_input(square) for square in squares), pixel_span(), floors=floors)


def quantize(float_file: bytes, ranges: Mapping[str, Range]) -> bytes:
    """The int8 file; it takes and gives float32."""
    kept = kept_in_float(onnx.load_from_string(float_file))
    return onnx_graph.quantize(float_file, ranges, QUANTIZED, kept)


def kept_in_float(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions that are not quantized.

    Those of the first stages, on maps of a quarter of the picture's side and more: they have few channels, so that
    integers gain no time there, and most of the rounding error is theirs (two thirds at 640, on training photos). And
    the last ones, which compute the heads: NumPy reads those as float, so that rounding them would save nothing and
    would cut the best scores off where the range ends.
    """
    sides = {value.name: value.type.tensor_type.shape.dim[2].dim_value for value in model.graph.value_info}
    picture = model.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    first = [node.name for node in convolutions if sides.get(node.output[0], 0) * 4 >= picture]
    return [*first, *_head_convolutions(model)]


def _head_convolutions(model: onnx.ModelProto) -> list[str]:
    maker = {output: node for node in model.graph.node for output in node.output}
    found = []
    for head in HEADS:
        node = maker[head]
        while node.op_type != "Conv":
            node = maker[node.input[0]]
        found.append(node.name)
    return found


def head_positions(file: bytes) -> list[int]:
    """Where each of HEADS stands in the file's list of outputs."""
    listed = [output.name for output in onnx.load_from_string(file).graph.output]
    return [listed.index(head) for head in HEADS]
