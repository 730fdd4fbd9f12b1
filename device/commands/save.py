"""Pictures and videos with boxes drawn, for `detect --save`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2

from device.commands.inputs import Picture, is_video, printable
from device.datatypes import Detection, Image
from device.drawing import Caption, draw, encode
from device.errors import InputError


class Saver:
    """Writes `<name>.jpg` for images and `<name>.mp4` for videos, with the inputs' folders below their common one.

    A file appears under its name when it is whole. A context manager: what was begun and not finished is removed.
    """

    def __init__(self, folder: Path, files: list[Path]) -> None:
        """Settle where each result goes, and make the folder.

        Raises:
            InputError: a result would replace one of the inputs or another result, or the folder cannot be made.
        """
        self._targets = targets(folder, files)
        self._video: _Video | None = None
        _make_folder(folder)

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        elif self._video is not None:
            self._video.discard()

    def add(self, picture: Picture, found: list[Detection]) -> None:
        """Draw and write one picture. Raises InputError where it cannot be written."""
        assert picture.image is not None
        image = picture.image.copy()
        draw(image, [Caption(d.xyxy, d.label, d.confidence, d.class_id) for d in found])
        target = self._targets[picture.path.resolve()]
        if self._video is not None and self._video.target != target:
            self.close()
        if picture.frame is None:
            _make_folder(target.parent)
            _write(target, encode(image, quality=90))
            return
        if self._video is None:
            _make_folder(target.parent)
            self._video = _Video(target, picture.path, image)
        self._video.add(image)

    def close(self) -> None:
        """Finish the video that is being written. Raises InputError where it is not whole."""
        video, self._video = self._video, None
        if video is not None:
            video.finish()


def targets(folder: Path, files: Iterable[Path]) -> dict[Path, Path]:
    """Where the result of each input goes, by the input's resolved path.

    Inputs that differ in their suffix only keep it: the results of `x.jpg` and `x.png` are `x.jpg` and `x.png.jpg`.

    Raises:
        InputError: a result would replace one of the inputs, or another result.
    """
    inputs = list(dict.fromkeys(path.resolve() for path in files))
    common = Path(os.path.commonpath([path.parent for path in inputs]))
    short = {path: (folder / path.relative_to(common)).with_suffix(_suffix(path)) for path in inputs}
    names = Counter(short.values())
    chosen: dict[Path, Path] = {}
    for path, target in short.items():
        if names[target] > 1 and path.suffix != target.suffix:
            target = target.with_name(path.name + target.suffix)
        chosen[path] = target
    _refuse_losses(chosen)
    return chosen


def _suffix(path: Path) -> str:
    return ".mp4" if is_video(path) else ".jpg"


def _refuse_losses(chosen: dict[Path, Path]) -> None:
    originals = {identity: path for path in chosen if (identity := _identity(path))}
    taken: dict[Path, Path] = {}
    for path, target in chosen.items():
        original = originals.get(_identity(target) or (0, 0))
        if original is not None:
            raise InputError(f"--save would replace {printable(original)}; name another folder than that of the inputs")
        if target in taken:
            raise InputError(
                f"the results of {printable(taken[target])} and {printable(path)} would both be {printable(target)}; "
                "save them one after the other into two folders"
            )
        taken[target] = path


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells one file from another, whatever its name; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


class _Video:
    """A video that is being written, under a name of its own until it is whole."""

    def __init__(self, target: Path, source: Path, first: Image) -> None:
        """Begin with the size of the picture `first` and the rate of the video `source`. Raises InputError."""
        self.target = target
        self._part = _part(target)
        self._frames = 0
        height, width = first.shape[:2]
        capture = cv2.VideoCapture(str(source))
        fps = capture.get(cv2.CAP_PROP_FPS) or 25.0
        capture.release()
        four = cv2.VideoWriter.fourcc(*"mp4v")
        self._writer: Any = cv2.VideoWriter(str(self._part), four, fps, (width, height))
        if not self._writer.isOpened():
            self.discard()
            raise InputError(f"{printable(target)}: cannot write a video there")

    def add(self, image: Image) -> None:
        """Append one picture, HxWx3 RGB uint8."""
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self._frames += 1

    def finish(self) -> None:
        """Give it its name. OpenCV tells nobody of a write that failed: what is there is counted."""
        self._writer.release()
        written = cv2.VideoCapture(str(self._part))
        count = int(written.get(cv2.CAP_PROP_FRAME_COUNT)) if written.isOpened() and written.grab() else 0
        written.release()
        if count != self._frames:
            self.discard()
            raise InputError(
                f"{printable(self.target)}: only {count} of {self._frames} pictures could be written; is the disk full?"
            )
        _rename(self._part, self.target)

    def discard(self) -> None:
        """Leave nothing behind."""
        self._writer.release()
        self._part.unlink(missing_ok=True)


def _part(target: Path) -> Path:
    """What a file is called while it is written; OpenCV chooses the format by the suffix."""
    return target.with_name(f".{target.stem}.part{target.suffix}")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"cannot be made: {error.strerror}; name another folder with --save"
        raise InputError(f"{printable(folder)}: {reason}") from None


def _write(path: Path, content: bytes) -> None:
    part = _part(path)
    try:
        part.write_bytes(content)
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be written: {error.strerror}") from None
    else:
        _rename(part, path)
    finally:
        part.unlink(missing_ok=True)


def _rename(part: Path, target: Path) -> None:
    try:
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{printable(target)}: cannot be written: {error.strerror}") from None
