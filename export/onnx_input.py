"""Another input size for a fully convolutional ONNX file, without the `onnx` package: `make models` has none.

An ONNX file is a protobuf message (onnx.proto3). Only the few fields on the way to the sizes are read; all other bytes
stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

GRAPH, INPUT, OUTPUT, VALUE_INFO = 7, 11, 12, 13
TO_SHAPE = (2, 1, 2)
"""ValueInfoProto.type, TypeProto.tensor_type, Tensor.shape."""
DIMENSION, DIMENSION_VALUE = 1, 1
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5

Edit = Callable[[bytes], bytes | None]
"""What becomes of a field's content; None drops the field."""


def with_input_size(model: bytes, height: int, width: int) -> bytes:
    """The file with an input of [1, 3, height, width]; sizes that follow from it are left for the runtime to infer.

    Args:
        model: an ONNX file whose only input is [1, 3, H, W] and whose reshapes leave H and W open.
        height: in pixels, a multiple of the net's largest stride.
        width: the same.
    """
    sizes = iter((1, 3, height, width))

    def value_info(content: bytes) -> bytes:
        return _along(content, TO_SHAPE, lambda shape: _edit(shape, {DIMENSION: lambda _: _dimension(next(sizes))}))

    def without_shape(content: bytes) -> bytes:
        return _along(content, TO_SHAPE[:2], lambda tensor: _edit(tensor, {TO_SHAPE[2]: lambda _: None}))

    def graph(content: bytes) -> bytes:
        return _edit(content, {INPUT: value_info, OUTPUT: without_shape, VALUE_INFO: lambda _: None})

    return _edit(model, {GRAPH: graph})


def _dimension(size: int) -> bytes:
    return _varint(DIMENSION_VALUE << 3 | VARINT) + _varint(size)


def _along(content: bytes, path: tuple[int, ...], edit: Edit) -> bytes:
    """Edit the message that lies at the end of `path`."""
    first, *rest = path
    inner: Edit = (lambda part: _along(part, tuple(rest), edit)) if rest else edit
    return _edit(content, {first: inner})


def _edit(message: bytes, edits: dict[int, Edit]) -> bytes:
    """The message with the fields of some numbers edited; those of other numbers are copied."""
    parts = []
    for number, start, content, end in _fields(message):
        edit = edits.get(number)
        if edit is None:
            parts.append(message[start:end])
            continue
        changed = edit(message[content:end])
        if changed is not None:
            parts.append(_varint(number << 3 | BYTES) + _varint(len(changed)) + changed)
    return b"".join(parts)


def _fields(message: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Each field's number, and where it starts, its content starts, and it ends."""
    place = 0
    while place < len(message):
        start = place
        key, place = _read_varint(message, place)
        content = place
        if key & 7 == VARINT:
            _, place = _read_varint(message, place)
        elif key & 7 == BYTES:
            length, content = _read_varint(message, place)
            place = content + length
        else:
            place += {FIXED_64: 8, FIXED_32: 4}[key & 7]
        yield key >> 3, start, content, place


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, lowest first, and where the next field starts."""
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _varint(value: int) -> bytes:
    """The number in seven bits a byte, lowest first."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
