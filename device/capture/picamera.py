"""The Raspberry Pi's own camera, by picamera2."""

from __future__ import annotations

import logging
from typing import Any

from device.capture.camera import Pixels, Raw
from device.errors import InputError

log = logging.getLogger(__name__)

# picamera2 names its formats as DRM does, from the highest byte down: its "RGB888" lies in memory as B, G, R, and its
# "BGR888" as R, G, B (Picamera2 Manual, appendix A). The latter is what everything here works on: no conversion.
_MAIN = "BGR888"
# The low-resolution stream exists as YUV 4:2:0 on every Pi, as RGB on the Pi 5 only (Picamera2 Manual, "streams").
_LORES = "YUV420"

_FORMATS: dict[str, tuple[str, Pixels]] = {"main": (_MAIN, "RGB"), "lores": (_LORES, "I420")}


class PicameraSource:
    """A camera at the Pi's camera connector.

    Args:
        width, height: pixels of the stream that is read.
        fps: the rate that the sensor is asked for.
        stream: `main`, or `lores`: half the memory traffic of `main`, at the same size.
        number: which camera, from 0.
        driver: a `picamera2.Picamera2` class; None imports it. Tests hand in their own.
    """

    live = True
    queued = False
    loop = False

    def __init__(
        self, width: int, height: int, fps: float, stream: str = "main", number: int = 0, driver: Any = None
    ) -> None:
        self.description = f"picamera2 camera {number} ({stream}, {width}x{height})"
        self._size = (width, height)
        self._fps = fps
        self._stream = stream
        self._number = number
        self._driver = driver
        self._camera: Any = None
        self._request: Any = None
        self._format, self._pixels = _FORMATS[stream]

    def open(self) -> None:
        """See `Source`."""
        driver = self._driver or _import_driver()
        if not len(driver.global_camera_info()) > self._number:
            raise InputError(
                f"picamera2 sees no camera {self._number}: check its ribbon cable; "
                "`rpicam-hello --list-cameras` must list it"
            )
        try:
            self._camera = driver(self._number)
            self._camera.configure(self._configuration())
            self._check_format()
            self._camera.start()
        except (RuntimeError, IndexError) as error:
            self.close()
            raise InputError(
                f"the Pi's camera {self._number} does not start ({error}): is another program using it?"
            ) from None

    def grab(self) -> None:
        """See `Source`. Blocks while the camera hangs; the reader sees that from outside."""
        self._release()
        try:
            self._request = self._camera.capture_request()
        except RuntimeError as error:
            raise InputError(f"the Pi's camera {self._number} gives no more pictures ({error})") from None

    def retrieve(self) -> Raw:
        """See `Source`."""
        # make_array copies out of the camera's buffer, so that the buffer can go back at once.
        array = self._request.make_array(self._stream)
        self._release()
        return Raw(array, self._pixels, self._size[0])

    def close(self) -> None:
        """See `Source`."""
        self._release()
        if self._camera is not None:
            self._camera.close()
        self._camera = None

    def _release(self) -> None:
        if self._request is not None:
            self._request.release()
        self._request = None

    def _configuration(self) -> Any:
        """Four buffers: with fewer the sensor skips pictures while one is looked at."""
        asked = {"size": self._size, "format": _MAIN}
        lores = {"size": self._size, "format": _LORES} if self._stream == "lores" else None
        return self._camera.create_video_configuration(
            main=asked, lores=lores, buffer_count=4, controls={"FrameRate": self._fps}
        )

    def _check_format(self) -> None:
        """A driver that gives another format than asked would show people blue: refuse it."""
        given = self._camera.camera_configuration()[self._stream]
        if given["format"] != self._format:
            raise InputError(
                f"the Pi's camera {self._number} gives {given['format']} where {self._format} was asked for"
            )
        self._size = (int(given["size"][0]), int(given["size"][1]))


def _import_driver() -> Any:
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise InputError(
            f"`source: picamera2` needs the package picamera2 ({error}): on Raspberry Pi OS run "
            "`sudo apt install python3-picamera2` and make the environment with --system-site-packages"
        ) from None
    return Picamera2
