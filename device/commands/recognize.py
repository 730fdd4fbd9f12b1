"""`sereno recognize`: who is in these photos and videos."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from device.commands.galleryfile import GalleryFile, file_options, model_option

if TYPE_CHECKING:
    from device.access.face_detector import FaceDetector
    from device.access.facetracker import FaceTracker
    from device.access.gallery import Gallery
    from device.access.liveness import LivenessChain
    from device.access.policy.rules import Rules
    from device.access.recognizer import Recognizer
    from device.commands.inputs import Picture
    from device.datatypes import Face, Frame, Image, Liveness

VIDEO_FPS = 10.0
"""Where a video doesn't say how many frames a second it has."""


@click.command(
    epilog="""\b
Examples: sereno recognize party.jpg --gallery gallery.db
          sereno recognize clip.mp4 --json | jq '.faces[].name'"""
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@file_options
@model_option
@click.option("--detector", help="One of task `face-detect`.  [default: yunet, or blazeface where it is not there]")
@click.option(
    "--fmr",
    type=click.FloatRange(1e-6, 1e-2),
    default=1e-4,
    show_default=True,
    help="Rate at which a stranger may be taken for anybody of the gallery.",
)
@click.option("--threads", type=click.IntRange(1, 16), default=1, show_default=True, help="Threads of each model.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: one an image or a frame.")
@click.option(
    "--save", type=click.Path(path_type=Path, file_okay=False), help="Write pictures and videos with names drawn there."
)
@click.pass_context
def recognize(
    ctx: click.Context,
    paths: tuple[Path, ...],
    file: GalleryFile,
    model: str | None,
    detector: str | None,
    fmr: float,
    threads: int,
    as_json: bool,
    save: Path | None,
) -> None:
    """Name the faces in images, folders and videos: those of the gallery, and `unknown` for everybody else.

    A photo alone proves nobody alive, so `liveness` says `pending`; over a video's frames it is judged as at a door.
    An input that cannot be read is told (with --json as a line with "error"), the others are still done, and the exit
    code is 1.
    """
    from device.access import facemodels
    from device.access.gallery import Gallery
    from device.access.gallerystore import absent
    from device.access.identification import rules_for
    from device.commands import inputs
    from device.commands.detect import progress
    from device.commands.save import Saver

    if not file.path.exists():
        raise absent(file.path)
    recognizer = facemodels.open_recognizer(model, threads)
    known = Known(
        Gallery.open(file.path, file.key(), recognizer.model_sha256),
        facemodels.open_detector(detector, threads),
        recognizer,
        rules_for(recognizer, fmr),
    )
    files = inputs.expand(paths, videos=True)
    failed = False
    with ExitStack() as finishing:
        saver = finishing.enter_context(Saver(save, files)) if save else None
        for picture in progress((p for path in files for p in inputs.pictures(path)), len(files), quiet=as_json):
            found = known.look(picture) if picture.image is not None else []
            failed |= bool(picture.error)
            _print(picture, found, as_json)
            if saver is not None and picture.image is not None:
                saver.add(picture, [one.drawn() for one in found])
    ctx.exit(1 if failed else 0)


@dataclass(frozen=True, slots=True)
class Named:
    """One face, and who it is: `similarity` is None where the gallery is empty."""

    face: Face
    name: str
    similarity: float | None
    liveness: Liveness
    quality: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "xyxy": [round(value, 2) for value in self.face.xyxy],
            "name": self.name,
            "similarity": None if self.similarity is None else round(self.similarity, 5),
            "liveness": {
                "state": self.liveness.state,
                "score": round(self.liveness.score, 4),
                "check": self.liveness.check,
            },
            "quality": list(self.quality),
        }

    def drawn(self) -> Any:
        """As a box with a name: one colour for strangers, one for everybody else."""
        from device.access.identification import UNKNOWN
        from device.datatypes import Detection

        stranger = self.name == UNKNOWN
        return Detection(self.face.xyxy, max(0.0, self.similarity or 0.0), int(not stranger), self.name)


