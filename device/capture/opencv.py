"""Cameras and recordings that OpenCV reads: V4L2 devices, network streams and video files through FFmpeg."""

from __future__ import annotations

import logging
import math
import os
import re
import socket
import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# Before OpenCV is loaded: a person shall read one sentence of ours, not FFmpeg's mutterings about packets.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
# RTSP over TCP: over UDP a lost packet smears half the picture, and the smear is motion.
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")

import cv2
import numpy.typing as npt

from device.capture.camera import EndOfSource, Raw
from device.errors import InputError

log = logging.getLogger(__name__)

OPEN_TIMEOUT_S = 8.0
"""A stream must have shown its first picture within so long. Cameras send a key frame each 1 to 4 s, and FFmpeg waits
for one."""
CONNECT_TIMEOUT_S = 3.0
"""A camera on the network that has not accepted a connection by then is off, or has another address."""
LONGEST_GAP_S = 60.0
"""A jump between two presentation times of a file beyond this is a broken time stamp, not a pause."""
CUT_SHORT = 0.98
"""A file that has fewer of its promised pictures is reported as cut short; containers miscount by a few."""


class _Capture:
    """What the kinds of source here share: one `cv2.VideoCapture`, opened so far that a picture is grabbed."""

    def __init__(self) -> None:
        self._capture: cv2.VideoCapture | None = None
        self._buffer: npt.NDArray[Any] | None = None
        self._pending = False

    def _take_over(self, capture: cv2.VideoCapture) -> bool:
        """Keep an opened capture if it gives a picture; `grab` finds that one first."""
        self.close()
        if not capture.isOpened() or not capture.grab():
            capture.release()
            return False
        self._capture, self._pending = capture, True
        return True

    def _advance(self) -> bool:
        """Grab the next picture; False where there is none."""
        if self._pending:
            self._pending = False
            return True
        return self._capture is not None and bool(self._capture.grab())

    def _decode(self) -> Raw | None:
        """The grabbed picture, in a buffer that is used again: conversion to RGB makes the fresh one."""
        if self._capture is None:
            return None
        good, self._buffer = self._capture.retrieve(self._buffer)
        return (
            Raw(self._buffer, "BGR" if self._buffer.ndim == 3 else "GREY")
            if good and self._buffer is not None
            else None
        )

    def close(self) -> None:
        """See `Source`."""
        if self._capture is not None:
            self._capture.release()
        self._capture = None


class DeviceSource(_Capture):
    """A camera at this machine by Video4Linux 2.

    Args:
        device: its path, as /dev/video0.
        width, height: the size that it is asked for, in pixels; it gives the nearest it has.
        read_timeout_s: a picture that takes longer is not coming.
    """

    live = True
    loop = False
    queued = False

    def __init__(self, device: str, width: int, height: int, read_timeout_s: float = 10.0) -> None:
        super().__init__()
        self.description = device
        self._size = (width, height)
        self._read_timeout_s = read_timeout_s

    def open(self) -> None:
        """See `Source`."""
        self._require_device()
        asked = [cv2.CAP_PROP_FRAME_WIDTH, self._size[0], cv2.CAP_PROP_FRAME_HEIGHT, self._size[1]]
        capture = cv2.VideoCapture(
            self.description, cv2.CAP_V4L2, [*asked, cv2.CAP_PROP_READ_TIMEOUT_MSEC, self._timeout_ms()]
        )
        if not capture.isOpened():
            # Some drivers refuse the parameters, not the camera.
            capture = cv2.VideoCapture(self.description, cv2.CAP_V4L2)
            for prop, value in zip(asked[::2], asked[1::2], strict=True):
                capture.set(prop, value)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # The newest picture, not the oldest of four.
        if not self._take_over(capture):
            raise InputError(
                f"{self.description} is there but gives no picture: is another program using it, or is it no camera?"
            )

    def grab(self) -> None:
        """See `Source`."""
        if not self._advance():
            if not Path(self.description).exists():
                raise InputError(f"{self.description} is gone: plug the camera in again")
            raise InputError(f"{self.description} stopped giving pictures")

    def retrieve(self) -> Raw:
        """See `Source`."""
        raw = self._decode()
        if raw is None:
            raise InputError(f"{self.description} gave a picture that cannot be decoded")
        return raw

    def _timeout_ms(self) -> int:
        return int(self._read_timeout_s * 1000)

    def _require_device(self) -> None:
        path = Path(self.description)
        if not path.exists():
            others = sorted(str(other) for other in Path("/dev").glob("video*"))
            there = f"this machine has {', '.join(others)}" if others else "this machine has no camera at /dev/video*"
            raise InputError(f"{path} is not there; {there}: plug it in, or correct `source`")
        if not stat.S_ISCHR(path.stat().st_mode):
            raise InputError(f"{path} is no camera device; `source` must name one, as /dev/video0")
        if not os.access(path, os.R_OK | os.W_OK):
            raise InputError(f"{path} may not be used by this user: add the user to the group `video` and log in again")


