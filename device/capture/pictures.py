"""Reading one picture file that may be anything: looked at before it is decoded, refused in one sentence."""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from device.datatypes import Image
from device.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
"""Names of pictures in a folder, in lower case. What a file is, its content says."""

MAX_PIXELS = 80_000_000
"""The largest picture that is decoded: more than any camera of a Pi makes (64 million), and 240 MB as RGB."""

MAX_BYTES = 256_000_000
"""The longest file that is read: `MAX_PIXELS` uncompressed, and some."""


class _Unreadable(Exception):
    """What is wrong with the content, as the end of a sentence."""


def read_picture(path: Path) -> Image:
    """Read a JPEG, PNG, WebP or BMP file.

    Args:
        path: a regular file; devices and pipes are refused, not waited for.
    Returns:
        HxWx3 uint8, RGB, C-contiguous, turned as its EXIF orientation says.
    Raises:
        InputError: it is missing, empty, cut short, damaged, no such picture, or of more than 80 million pixels.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{path} is a folder, where a picture was wanted")
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path} is no regular file, where a picture was wanted")
        if status.st_size > MAX_BYTES:
            raise InputError(f"{path} has {status.st_size:,} bytes; pictures have at most {MAX_BYTES:,}")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"the picture {path} cannot be read: {error.strerror}") from None
    return decode_picture(content, str(path))


def decode_picture(content: bytes, name: str, flags: int = cv2.IMREAD_COLOR_RGB) -> Image:
    """Decode a picture that is in memory: see `read_picture`. `name` says in errors which one it was.

    `flags` may be OpenCV's for a reduced picture, `cv2.IMREAD_REDUCED_COLOR_2` to `_8`: the result is then BGR.
    """
    measure_picture(content, name)
    try:
        return _decode(content, flags)
    except _Unreadable as error:
        raise InputError(f"{name} {error}") from None


def measure_picture(content: bytes, name: str) -> tuple[int, int]:
    """Width and height in pixels as stored, before any turning, of a file that is complete. Raises InputError."""
    try:
        width, height = _measure(content)
        if width * height > MAX_PIXELS:
            raise _Unreadable(f"is {width} x {height} pixels, above the limit of {MAX_PIXELS:,}; scale it down first")
    except _Unreadable as error:
        raise InputError(f"{name} {error}") from None
    return width, height


def _measure(content: bytes) -> tuple[int, int]:
    """Width and height out of the file's header, once the file is known to be complete."""
    if not content:
        raise _Unreadable("is empty; a JPEG, PNG, WebP or BMP picture was wanted")
    measure = next((function for magic, function in _FORMATS.items() if content.startswith(magic)), None)
    if measure is None:
        other = next((name for name, start, magic in _OTHERS if content[start:].startswith(magic)), None)
        if other:
            raise _Unreadable(f"is a {other} file, which is not read: convert it to JPEG or PNG")
        raise _Unreadable("is no picture, whatever its name says: a JPEG, PNG, WebP or BMP file was wanted")
    try:
        width, height = measure(content)
    except (struct.error, IndexError):
        raise _Unreadable(_CUT_SHORT) from None
    if width <= 0 or height <= 0:
        raise _Unreadable(f"is damaged: its header says {width} x {height} pixels; copy it again")
    return width, height


_CUT_SHORT = "is cut short: the end of the picture is missing; copy it again"


def _measure_jpeg(content: bytes) -> tuple[int, int]:
    """From the start-of-frame segment; complete where an end-of-image marker follows the scan (ITU T.81, B.1)."""
    position, size = 2, None
    while True:
        while content[position + 1] == 0xFF:  # Fill bytes.
            position += 1
        lead, marker, length = struct.unpack_from(">BBH", content, position)
        if lead != 0xFF:
            raise _Unreadable("is a damaged JPEG file; copy it again")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size = struct.unpack_from(">HH", content, position + 5)
        position += 2 + length
        if marker == 0xDA:
            break
    if content.find(b"\xff\xd9", position) < 0:
        raise _Unreadable(_CUT_SHORT)
    if size is None:
        raise _Unreadable("is a damaged JPEG file: it never says its size; copy it again")
    return size[1], size[0]


def _measure_png(content: bytes) -> tuple[int, int]:
    """From the first chunk; complete and intact where every chunk up to the last has its checksum (PNG, 5.3)."""
    width, height = struct.unpack_from(">II", content, 16)
    if width * height > MAX_PIXELS:
        return width, height
    position, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", content, position)
        (checksum,) = struct.unpack_from(">I", content, position + 8 + length)
        if zlib.crc32(memoryview(content)[position + 4 : position + 8 + length]) != checksum:
            raise _Unreadable("is a damaged PNG file: a checksum is wrong; copy it again")
        position += 12 + length
    return width, height


def _measure_webp(content: bytes) -> tuple[int, int]:
    """From the first chunk, of one of three kinds (RFC 9649, 2.5 to 2.7)."""
    length, form, kind = struct.unpack_from("<I4s4s", content, 4)
    if form != b"WEBP":
        raise _Unreadable("is no picture: it is a RIFF file, but not WebP")
    if length + 8 > len(content):
        raise _Unreadable(_CUT_SHORT)
    if kind == b"VP8X":
        sides = bytes(content[24:30])
        return 1 + int.from_bytes(sides[:3], "little"), 1 + int.from_bytes(sides[3:], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", content, 26)
    return width & 0x3FFF, height & 0x3FFF


def _measure_bmp(content: bytes) -> tuple[int, int]:
    """From the information header, whose oldest kind has 12 bytes. A negative height means top row first."""
    declared, length = struct.unpack_from("<I8xI", content, 2)
    if declared > len(content):
        raise _Unreadable(_CUT_SHORT)
    width, height = struct.unpack_from("<HH" if length == 12 else "<ii", content, 18)
    return width, abs(height)


_FORMATS: dict[bytes, Callable[[bytes], tuple[int, int]]] = {
    b"\xff\xd8\xff": _measure_jpeg,
    b"\x89PNG\r\n\x1a\n": _measure_png,
    b"RIFF": _measure_webp,
    b"BM": _measure_bmp,
}


_OTHERS = (
    ("GIF", 0, b"GIF8"),
    ("TIFF", 0, b"II*\0"),
    ("TIFF", 0, b"MM\0*"),
    ("AVIF", 4, b"ftypavif"),
    *(("HEIC", 4, b"ftyp" + brand) for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")),
    ("JPEG 2000", 4, b"jP  "),
    ("JPEG XL", 0, b"\xff\x0a"),
    ("PDF", 0, b"%PDF"),
)
"""Other kinds of pictures, by what is written where: telephones make HEIC, scanners TIFF."""


def _decode(content: bytes, flags: int) -> Image:
    """Decode by OpenCV, which also applies the orientation; its own complaints are kept off stderr."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        image = None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if image is None:
        raise _Unreadable("is damaged: it cannot be decoded; copy it again")
    return np.ascontiguousarray(image)
