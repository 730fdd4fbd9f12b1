"""Keras classifiers as ONNX files: traced by PyTorch, as Keras can run on it, in a process of its own.

`python -m export.keras_onnx MODEL.keras OUT.onnx` is that process: which framework Keras runs on is settled when it is
imported. What it writes is made plain here: BatchNorm folded into the convolutions, no transposition between them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from device.errors import InputError
from export import ROOT, onnx_graph
from export.calibration import Range
from export.litert import quiet

QUANTIZED = ("Conv", "Gemm", "MatMul", "Add", "Clip", "Relu", "MaxPool", "GlobalAveragePool", "Concat")
"""All that ONNX Runtime has integer kernels for: a classifier's activations stay integer from end to end."""

OUTPUT = "logits"


def convert(network: Any) -> bytes:
    """A Keras network of [1, S, S, 3] float32 to [1, classes] as a float ONNX file; the same bytes each time.

    Args:
        network: a keras.Model, `export.keras_litert.Bare.network`.
    Raises:
        InputError: PyTorch cannot trace one of its layers.
    """
    with tempfile.TemporaryDirectory() as scratch:
        model, traced = Path(scratch) / "network.keras", Path(scratch) / "traced.onnx"
        network.save(model)
        command = [sys.executable, "-m", "export.keras_onnx", str(model), str(traced)]
        settings = {"KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no word of why"])[-1]
            raise InputError(f"{network.name} cannot be written as ONNX: {reason}")
        return plain(traced.read_bytes())


def plain(traced: bytes) -> bytes:
    """The graph without leftovers: what a constant is subtracted from, is added to, so that convolutions take it in."""
    model = _folded(traced)
    constants = {entry.name: entry for entry in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Sub" and node.input[1] in constants:
            value = numpy_helper.to_array(constants[node.input[1]])
            negated = numpy_helper.from_array(-value, f"{node.output[0]}_shift")
            model.graph.initializer.append(negated)
            node.op_type, node.input[1] = "Add", negated.name
    model = onnx.shape_inference.infer_shapes(_folded(model.SerializeToString()))
    for node in model.graph.node:
        # The source lines that PyTorch writes into each node name folders of this machine.
        node.doc_string = ""
        del node.metadata_props[:]
    return model.SerializeToString(deterministic=True)


def _folded(file: bytes) -> onnx.ModelProto:
    """As ONNX Runtime simplifies it for any machine: constants computed, neighbours fused, transpositions cancelled."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as scratch:
        options.optimized_model_filepath = str(Path(scratch) / "folded.onnx")
        onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


def quantize(float_file: bytes, ranges: Mapping[str, Range]) -> bytes:
    """The int8 file; it takes and gives float32, and all between is integer."""
    return onnx_graph.quantize(float_file, ranges, QUANTIZED)


def _trace(model: Path, out: Path) -> None:
    """In the other process: run the network once on PyTorch, and write down what happened."""
    import keras
    import torch

    loaded = keras.models.load_model(model, compile=False)
    loaded.trainable = False  # PyTorch refuses to write down constants that could still learn.

    class Network(torch.nn.Module):
        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            return loaded(picture, training=False)

    shape = (1, *loaded.inputs[0].shape[1:])
    with quiet(), torch.no_grad():
        torch.onnx.export(
            Network().eval(),
            (torch.zeros(shape),),
            str(out),
            dynamo=False,
            opset_version=onnx_graph.OPSET,
            input_names=[onnx_graph.INPUT],
            output_names=[OUTPUT],
        )


if __name__ == "__main__":
    np.random.seed(0)  # noqa: NPY002 - of whatever a layer may draw while it is built.
    _trace(Path(sys.argv[1]), Path(sys.argv[2]))
