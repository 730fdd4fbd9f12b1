"""Pictures that a browser or a program sends: looked at before they are unpacked, kept in memory only."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from typing import Any

import numpy as np
import simplejpeg
from flask import abort, request
from werkzeug.exceptions import BadRequest

from device.datatypes import Image

MAX_PICTURE_BODY = 6 * 1024 * 1024
"""Of a request with pictures. A phone's photo has 3 to 5 MB; the page itself sends smaller ones."""
MAX_PIXELS = 16_000_000
"""A bigger picture is not unpacked: of 100 megapixels a progressive JPEG takes 360 MB, of 16 it takes 60."""
ENOUGH_PX = 1600
"""Larger pictures are unpacked at a half, a quarter or an eighth of their size, as long as this much remains."""
MAX_SCANS = 64
"""A progressive JPEG has about ten; each of thousands would be a pass over the whole picture."""
PREFIX = "data:"
KIND = "image/jpeg"
START, END, SCAN = b"\xff\xd8", b"\xff\xd9", b"\xff\xda"
WANTED = '{"image": "data:image/jpeg;base64,…"}'


def json_object() -> dict[str, Any]:
    """The JSON object that was sent. Answers 400, 413 or 415 with a sentence for anything else."""
    if request.mimetype != "application/json":
        abort(415, "send application/json")
    try:
        body = request.get_json(silent=False)
    except RecursionError:
        abort(400, "the body is JSON that is nested too deeply")
    except BadRequest:
        abort(400, f"the body is no JSON: send {WANTED}")
    if not isinstance(body, dict):
        abort(400, f"the body must be a JSON object: {WANTED}")
    return body


def picture(body: dict[str, Any]) -> Image:
    """The picture under `image`, HxWx3 uint8 RGB. Answers with a sentence where there is none that can be used."""
    if "image" not in body or body["image"] in ("", None):
        abort(400, f"there is no picture: send {WANTED}")
    return decode(jpeg_of(body["image"]))


def jpeg_of(url: object) -> bytes:
    """The bytes in a data URL. Answers 400 where it is none, 415 where it holds something else than a JPEG."""
    if not isinstance(url, str) or not url.startswith(PREFIX):
        abort(400, f"the picture is no data URL: send {WANTED}")
    head, comma, content = url.partition(",")
    kind, *options = head[len(PREFIX) :].casefold().split(";")
    if kind != KIND:
        abort(415, f"the picture is {kind[:40] or 'of no type'}; it must be {KIND}")
    if not comma or "base64" not in options:
        abort(400, f"the data URL is not in base64: send {WANTED}")
    try:
        jpeg = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        abort(400, "the picture's base64 is broken")
    if not jpeg.startswith(START):
        abort(415, f"what the data URL holds is no JPEG, although it says {KIND}")
    return jpeg


def decode(jpeg: bytes) -> Image:
    """Unpack a JPEG, upright: HxWx3 uint8 RGB. Very large ones are made smaller in doing so.

    Answers 413 for more than `MAX_PIXELS`, which the header tells, and 400 for one that is not whole.
    """
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
    except ValueError:
        abort(400, "the picture is damaged: its header cannot be read")
    if height * width > MAX_PIXELS:
        abort(413, f"the picture has {width}x{height} pixels; {MAX_PIXELS // 1_000_000} megapixels are the most")
    if jpeg.rfind(END) < jpeg.rfind(SCAN):
        abort(400, "the picture is cut short: its end is missing")
    if jpeg.count(SCAN) > MAX_SCANS:
        abort(400, "the picture is packed in a way that takes too long to unpack; save it anew as a plain JPEG")
    divisor = max(1, min(8, 2 ** int(math.log2(max(1.0, max(height, width) / ENOUGH_PX)))))
    least = {"min_height": height // divisor, "min_width": width // divisor} if divisor > 1 else {}
    try:
        image: Image = simplejpeg.decode_jpeg(jpeg, colorspace="RGB", **least)
    except ValueError:
        abort(400, "the picture is damaged, or cut short")
    return upright(image, orientation(jpeg))


def upright(image: Image, how: int) -> Image:
    """Turn or mirror a picture by its EXIF orientation (1 to 8; 1 is upright)."""
    if how in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if how in (2, 3, 6, 7):
        image = image[:, ::-1]
    if how in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def orientation(jpeg: bytes) -> int:
    """The EXIF orientation of a JPEG, 1 where it says none. EXIF 2.32, tag 0x0112 of the first directory."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at + 1] != SCAN[1]:
        marker, size = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker == 0xE1 and jpeg[at + 4 : at + 10] == b"Exif\0\0":
            return _orientation_of(jpeg[at + 10 : at + 2 + size])
        at += 2 + size
    return 1


def _orientation_of(tiff: bytes) -> int:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        [start] = struct.unpack_from(f"{order}I", tiff, 4)
        [count] = struct.unpack_from(f"{order}H", tiff, start)
        for index in range(count):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * index)
            if (tag, kind) == (0x0112, 3):
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1
