"""Every picture that can be read is; every other file is refused in a sentence, before it can do harm."""

from __future__ import annotations

import io
import os
import resource
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from device.capture.pictures import MAX_PIXELS, _measure_webp, decode_picture, read_picture
from device.errors import InputError

FORMATS = [".jpg", ".png", ".webp", ".bmp"]


def a_picture(width: int = 60, height: int = 40) -> np.ndarray:
    """RGB: red above, blue below, and a green mark in the left upper corner."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, :, 0] = 255
    image[height // 2 :, :, 2] = 255
    image[: height // 4, : width // 4] = (0, 255, 0)
    return image


def encoded(suffix: str, image: np.ndarray | None = None) -> bytes:
    """A file's content."""
    done, content = cv2.imencode(suffix, (a_picture() if image is None else image)[..., ::-1])
    assert done
    return content.tobytes()


def refusal(path: Path) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(InputError) as caught:
        read_picture(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize("suffix", FORMATS)
def test_ok__each_format_is_read_as_rgb(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(suffix))
    image = read_picture(path)
    assert image.shape == (40, 60, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    for y, x, colour in ((15, 40, 0), (35, 40, 2), (3, 3, 1)):
        assert image[y, x].argmax() == colour
        assert image[y, x].max() > 200


def test_ok__grey_sixteen_bit_and_transparent_pictures_become_rgb(tmp_path: Path) -> None:
    for index, image in enumerate(
        (np.full((8, 9), 77, np.uint8), np.full((8, 9, 3), 77 * 257, np.uint16), np.full((8, 9, 4), 77, np.uint8))
    ):
        path = tmp_path / f"{index}.png"
        assert cv2.imwrite(str(path), image)
        found = read_picture(path)
        assert found.shape == (8, 9, 3)
        assert (found == 77).all()


def by_pillow(form: str, image: PIL.Image.Image, **options: object) -> bytes:
    """A file's content as another library writes it."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("form", "mode"),
    [("JPEG", "CMYK"), ("JPEG", "RGB"), ("JPEG", "L"), ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "L"), ("PNG", "P")],
)
def test_ok__what_other_programs_write_looks_as_it_does_there(form: str, mode: str) -> None:
    image = PIL.Image.fromarray(a_picture()).convert(mode)
    found = decode_picture(by_pillow(form, image, quality=95), "a").astype(int)
    difference = np.abs(found - np.asarray(image.convert("RGB")))
    assert np.median(difference) <= 2
    assert difference[15, 40].max() <= 4
    assert difference[35, 40].max() <= 4


def test_ok__sixteen_bit_grey_keeps_its_upper_byte() -> None:
    values = np.arange(2400, dtype=np.uint16).reshape(40, 60) * 27
    found = decode_picture(by_pillow("PNG", PIL.Image.fromarray(values)), "a.png")
    np.testing.assert_allclose(found[..., 0], values // 256, atol=1)
    assert (found[..., 0] == found[..., 2]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_ok__all_eight_orientations_in_each_format(form: str, orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    content = by_pillow(form, PIL.Image.fromarray(a_picture()), exif=exif.tobytes(), quality=95)
    expected = np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(content))).convert("RGB"))
    found = decode_picture(content, "a")
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() < 60


@pytest.mark.parametrize(("form", "name"), [("GIF", "GIF"), ("TIFF", "TIFF"), ("AVIF", "AVIF"), ("PDF", "PDF")])
def test_fail__another_kind_of_picture_is_called_by_its_name(form: str, name: str) -> None:
    content = by_pillow(form, PIL.Image.fromarray(a_picture()))
    with pytest.raises(InputError, match=f"a.jpg is a {name} file, which is not read: convert it to JPEG or PNG"):
        decode_picture(content, "a.jpg")


def test_ok__the_content_counts_and_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "really-a-png.jpg"
    path.write_bytes(encoded(".png"))
    assert read_picture(path).shape == (40, 60, 3)


def with_orientation(jpeg: bytes, value: int) -> bytes:
    """The JPEG with an EXIF segment that holds one tag, 0x0112 Orientation."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, value, 0, 0)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


@pytest.mark.parametrize(
    ("value", "shape", "mark"),
    [(1, (40, 60, 3), (3, 3)), (3, (40, 60, 3), (36, 56)), (6, (60, 40, 3), (3, 36)), (8, (60, 40, 3), (56, 3))],
)
def test_ok__a_photo_is_turned_as_its_exif_says(value: int, shape: tuple[int, ...], mark: tuple[int, int]) -> None:
    image = decode_picture(with_orientation(encoded(".jpg"), value), "a.jpg")
    assert image.shape == shape
    assert image[mark].argmax() == 1
    assert image[mark].max() > 200


def test_fail__missing(tmp_path: Path) -> None:
    assert "cannot be read: No such file or directory" in refusal(tmp_path / "nowhere.jpg")


def test_fail__a_folder(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


def test_fail__a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "is no regular file" in refusal(tmp_path / "pipe.jpg")


def test_fail__empty(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert "is empty" in refusal(tmp_path / "a.jpg")


def test_fail__a_text_file_named_jpg(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("Dear diary")
    assert "is no picture, whatever its name says" in refusal(tmp_path / "a.jpg")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("part", [0.001, 0.01, 0.3, 0.6, 0.97])
def test_fail__truncated(tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, part: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    whole = encoded(suffix, noise)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(whole[: max(3, int(len(whole) * part))])
    sentence = refusal(path)
    assert "cut short" in sentence or (suffix == ".png" and part == 0.001 and "no picture" in sentence)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", FORMATS)
def test_fail__one_byte_short(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(suffix)[:-1])
    assert "cut short" in refusal(path)


def test_fail__a_flipped_byte_in_a_png(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = bytearray(encoded(".png"))
    content[len(content) // 2] ^= 1
    (tmp_path / "a.png").write_bytes(content)
    assert "checksum" in refusal(tmp_path / "a.png")
    assert capfd.readouterr().err == ""


def vast_png(side: int) -> bytes:
    """A PNG of side x side black pixels, one bit each, which is small as a file."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(1)
    row = bytes(1 + -(-side // 8))
    rows = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_fail__thirty_thousand_pixels_square_are_never_decoded(tmp_path: Path) -> None:
    path = tmp_path / "vast.png"
    path.write_bytes(vast_png(30_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sentence = refusal(path)
    assert "30000 x 30000 pixels, above the limit of 80,000,000" in sentence
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB; decoded it has 2.7 GB.


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp"])
def test_fail__a_header_that_promises_too_much(tmp_path: Path, suffix: str) -> None:
    _, array = cv2.imencode(suffix, a_picture(), [cv2.IMWRITE_WEBP_QUALITY, 80])
    content = bytearray(array.tobytes())
    if suffix == ".jpg":
        position = content.index(b"\xff\xc0") + 5
        content[position : position + 4] = struct.pack(">HH", 60_000, 60_000)
    elif suffix == ".bmp":
        content[18:26] = struct.pack("<ii", 60_000, -60_000)
    else:
        content[26:30] = struct.pack("<HH", 16_000, 16_000)
    (tmp_path / f"a{suffix}").write_bytes(content)
    assert "above the limit" in refusal(tmp_path / f"a{suffix}")


def test_ok__lossy_and_lossless_webp_tell_their_size() -> None:
    for quality in (80, 101):
        _, array = cv2.imencode(".webp", a_picture(301, 203), [cv2.IMWRITE_WEBP_QUALITY, quality])
        assert _measure_webp(array.tobytes()) == (301, 203)


def test_ok__the_limit_lets_every_pi_camera_pass() -> None:
    assert MAX_PIXELS > 9248 * 6944


@pytest.mark.parametrize("magic", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM", b"RIFF\x10\0\0\0WAVEfmt "])
def test_fail__a_magic_number_and_then_anything(
    tmp_path: Path, magic: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jpg"
    for seed in range(30):
        path.write_bytes(magic + np.random.default_rng(seed).bytes(400))
        refusal(path)
    assert "Traceback" not in capfd.readouterr().err


def test_ok__real_photos_are_read(shared_data: Path) -> None:
    paths = sorted((shared_data / "coco" / "images" / "val").iterdir())
    for path in paths[:8]:
        expected = cv2.imread(str(path))[..., ::-1]
        np.testing.assert_array_equal(read_picture(path), expected)
