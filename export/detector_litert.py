"""YOLOv8 as LiteRT files: what a detector asks of the general conversion and quantization."""

from __future__ import annotations

from collections.abc import Sequence

from device.datatypes import Image
from export import litert
from export.calibration import CLASS_FLOOR, SILU_FLOOR, Range, as_input, pixel_span
from export.checkpoint import HEADS
from export.litert import convert, quantize

__all__ = ["before_sigmoid", "calibrate", "convert", "head_positions", "quantize", "tensor_names"]


def calibrate(float_file: bytes, squares: Sequence[Image]) -> dict[str, Range]:
    """What each tensor of the graph spans over letterboxed pictures (SxSx3 uint8 RGB), by name.

    Class logits and what SiLU is computed of are floored, the input is exactly 0 to 1.
    """
    _, heads = tensor_names(float_file)
    floors = dict.fromkeys(before_sigmoid(float_file), SILU_FLOOR) | dict.fromkeys(heads[1::2], CLASS_FLOOR)
    return litert.calibrate(float_file, (as_input(square) for square in squares), pixel_span(), floors=floors)


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


def tensor_names(file: bytes) -> tuple[str, Sequence[str]]:
    """The input's name, and the outputs' in the order of HEADS."""
    _, _, given = litert.input_names(file)
    found = litert.output_names(file)
    return given, [found[index] for index in head_positions(file)]


def head_positions(file: bytes) -> list[int]:
    """Where each of HEADS stands in the runtime's list of outputs; the signature calls them output_0 … output_5."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=file, num_threads=1)
    interpreter.allocate_tensors()
    signature, _, _ = litert.input_names(file)
    by_name = interpreter.get_signature_runner(signature).get_output_details()
    listed = [details["index"] for details in interpreter.get_output_details()]
    return [listed.index(by_name[f"output_{number}"]["index"]) for number in range(len(HEADS))]
