"""The images and videos that a command was given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from device.capture.camera import EndOfSource
from device.capture.opencv import CUT_SHORT, VideoFileSource
from device.capture.pictures import SUFFIXES, read_picture
from device.capture.pixels import to_image
from device.datatypes import Image
from device.errors import InputError

IMAGES = frozenset(SUFFIXES)
VIDEOS = {".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts"}


@dataclass(frozen=True, slots=True)
class Picture:
    """One image, or one frame of a video. `error` says why there is none to look at."""

    path: Path
    frame: int | None
    image: Image | None
    error: str = ""


def expand(paths: tuple[Path, ...], *, videos: bool) -> list[Path]:
    """The files that are meant: those given, and the images (and videos) below folders, by name.

    Files that are given are taken whatever their name. A path that is not there stays in the list: reading it says so.

    Raises:
        InputError: a folder holds nothing to look at.
    """
    suffixes = IMAGES | VIDEOS if videos else IMAGES
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
        if not found:
            raise InputError(f"{printable(path)}: no image{' or video' if videos else ''} in this folder or below it")
        files += found
    return files


def is_video(path: Path) -> bool:
    """Whether a file is taken for a video, by its name."""
    return path.suffix.lower() in VIDEOS


def pictures(path: Path) -> Iterator[Picture]:
    """Every picture of one file; a file that cannot be read, or not to its end, gives one with `error`."""
    if not is_video(path):
        yield still(path)
        return
    source = VideoFileSource(path)
    index = 0
    try:
        source.open()
        while True:
            source.grab()
            yield Picture(path, index, to_image(source.retrieve(), 0))
            index += 1
    except EndOfSource:
        promised = _promised(path)
        if index < promised * CUT_SHORT - 2:
            yield Picture(path, index, None, f"{path} is cut short: {index} of {promised} pictures could be read")
    except InputError as error:
        yield Picture(path, index if index else None, None, str(error))
    finally:
        source.close()


def printable(name: object) -> str:
    """A text with a file's name in it, as text that is valid UTF-8: other bytes of the name become `\\xe9`."""
    return str(name).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _promised(path: Path) -> int:
    """How many pictures a video says it has; 0 where it says nothing that can be believed."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    finally:
        capture.release()
    return int(count) if 0 < count < 1e9 else 0


def still(path: Path) -> Picture:
    """One image file; with `error` where it cannot be read."""
    try:
        return Picture(path, None, read_picture(path))
    except InputError as error:
        return Picture(path, None, None, str(error))


def describe_stills(
    paths: tuple[Path, ...],
    describe: Callable[[str, Image], dict[str, Any]],
    tell: Callable[[dict[str, Any], bool], None],
    as_json: bool,
) -> bool:
    """Describe each image of some paths; one that cannot be read is told with `error`, the others are still done.

    Args:
        paths: images and folders of them.
        describe: makes a row of a name and a picture (HxWx3 uint8 RGB).
        tell: prints a row, as JSON or for people.
        as_json: which of the two.
    Returns:
        Whether all could be read.
    Raises:
        InputError: a folder holds nothing to look at.
    """
    from device.commands.detect import progress

    files = expand(paths, videos=False)
    complete = True
    for picture in progress((still(path) for path in files), len(files), quiet=as_json):
        name = printable(picture.path)
        if picture.image is None:
            complete = False
            tell({"path": name, "error": printable(picture.error)}, as_json)
        else:
            tell(describe(name, picture.image), as_json)
    return complete
