"""Recordings that are not one video: a picture, a folder of pictures, a folder of clips."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from device.capture.camera import EndOfSource, Raw, Source
from device.capture.opencv import VideoFileSource
from device.capture.pictures import SUFFIXES, read_picture
from device.datatypes import Image
from device.errors import InputError

log = logging.getLogger(__name__)

CLIP_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".ts", ".mpg", ".mpeg")
"""Names of videos in a folder, in lower case."""


def replay(path: Path, fps: float, *, loop: bool = False) -> Source:
    """Make the source for a file or folder: by its name a picture, else a video; of a folder its pictures, else its
    clips.

    Raises:
        InputError: it is not there, or the folder holds nothing that could be played.
    """
    if not path.is_dir():
        return StillsSource([path], fps, loop=loop) if _is(path, SUFFIXES) else VideoFileSource(path, loop=loop)
    try:
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    except PermissionError:
        raise InputError(f"the folder {path} may not be read by this user; change its permissions") from None
    pictures = [file for file in files if _is(file, SUFFIXES)]
    clips = [file for file in files if _is(file, CLIP_SUFFIXES)]
    if pictures and clips:
        log.warning("%s holds pictures and videos: its %d pictures are played, the videos are not", path, len(pictures))
    if pictures:
        return StillsSource(pictures, fps, loop=loop)
    if clips:
        return ClipsSource(clips, loop=loop)
    raise InputError(f"the folder {path} holds no picture ({', '.join(SUFFIXES)}) and no video that could be played")


class StillsSource:
    """Pictures one after the other, `fps` a second; one that cannot be read is told and left out.

    Args:
        paths: the files, in the order of playing.
        fps: pictures a second, so that each is looked at once.
        loop: start again after the last.
    """

    live = False
    queued = False

    def __init__(self, paths: Sequence[Path], fps: float, *, loop: bool = False) -> None:
        self.loop = loop
        self.description = str(paths[0]) if len(paths) == 1 else f"{len(paths)} pictures in {paths[0].parent}"
        self._paths = list(paths)
        self._step_s = 1.0 / fps
        self._number = 0
        self._played = 0
        self._image: Image | None = None
        self._fault: InputError | None = None

    def open(self) -> None:
        """Find the first picture that can be read. Raises InputError where there is none: what is wrong with the
        first."""
        self._number, self._played, self._fault = 0, 0, None
        self._image = self._next()
        if self._image is None:
            raise self._fault or InputError(f"{self.description}: there is no picture to play")

    def grab(self) -> float:
        """See `Source`."""
        if self._played:
            self._image = self._next()
        if self._image is None:
            raise EndOfSource
        self._played += 1
        return (self._played - 1) * self._step_s

    def retrieve(self) -> Raw:
        """See `Source`."""
        if self._image is None:
            raise InputError(f"{self.description}: no picture is open")
        return Raw(self._image, "RGB")

    def close(self) -> None:
        """See `Source`."""
        self._image = None

    def _next(self) -> Image | None:
        while self._number < len(self._paths):
            path = self._paths[self._number]
            self._number += 1
            try:
                return read_picture(path)
            except InputError as error:
                self._fault = self._fault or error
                if len(self._paths) > 1:
                    log.warning("%s; left out", error)
        return None


class ClipsSource:
    """Videos one after the other, as if they were one.

    Args:
        paths: the files, in the order of playing.
        loop: start again after the last.
    """

    live = False
    queued = False

    def __init__(self, paths: Sequence[Path], *, loop: bool = False) -> None:
        self.loop = loop
        self.description = f"{len(paths)} videos in {paths[0].parent}"
        self._clips = [VideoFileSource(path) for path in paths]
        self._number = 0
        self._offset_s = 0.0
        self._last_s = 0.0
        self._interval_s = 0.04

    def open(self) -> None:
        """Open the first. Raises InputError where one cannot be played: better now than in the middle of the night."""
        for clip in self._clips[1:]:
            clip.open()
            clip.close()
        self._number, self._offset_s, self._last_s = 0, 0.0, 0.0
        self._clips[0].open()

    def grab(self) -> float:
        """See `Source`."""
        while True:
            try:
                time_s = self._offset_s + self._clips[self._number].grab()
            except EndOfSource:
                self._following()
                continue
            if time_s > self._last_s:
                self._interval_s = min(1.0, time_s - self._last_s)
            self._last_s = time_s
            return time_s

    def retrieve(self) -> Raw:
        """See `Source`."""
        return self._clips[self._number].retrieve()

    def close(self) -> None:
        """See `Source`."""
        for clip in self._clips:
            clip.close()

    def _following(self) -> None:
        """Go to the next clip, which begins one interval after the last picture; raise EndOfSource after the last
        clip."""
        self._clips[self._number].close()
        if self._number + 1 >= len(self._clips):
            raise EndOfSource
        self._number += 1
        self._offset_s = self._last_s + self._interval_s
        self._clips[self._number].open()


def _is(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(suffixes)