class StreamSource(_Capture):
    """A camera on the network: RTSP, or HTTP (MJPEG and whatever FFmpeg knows).

    Args:
        url: with user name and password where it needs them; they are never shown.
        read_timeout_s: a picture that takes longer is not coming.
        open_timeout_s: it must have given its first picture by then.
    """

    live = True
    loop = False
    queued = True

    def __init__(self, url: str, read_timeout_s: float = 10.0, open_timeout_s: float = OPEN_TIMEOUT_S) -> None:
        super().__init__()
        self._url = url
        self.description = without_password(url)
        self._timeouts = (open_timeout_s, read_timeout_s)
        # Of MJPEG over HTTP, FFmpeg counts the pictures and calls that their times.
        self._timed = url.lower().startswith("rtsp")

    def open(self) -> None:
        """See `Source`."""
        self._require_answer()
        open_ms, read_ms = (int(seconds * 1000) for seconds in self._timeouts)
        options = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            open_ms,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            read_ms,
            cv2.CAP_PROP_N_THREADS,
            1,
        ]
        if not self._take_over(cv2.VideoCapture(self._url, cv2.CAP_FFMPEG, options)):
            raise InputError(
                f"{self.description} answers but sends no video that can be read: "
                "check the path, the user name and the password"
            )

    def grab(self) -> float | None:
        """See `Source`."""
        if not self._advance():
            raise InputError(f"{self.description} stopped sending: is the camera on, and the network up?")
        taken_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 if self._capture is not None and self._timed else 0.0
        return taken_s if math.isfinite(taken_s) and taken_s > 0 else None

    def retrieve(self) -> Raw:
        """See `Source`."""
        raw = self._decode()
        if raw is None:
            raise InputError(f"{self.description} sent a picture that cannot be decoded")
        return raw

    def _require_answer(self) -> None:
        """A connection of our own first: it tells a wrong address from a wrong path, which FFmpeg does not."""
        host, port = host_and_port(self._url)
        try:
            socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S).close()
        except socket.gaierror:
            raise InputError(f"{self.description}: nobody knows the name {host}; check the address") from None
        except TimeoutError:
            raise InputError(
                f"{self.description}: {host} port {port} does not answer; is the camera on, and the address right?"
            ) from None
        except ValueError:  # A name with an empty or too long part: UnicodeError.
            raise InputError(f"{self.description}: no machine can have the name {host}; check the address") from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InputError(
                f"{self.description}: {host} port {port} cannot be reached ({reason}); check address and port"
            ) from None


class VideoFileSource(_Capture):
    """A video file.

    Args:
        path: the file.
        loop: start again at its end.
    """

    live = False
    queued = False

    def __init__(self, path: Path, *, loop: bool = False) -> None:
        super().__init__()
        self.description = str(path)
        self.loop = loop
        self._path = path
        self._times = PresentationTimes(0.0)
        self._count = 0
        self._promised = 0

    def open(self) -> None:
        """See `Source`."""
        _require_file(self._path)
        capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not capture.isOpened():
            raise InputError(f"{self._path} is no video that can be read: it is damaged, cut short, or something else")
        self._times = PresentationTimes(capture.get(cv2.CAP_PROP_FPS))
        self._promised = int(max(0.0, min(capture.get(cv2.CAP_PROP_FRAME_COUNT), 1e9)))
        self._count = 0
        if not self._take_over(capture):
            raise InputError(f"{self._path} holds no picture that can be decoded: it is damaged or cut short")

    def grab(self) -> float:
        """See `Source`."""
        if self._capture is None or not self._advance():
            if self._count < self._promised * CUT_SHORT - 2:
                log.warning("%s is cut short: %d of %d pictures could be read", self._path, self._count, self._promised)
            raise EndOfSource
        self._count += 1
        return self._times.next(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)

    def retrieve(self) -> Raw:
        """See `Source`."""
        raw = self._decode()
        if raw is None:
            raise InputError(f"picture {self._count} of {self._path} cannot be decoded")
        return raw


class PresentationTimes:
    """Times of a file's pictures, as its container says them (also at a variable rate), mended where they are broken.

    Args:
        fps: the file's nominal rate; taken as 25 where it says none.
    """

    def __init__(self, fps: float) -> None:
        self._step_s = 1 / fps if math.isfinite(fps) and 0.01 <= fps <= 1000 else 1 / 25
        self._first = 0.0
        self._shift = 0.0
        self._last = -1.0

    def next(self, stated_s: float) -> float:
        """Seconds since the first picture, strictly increasing. `stated_s` is what the container says."""
        if self._last < 0:
            self._first = stated_s if math.isfinite(stated_s) else 0.0
            self._last = 0.0
            return 0.0
        time_s = stated_s - self._first + self._shift
        if not (math.isfinite(time_s) and self._last < time_s <= self._last + LONGEST_GAP_S):
            time_s = self._last + self._step_s
            if math.isfinite(stated_s):
                self._shift = time_s - (stated_s - self._first)
        self._last = time_s
        return time_s


def without_password(url: str) -> str:
    """A URL as it may be shown: the password before the host, and secrets in the query, replaced by ***."""
    # A password may hold anything, also "/" and "@"; what is all digits up to a "/" is a port.
    shown = re.sub(r"(?<=//)([^/@:]*):(?!\d+/)\S*@", r"\1:***@", url)
    return re.sub(r"(?i)([?&][^=&]*(?:pass|pwd|token|key|auth)[^=&]*=)[^&]*", r"\1***", shown)


def host_and_port(url: str) -> tuple[str, int]:
    """Whom a stream's URL names. Raises InputError where it names nobody."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise InputError(
            f"{without_password(url)} is no address of a camera; "
            "it must look like rtsp://user:password@192.168.1.20:554/stream"
        )
    return host, port or {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}[parts.scheme]


def _require_file(path: Path) -> None:
    """Refuse what cannot be a video before FFmpeg sees it."""
    try:
        if not path.is_file():
            raise InputError(f"{path} is not there; `source` must name a video, a picture or a folder of pictures")
        with path.open("rb") as file:
            if not file.read(1):
                raise InputError(f"{path} is empty; it must be a video")
    except PermissionError:
        raise InputError(f"{path} may not be read by this user; change its permissions") from None


cv2.utils.logging.setLogLevel(
    cv2.utils.logging.LOG_LEVEL_SILENT
)  # Another room may have loaded OpenCV before the environment was set.
