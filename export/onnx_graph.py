"""ONNX files: float from PyTorch, int8 as QDQ (uint8 activations, int8 weights per channel) by ONNX Runtime's tools."""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from device.datatypes import Image
from export.calibration import SILU_FLOOR, Range, as_input, floored, percentile_range
from export.checkpoint import HEADS
from export.litert import quiet

INPUT = "images"
OPSET = 17

QUANTIZED = ("Conv",)
"""Convolutions are where the time goes. ONNX Runtime has no fast integer kernel for SiLU, and each further rounding
takes the scores further from the float network's."""


def convert(network: nn.Module, size: int) -> bytes:
    """The network, which takes [1, size, size, 3] float32, as a float ONNX file without leftovers."""
    import onnxslim

    stream = io.BytesIO()
    with quiet(), warnings.catch_warnings():
        # The exporter based on TorchScript: the newer one needs a package more and writes the same graph.
        torch.onnx.export(
            network.eval(),
            (torch.zeros(1, size, size, 3),),
            stream,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(HEADS),
        )
        slim = onnxslim.slim(onnx.load_from_string(stream.getvalue()))
    inferred = onnx.shape_inference.infer_shapes(slim)
    # The source lines that PyTorch writes into each node name folders of this machine.
    for node in inferred.graph.node:
        node.doc_string = ""
    return inferred.SerializeToString(deterministic=True)


def calibrate(float_file: bytes, squares: Sequence[Image]) -> dict[str, Range]:
    """What each tensor of the graph spans over the pictures, by name; rules as `export.litert.calibrate`."""
    import onnxruntime
    from onnxruntime.quantization.calibrate import MinMaxCalibrater

    with tempfile.TemporaryDirectory() as scratch:
        plain, augmented = Path(scratch) / "plain.onnx", Path(scratch) / "augmented.onnx"
        plain.write_bytes(float_file)
        MinMaxCalibrater(str(plain), augmented_model_path=str(augmented)).augment_graph()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(augmented), options, providers=["CPUExecutionProvider"])
    reduced = [found.name for found in session.get_outputs() if found.name.endswith(("_ReduceMin", "_ReduceMax"))]
    seen = [[float(np.min(value)) for value in session.run(reduced, {INPUT: as_input(square)})] for square in squares]
    columns = dict(zip(reduced, np.array(seen).T, strict=True))
    names = [name.removesuffix("_ReduceMin") for name in reduced if name.endswith("_ReduceMin")]
    ranges = {name: percentile_range(columns[f"{name}_ReduceMin"], columns[f"{name}_ReduceMax"]) for name in names}
    nodes = onnx.load_from_string(float_file).graph.node
    before = [node.input[0] for node in nodes if node.op_type == "Sigmoid"]
    return floored(ranges, before, SILU_FLOOR) | {INPUT: (0.0, 1.0)}


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


def quantize(float_file: bytes, ranges: Mapping[str, Range]) -> bytes:
    """The int8 file; it takes and gives float32."""
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    spans = {name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()}
    model = onnx.load_from_string(float_file)
    with quiet():
        quantizer = QDQQuantizer(
            model,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=TensorsData(CalibrationMethod.MinMax, spans),
            nodes_to_quantize=[],
            nodes_to_exclude=kept_in_float(model),
            op_types_to_quantize=list(QUANTIZED),
            extra_options={},
        )
        quantizer.quantize_model()
    return quantizer.model.model.SerializeToString(deterministic=True)


def head_positions(file: bytes) -> list[int]:
    """Where each of HEADS stands in the file's list of outputs."""
    listed = [output.name for output in onnx.load_from_string(file).graph.output]
    return [listed.index(head) for head in HEADS]