@dataclass(slots=True)
class Known:
    """Gallery and models; follows the faces of a video."""

    gallery: Gallery
    detector: FaceDetector
    recognizer: Recognizer
    rules: Rules
    _video: Path | None = None
    _fps: float = VIDEO_FPS
    _tracker: FaceTracker | None = None
    _liveness: LivenessChain | None = None
    _names: dict[str, str] = field(default_factory=dict)

    def look(self, picture: Picture) -> list[Named]:
        """Every face of one picture, the largest first."""
        from device.access.liveness import open_liveness

        image = picture.image
        assert image is not None
        self._names = self.gallery.names()
        if picture.frame is None:
            return [self._named(image, face, faces, None) for faces in [self._find(image)] for face in faces]
        if self._video != picture.path:
            self._begin(picture.path)
        if self._liveness is None:
            self._liveness = open_liveness("passive")
        faces = self.detector.detect(image)
        return self._follow(picture, image, faces)

    def _find(self, image: Image) -> list[Face]:
        return self.detector.detect(image, thorough=True)

    def _begin(self, path: Path) -> None:
        """Another video: nobody of the last one is in it."""
        import cv2

        from device.access.facetracker import FaceTracker

        capture = cv2.VideoCapture(str(path))
        fps = capture.get(cv2.CAP_PROP_FPS)
        capture.release()
        self._video, self._fps = path, fps if 1 <= fps <= 1000 else VIDEO_FPS
        if self._tracker is not None and self._liveness is not None:
            for track in self._tracker.reset():
                self._liveness.forget(track)
        self._tracker = self._tracker or FaceTracker()

    def _follow(self, picture: Picture, image: Image, faces: list[Face]) -> list[Named]:
        from device.datatypes import Frame

        assert self._tracker is not None
        assert self._liveness is not None
        index = picture.frame or 0
        frame = Frame("video", index, image, index / self._fps, index / self._fps)
        tracks = self._tracker.update(faces, frame.monotonic)
        for ended in self._tracker.ended:
            self._liveness.forget(ended)
        return [self._named(image, track.face, faces, (frame, track.id)) for track in tracks]

    def _named(self, image: Image, face: Face, faces: list[Face], track: tuple[Frame, int] | None) -> Named:
        from device.access.alignment import align
        from device.access.identification import UNKNOWN, accepts
        from device.access.quality import Limits, assess
        from device.datatypes import Liveness

        template = self.detector.template
        others = [other for other in faces if other is not face]
        quality = assess(image, face, others, template, Limits(confidence=self.detector.clear)).reasons
        match = self.gallery.match(self.recognizer.embed(align(image, face.landmarks, template)))
        liveness = Liveness("pending", 0.0, "one picture alone")
        if track is not None and self._liveness is not None:
            liveness = self._liveness.look(track[0], track[1], face, others)
        name = self._names.get(match.person, UNKNOWN) if match and accepts(match, self.rules) else UNKNOWN
        return Named(face, name, match.similarity if match else None, liveness, quality)


def _print(picture: Picture, found: list[Named], as_json: bool) -> None:
    from device.commands.inputs import printable

    name = printable(picture.path)
    line: dict[str, Any] = {"path": name} | ({} if picture.frame is None else {"frame": picture.frame})
    if picture.image is None:
        line["error"] = printable(picture.error)
    else:
        line["faces"] = [one.row() for one in found]
    if as_json:
        click.echo(json.dumps(line, ensure_ascii=False))
    elif picture.image is None:
        click.echo(f"sereno: {line['error']}", err=True)
    else:
        where = name if picture.frame is None else f"{name} frame {picture.frame}"
        click.echo(f"{where}: " + ("; ".join(map(_describe, found)) or "no face"))


def _describe(one: Named) -> str:
    box = " ".join(f"{value:.0f}" for value in one.face.xyxy)
    doubts = f", {', '.join(one.quality)}" if one.quality else ""
    alike = "nobody to compare with" if one.similarity is None else f"similarity {one.similarity:.2f}"
    alive = f", {one.liveness.state}" if one.liveness.state != "pending" else ""
    return f"{one.name} at {box} ({alike}{alive}{doubts})"
