"""ONNX files of any network: float from PyTorch, int8 as QDQ (uint8 activations, int8 weights per channel).

What is particular to one family is with that family: `export.detector_onnx`, `export.keras_onnx`.
"""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from export.calibration import PERCENTILE, Extremes, Range, Tensor, floored, percentile_ranges
from export.litert import quiet

INPUT = "images"
OPSET = 17


def convert(network: nn.Module, size: int, outputs: Sequence[str], *, channels_last: bool = True) -> bytes:
    """The network, which takes [1, size, size, 3] float32, as a float ONNX file without leftovers.

    `outputs` names what it gives, in its order; the input is called `images`. A network that takes
    [1, 3, size, size] says so by `channels_last=False`.
    """
    import onnxslim

    stream = io.BytesIO()
    with quiet(), warnings.catch_warnings():
        # The exporter based on TorchScript: the newer one needs a package more and writes the same graph.
        torch.onnx.export(
            network.eval(),
            (torch.zeros((1, size, size, 3) if channels_last else (1, 3, size, size)),),
            stream,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(outputs),
        )
        slim = onnxslim.slim(onnx.load_from_string(stream.getvalue()))
    inferred = onnx.shape_inference.infer_shapes(slim)
    # The source lines that PyTorch writes into each node name folders of this machine.
    for node in inferred.graph.node:
        node.doc_string = ""
    return inferred.SerializeToString(deterministic=True)


def calibrate(
    float_file: bytes,
    inputs: Iterable[Tensor],
    span: Range,
    *,
    percentile: float = PERCENTILE,
    floors: Mapping[str, float] | None = None,
) -> dict[str, Range]:
    """What each tensor of the graph spans over the pictures, by name; arguments as `export.litert.calibrate`."""
    given = onnx.load_from_string(float_file).graph.input[0].name
    return floored(percentile_ranges(observe(float_file, inputs), percentile), floors or {}) | {given: span}


def observe(float_file: bytes, inputs: Iterable[Tensor]) -> dict[str, Extremes]:
    """The smallest and the largest value of each tensor in each picture."""
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
    [given] = session.get_inputs()
    seen = [[float(np.min(value)) for value in session.run(reduced, {given.name: picture})] for picture in inputs]
    columns = dict(zip(reduced, np.array(seen).T, strict=True))
    names = [name.removesuffix("_ReduceMin") for name in reduced if name.endswith("_ReduceMin")]
    return {name: (columns[f"{name}_ReduceMin"], columns[f"{name}_ReduceMax"]) for name in names}


def quantize(
    float_file: bytes, ranges: Mapping[str, Range], operations: Sequence[str] = ("Conv",), kept: Sequence[str] = ()
) -> bytes:
    """The int8 file; it takes and gives float32.

    Args:
        operations: types of the nodes that become integer.
        kept: names of nodes that stay float all the same.
    """
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
            nodes_to_exclude=list(kept),
            op_types_to_quantize=list(operations),
            extra_options={},
        )
        quantizer.quantize_model()
    return quantizer.model.model.SerializeToString(deterministic=True)
