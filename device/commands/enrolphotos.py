"""What `sereno enrol` looks at: photos, folders of them, videos and cameras, each picture judged."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Never

from tqdm import tqdm

from device.access.collector import Collector, Kept
from device.access.enrolment import Accepted, PhotoJudge, Refused
from device.capture.reader import Reader
from device.commands.inputs import is_video, pictures, printable
from device.commands.sourceframes import next_image, open_reader
from device.datatypes import Image

Verdict = Accepted | Refused

FRAMES_MOST = 20
"""So many frames of a video or a camera are enough: good ones, each unlike those before."""
EVERY = 6
"""Of a video each so many frames are looked at: four or five a second."""
CAMERA_FPS = 5.0


@dataclass(frozen=True, slots=True)
class Judges:
    """Who judges a person's pictures: photos as they are, and moving pictures by what is new in them."""

    photos: PhotoJudge
    frames: Callable[[], Collector]

    def files(self, paths: Iterable[Path], bar: tqdm[Never]) -> Iterator[Verdict]:
        """A verdict for each photo and each frame of a video that was kept; `bar` goes on by one a file."""
        for path in paths:
            if is_video(path):
                yield from self._video(path)
            else:
                for picture in pictures(path):
                    name = printable(picture.path)
                    if picture.image is None:
                        yield Refused(name, printable(picture.error))
                    else:
                        yield self.photos.look(name, picture.image)
            bar.update()

    def camera(self, source: str, shown: str) -> Iterator[Verdict]:
        """The same for a camera or a stream, until frames are enough, or Ctrl-C. Raises InputError, ConfigError."""
        reader = open_reader(source, CAMERA_FPS)
        try:
            reader.start()
            yield from self._moving(shown, enumerate(_images(reader)))
        except KeyboardInterrupt:
            return
        finally:
            reader.stop()

    def _video(self, path: Path) -> Iterator[Verdict]:
        name = printable(path)
        errors: list[str] = []

        def images() -> Iterator[tuple[int, Image]]:
            for picture in pictures(path):
                if picture.image is None:
                    errors.append(printable(picture.error))
                elif (picture.frame or 0) % EVERY == 0:
                    yield picture.frame or 0, picture.image

        yield from self._moving(name, images())
        yield from (Refused(name, error) for error in errors)

    def _moving(self, name: str, images: Iterable[tuple[int, Image]]) -> Iterator[Verdict]:
        """Frames that are good and unlike each other; why others are not is told once for all of them."""
        collector = self.frames()
        with tqdm(
            total=FRAMES_MOST, unit="frame", file=sys.stderr, disable=not sys.stderr.isatty(), leave=False
        ) as bar:
            for index, image in images:
                kept = collector.look(image)
                if isinstance(kept, Kept):
                    yield self.photos.look_in_crop(f"{name} frame {index}", kept.crop, kept.landmarks)
                    bar.update()
                    if collector.kept >= FRAMES_MOST:
                        break
                else:
                    bar.set_postfix_str(kept.reason)
        reasons = {reason: count for reason, count in collector.refusals.items() if reason != LIKE}
        if reasons:
            told = ", ".join(
                f"{count} {reason}" for reason, count in sorted(reasons.items(), key=lambda item: -item[1])
            )
            yield Refused(f"{name}, some frames", told)


def _images(reader: Reader) -> Iterator[Image]:
    while (image := next_image(reader)) is not None:
        yield image


LIKE = "like an earlier one"
"""Of a frame that adds nothing to those before: no fault of it."""
