"""Pictures and videos with boxes drawn, for `detect --save`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2

from device.commands.inputs import Picture
from device.datatypes import Detection
from device.drawing import Caption, draw, encode
from device.errors import InputError


class Saver:
    """Writes `<name>.jpg` for images and `<name>.mp4` for videos, with the inputs' folders below their common one.

    Raises:
        InputError: the folder cannot be made or written to.
    """

    def __init__(self, folder: Path, files: list[Path]) -> None:
        self._folder = folder
        resolved = [path.resolve() for path in files]
        self._common = Path(os.path.commonpath([path.parent for path in resolved]))
        self._writer: Any = None
        self._writing: Path | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be made: {error.strerror}; name another folder with --save") from None

    def add(self, picture: Picture, found: list[Detection]) -> None:
        """Draw and write one picture. Raises InputError where it cannot be written."""
        assert picture.image is not None
        image = picture.image.copy()
        draw(image, [Caption(d.xyxy, d.label, d.confidence, d.class_id) for d in found])
        target = self._folder / picture.path.resolve().relative_to(self._common)
        target.parent.mkdir(parents=True, exist_ok=True)
        if picture.frame is None:
            _write(target.with_suffix(".jpg"), encode(image, quality=90))
            return
        if self._writing != target:
            self.close()
            height, width = image.shape[:2]
            fps = cv2.VideoCapture(str(picture.path)).get(cv2.CAP_PROP_FPS) or 25.0
            four = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(target.with_suffix(".mp4")), four, fps, (width, height))
            self._writing = target
            if not self._writer.isOpened():
                raise InputError(f"{target.with_suffix('.mp4')}: cannot write a video there")
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the video that is being written."""
        if self._writer is not None:
            self._writer.release()
        self._writer = self._writing = None


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
