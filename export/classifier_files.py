"""The four files of a classifier: LiteRT and ONNX, float and int8, from one Keras network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np

from device.datatypes import Image
from device.detection.classifier import softmax
from device.inference.manifest import Runtime
from export import keras_litert, keras_onnx, litert, onnx_graph
from export.bundle import ModelContent, Precision
from export.calibration import Normalisation, Range, Tensor, as_input, percentile_ranges

PERCENTILES = (90.0, 97.0, 100.0)
"""Rules that are tried: how much of the pictures' extremes a range covers. No one of them is best for all networks: of
two with MobileNetV2's body one lost least by 90, the other by 100."""

SEEN = 1e-9
"""A probability below this counts as this."""


class Files:
    """What is made of one network, each part once and only when it is asked for."""

    def __init__(self, model: Any, calibration: Sequence[Image], choosing: Sequence[Image]) -> None:
        """
        Args:
            model: a keras.Model, from `export.keras_litert.load`.
            calibration: training pictures for the ranges, fitted: SxSx3 uint8 RGB.
            choosing: other training pictures, by which the rule for the ranges is chosen.
        """
        self.bare = keras_litert.bare(model)
        self._calibration, self._choosing = calibration, choosing
        self.percentile: dict[Runtime, float] = {}

    @cached_property
    def grid(self) -> tuple[Normalisation, Range]:
        """Normalisation and range of the int8 input."""
        return keras_litert.int8_grid(self.bare.normalisation)

    def normalisation(self, precision: Precision) -> Normalisation:
        """What the manifest must say of files of this precision."""
        return self.grid[0] if precision == "int8" else self.bare.normalisation

    def content(self, runtime: Runtime, precision: Precision) -> ModelContent:
        """One of the four. Raises InputError where the network cannot be converted."""
        if runtime == "litert":
            content = self._litert if precision == "fp32" else self._quantized("litert", self._litert, litert, litert)
        else:
            content = (
                self._onnx
                if precision == "fp32"
                else self._quantized("onnxruntime", self._onnx, onnx_graph, keras_onnx)
            )
        return ModelContent(runtime, precision, content)

    @cached_property
    def _litert(self) -> bytes:
        return keras_litert.convert(self.bare.network)

    @cached_property
    def _onnx(self) -> bytes:
        return keras_onnx.convert(self.bare.network)

    def _quantized(self, runtime: Runtime, float_file: bytes, watcher: ModuleType, quantizer: ModuleType) -> bytes:
        """The int8 file by the rule whose answers stay closest to the float file's on training pictures."""
        observed = watcher.observe(float_file, self._inputs(self._calibration))
        given = litert.input_names(float_file)[2] if runtime == "litert" else onnx_graph.INPUT
        expected = softmax(_answers(runtime, float_file, self._inputs(self._choosing)))
        best = (np.inf, 0.0, b"")
        for percentile in PERCENTILES:
            ranges = percentile_ranges(observed, percentile) | {given: self.grid[1]}
            file = quantizer.quantize(float_file, ranges)
            found = softmax(_answers(runtime, file, self._inputs(self._choosing)))
            best = min(best, (_divergence(expected, found), percentile, file), key=lambda tried: tried[0])
        self.percentile[runtime] = best[1]
        return best[2]

    def _inputs(self, squares: Sequence[Image]) -> list[Tensor]:
        flip = self.bare.color == "BGR"
        return [as_input(square[..., ::-1] if flip else square, self.grid[0]) for square in squares]


def _divergence(expected: np.ndarray, found: np.ndarray) -> float:
    """Mean Kullback-Leibler divergence, [N, C] probabilities each."""
    p, q = np.maximum(expected, SEEN), np.maximum(found, SEEN)
    return float((p * (np.log(p) - np.log(q))).sum(axis=1).mean())


def _answers(runtime: Runtime, file: bytes, inputs: Sequence[Tensor]) -> np.ndarray:
    """[N, C] logits of a file for normalised pictures."""
    return np.array(_litert_answers(file, inputs) if runtime == "litert" else _onnx_answers(file, inputs), np.float64)


def _litert_answers(file: bytes, inputs: Sequence[Tensor]) -> list[np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    with litert.quiet():
        interpreter = Interpreter(model_content=file, num_threads=1)
        interpreter.allocate_tensors()
    [given], [told] = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    for picture in inputs:
        if given["dtype"] == np.int8:
            scale, zero = given["quantization"]
            picture = np.clip(np.rint(picture / scale + zero), -128, 127).astype(np.int8)
        interpreter.set_tensor(given["index"], picture)
        interpreter.invoke()
        scale, zero = told["quantization"]
        logits = interpreter.get_tensor(told["index"])[0].astype(np.float64)
        answers.append((logits - zero) * scale if scale else logits)
    return answers


def _onnx_answers(file: bytes, inputs: Sequence[Tensor]) -> list[np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return [session.run(None, {onnx_graph.INPUT: picture})[0][0] for picture in inputs]
