"""LiteRT files: float from PyTorch by litert-torch, static int8 from that by ai-edge-quantizer."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from device.datatypes import Image
from export.calibration import CLASS_FLOOR, SILU_FLOOR, Range, as_input, floored, percentile_range
from export.checkpoint import HEADS

SIGNATURE = "serving_default"
INPUT = "args_0"


def convert(network: nn.Module, size: int) -> bytes:
    """The network, which takes [1, size, size, 3] float32, as a float LiteRT file."""
    with quiet():
        import litert_torch

        return bytes(litert_torch.convert(network.eval(), (torch.zeros(1, size, size, 3),)).model_content())


def calibrate(float_file: bytes, squares: Sequence[Image]) -> dict[str, Range]:
    """What each tensor of the graph spans over the pictures.

    ai-edge-quantizer's own rule is a moving average of each picture's extremes, which the last pictures rule. Here all
    extremes are kept, and their 97th percentile is taken.

    Args:
        float_file: from `convert`.
        squares: letterboxed pictures, SxSx3 uint8 RGB.
    Returns:
        (minimum, maximum) by tensor name; class logits and what SiLU is computed of floored, the input exactly 0 to 1.
    """
    with quiet():
        from ai_edge_quantizer import recipe
        from ai_edge_quantizer.calibrator import Calibrator
        from ai_edge_quantizer.recipe_manager import RecipeManager

    rules = RecipeManager()
    rules.load_quantization_recipe(recipe.static_wi8_ai8())
    samples = {SIGNATURE: [{INPUT: as_input(square)} for square in squares]}
    with quiet():
        calibrator = Calibrator(float_file, num_threads=1, qsv_update_func=_append)
        calibrator.calibrate(samples, rules)
    ranges = {
        name: percentile_range(np.ravel(found["min"]), np.ravel(found["max"]))
        for name, found in calibrator.get_model_qsvs().items()
        if found
    }
    taken, heads = tensor_names(float_file)
    ranges = floored(ranges, before_sigmoid(float_file), SILU_FLOOR)
    ranges = floored(ranges, heads[1::2], CLASS_FLOOR)
    return ranges | {taken: (0.0, 1.0)}


def _append(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Instead of merging a picture's extremes with the others', keep them all."""
    if not old:
        return new
    return {key: np.concatenate([np.ravel(old[key]), np.ravel(new[key])]) for key in ("min", "max")}


def before_sigmoid(float_file: bytes) -> list[str]:
    """Names of the tensors that go into a sigmoid: here, each is what SiLU is computed of."""
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffers

    model = flatbuffers.read_model(float_file)
    [graph] = model.subgraphs
    names = flatbuffers.TFL_OP_CODE_TO_NAME
    return [
        flatbuffers.get_tensor_name(graph.tensors[operator.inputs[0]])
        for operator in graph.operators
        if names.get(model.operatorCodes[operator.opcodeIndex].builtinCode) == "LOGISTIC"
    ]


def quantize(float_file: bytes, ranges: Mapping[str, Range]) -> bytes:
    """The static int8 file: weights per channel, activations per tensor on the grids of `ranges`, int8 in and out."""
    from ai_edge_quantizer import recipe
    from ai_edge_quantizer.quantizer import Quantizer

    def scalar(value: float) -> np.ndarray:
        return np.full((1, 1, 1, 1), value, np.float32)

    with quiet():
        quantizer = Quantizer(float_file)
        quantizer.load_quantization_recipe(recipe.static_wi8_ai8())
        spans = {name: {"min": scalar(low), "max": scalar(high)} for name, (low, high) in ranges.items()}
        return bytes(quantizer.quantize(spans, enable_progress_bar=False, enable_progress_report=False).quantized_model)


def tensor_names(file: bytes) -> tuple[str, Sequence[str]]:
    """The input's name, and the outputs' in the order of HEADS."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=file, num_threads=1)
    [given] = interpreter.get_input_details()
    found = interpreter.get_output_details()
    return given["name"], [found[index]["name"] for index in head_positions(file)]


def head_positions(file: bytes) -> list[int]:
    """Where each of HEADS stands in the runtime's list of outputs; the signature calls them output_0 … output_5."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=file, num_threads=1)
    interpreter.allocate_tensors()
    by_name = interpreter.get_signature_runner(SIGNATURE).get_output_details()
    listed = [details["index"] for details in interpreter.get_output_details()]
    return [listed.index(by_name[f"output_{number}"]["index"]) for number in range(len(HEADS))]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the converters' chatter off the screen, that of their C++ parts, too; exceptions pass."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    sys.stderr.flush()
    screen = os.dup(2)
    try:
        with (
            Path(os.devnull).open("w") as nowhere,
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            os.dup2(nowhere.fileno(), 2)
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(screen, 2)
        os.close(screen)
        logging.disable(before)
