"""LiteRT files of any network: float from PyTorch by litert-torch, static int8 by ai-edge-quantizer.

What is particular to one family (whose ranges end where, in which order its outputs come) is with that family:
`export.detector_litert`, `export.keras_litert`.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from export.calibration import PERCENTILE, Extremes, Range, Tensor, floored, percentile_ranges


def convert(network: nn.Module, size: int) -> bytes:
    """The network, which takes [1, size, size, 3] float32, as a float LiteRT file."""
    with quiet():
        import litert_torch

        return bytes(litert_torch.convert(network.eval(), (torch.zeros(1, size, size, 3),)).model_content())


def calibrate(
    float_file: bytes,
    inputs: Iterable[Tensor],
    span: Range,
    *,
    percentile: float = PERCENTILE,
    floors: Mapping[str, float] | None = None,
) -> dict[str, Range]:
    """What each tensor of the graph spans over the pictures.

    Args:
        float_file: one picture in; from `convert` or `export.keras_litert.convert`.
        inputs: what the network takes, [1, H, W, 3] float32 each: `export.calibration.as_input`.
        span: what its numbers for pixels can be at all, `export.calibration.pixel_span`: the input gets exactly that.
        percentile: of the pictures' own extremes; 100 takes the outermost.
        floors: by a tensor's name, the lowest value worth a step of its scale.
    Returns:
        (minimum, maximum) by tensor name.
    """
    _, _, tensor = input_names(float_file)
    return floored(percentile_ranges(observe(float_file, inputs), percentile), floors or {}) | {tensor: span}


def observe(float_file: bytes, inputs: Iterable[Tensor]) -> dict[str, Extremes]:
    """The smallest and the largest value of each tensor in each picture.

    ai-edge-quantizer's own rule is a moving average of these, which the last pictures rule. Here all are kept.
    """
    with quiet():
        from ai_edge_quantizer import recipe
        from ai_edge_quantizer.calibrator import Calibrator
        from ai_edge_quantizer.recipe_manager import RecipeManager

    signature, argument, _ = input_names(float_file)
    rules = RecipeManager()
    rules.load_quantization_recipe(recipe.static_wi8_ai8())
    samples = {signature: [{argument: picture} for picture in inputs]}
    with quiet():
        calibrator = Calibrator(float_file, num_threads=1, qsv_update_func=_append)
        calibrator.calibrate(samples, rules)
    seen = calibrator.get_model_qsvs().items()
    return {name: (np.ravel(found["min"]), np.ravel(found["max"])) for name, found in seen if found}


def _append(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Instead of merging a picture's extremes with the others', keep them all."""
    if not old:
        return new
    return {key: np.concatenate([np.ravel(old[key]), np.ravel(new[key])]) for key in ("min", "max")}


def input_names(file: bytes) -> tuple[str, str, str]:
    """Of a file that takes one picture: its signature, the argument's name there, and the tensor's in the graph."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=file, num_threads=1)
    [(signature, names)] = interpreter.get_signature_list().items()
    [argument] = names["inputs"]
    [given] = interpreter.get_input_details()
    return signature, argument, given["name"]


def output_names(file: bytes) -> list[str]:
    """The outputs' tensors, in the runtime's own order."""
    from ai_edge_litert.interpreter import Interpreter

    return [found["name"] for found in Interpreter(model_content=file, num_threads=1).get_output_details()]


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
