"""The door: what a frame costs beside its models' bare invokes, what nobody costs, and its memory at work."""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2

from device.access import facemodels
from device.access.alignment import align
from device.access.gallery import new_id
from device.access.galleryrecords import Consent, Person
from device.access.liveness import opening
from device.capture.footage import face_clip
from device.config import Camera
from device.datatypes import AccessDecision, Frame, Image
from device.door import CheapLook
from device.errors import InputError
from device.inference import interpreter as interpreters
from export.weights import FOOTAGE_CACHE
from tests.access.house import House, Open, build
from tests.bench import footage
from tests.bench.daemon import peak_resident_mb
from tests.bench.rows import Row, absent, row
from tests.facemodels import frames as frames_of
from tests.mosquitto import Mosquitto, free_port

SIZE = (640, 480)
ROUNDS = 12
WORK_S = 20.0


@dataclass
class Counted:
    """An interpreter that knows how often it was asked since `settle` was called."""

    inner: Any
    calls: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def invoke(self) -> Any:
        self.calls += 1
        return self.inner.invoke()

    def settle(self) -> float:
        """Seconds for as many bare invokes on the input that is there."""
        started = time.perf_counter()
        for _ in range(self.calls):
            outputs = self.inner.invoke()
            del outputs
        self.calls = 0
        return time.perf_counter() - started


@dataclass
class Models:
    """Opens interpreters that count."""

    opened: list[Counted] = field(default_factory=list)

    def open(self, *args: Any, **options: Any) -> Counted:
        self.opened.append(Counted(interpreters.open_interpreter(*args, **options)))
        return self.opened[-1]

    def settle(self) -> tuple[float, int]:
        """Seconds of bare invokes, and of how many models."""
        used = sum(1 for one in self.opened if one.calls)
        return sum(one.settle() for one in self.opened), used


def rows() -> Iterator[Row]:
    """All of them; a machine without the face models or the clip tells so."""
    try:
        pictures = [
            cv2.resize(image, SIZE, interpolation=cv2.INTER_CUBIC) for image in frames_of(face_clip(FOOTAGE_CACHE))
        ]
    except InputError as error:
        yield absent("door", "", "", str(error))
        return
    with tempfile.TemporaryDirectory() as folder:
        yield from _decisions(Path(folder), pictures)
    with tempfile.TemporaryDirectory() as folder:
        yield from _nobody(Path(folder), pictures)
    with tempfile.TemporaryDirectory() as folder:
        yield _memory(Path(folder))


def _house(folder: Path, models: Models, gate: Any) -> House:
    cv2.setNumThreads(1)
    with (
        patch.object(facemodels, "open_interpreter", models.open),
        patch.object(opening, "open_interpreter", models.open),
    ):
        detector, recognizer = facemodels.open_detector(None), facemodels.open_recognizer(None)
        return build(folder, detector, recognizer, liveness="passive", gate=gate)


def _enrol(house: House, pictures: list[Image]) -> None:
    eyes = house.eyes
    faces = [eyes.detector.detect(picture)[0] for picture in pictures]
    embeddings = [
        eyes.recognizer.embed(align(picture, face.landmarks, eyes.detector.template), mirrored=True)
        for picture, face in zip(pictures, faces, strict=True)
    ]
    house.gallery.add(Person(new_id(), "Driver", 1.0, consents=(Consent("agreed", 1.0, "--yes"),)), embeddings)


def _decisions(folder: Path, pictures: list[Image]) -> Iterator[Row]:
    """Frames in which a face is found, checked for liveness and embedded, decisions with their commit among them."""
    models = Models()
    house = _house(folder, models, Open())
    _enrol(house, pictures[1::17])
    whole, bare, deciding = [], [], []
    index = 0
    for _ in range(ROUNDS):
        for picture in pictures[::3]:
            clock = house.latch.clock
            frame = Frame("door", index, picture.copy(), clock.monotonic(), clock.wall())
            index += 1
            models.settle()
            started = time.perf_counter()
            step = house.unit.process(frame)
            took = time.perf_counter() - started
            invoked, used = models.settle()
            clock.advance(0.1)
            if used == len(models.opened):
                whole.append(took)
                bare.append(invoked)
            if any(isinstance(event, AccessDecision) for event in step.events):
                deciding.append((took, invoked))
                house.unit.lose(1.0)  # The next one comes.
                clock.advance(2.0)
    ratio = statistics.median(a / b for a, b in zip(whole, bare, strict=True))
    late = statistics.median(a / b for a, b in deciding)
    detail = (
        f"{1000 * statistics.median(whole):.2f} ms over {1000 * statistics.median(bare):.2f} ms, {len(whole)} frames "
        f"in which all models ran; those of {len(deciding)} decisions, their commit included: {late:.2f} x, "
        f"{1000 * statistics.median(a for a, _ in deciding):.1f} ms"
    )
    yield row("door: frame in to decision, over its models' invokes", ratio, "x", "<= 1.2", detail)


def _nobody(folder: Path, pictures: list[Image]) -> Iterator[Row]:
    """CPU of the process for frames in which nobody is, over those in which somebody is."""
    busy = _house(folder / "busy", Models(), CheapLook(Camera()))
    still = _house(folder / "still", Models(), CheapLook(Camera()))
    _enrol(busy, pictures[1::17])
    empty = footage.still(cv2.GaussianBlur(pictures[0], (0, 0), 60), 900)
    still.show([frame.image for frame in empty[:300]])
    count = 100
    spent = {"busy": 0.0, "still": 0.0}
    for start in range(0, 600, count):
        for name, house, images in (
            ("busy", busy, [pictures[(start + i) % len(pictures)] for i in range(count)]),
            ("still", still, [frame.image for frame in empty[300 + start : 300 + start + count]]),
        ):
            began = time.process_time()
            house.show(images)
            spent[name] += time.process_time() - began
    detail = f"{1000 * spent['still'] / 600:.3f} ms over {1000 * spent['busy'] / 600:.2f} ms a frame, 600 frames each"
    yield row("door: nobody in view, over somebody in view", spent["still"] / spent["busy"], "x", "<= 0.1", detail)


def _memory(folder: Path) -> Row:
    """The whole door as a process, with Mosquitto and the page on."""
    broker = Mosquitto(folder / "mosquitto").start()
    config = folder / "bench.yaml"
    config.write_text(
        "device: {id: bench, role: door}\n"
        f"cameras: [{{id: door, source: {face_clip(FOOTAGE_CACHE)}, loop: true}}]\n"
        "door: {lock: {driver: mock}, min_face_px: 40}\n"
        f"mqtt: {{port: {broker.port}}}\nweb: {{port: {free_port()}}}\nstorage: {{path: {folder / 'state'}}}\n",
        encoding="utf-8",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "device", "run", "--config", str(config)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=footage.ROOT,
    )
    try:
        assert process.stderr is not None
        if not any("first look" in line for line in process.stderr):
            raise InputError("the door ended before its first look")
        time.sleep(WORK_S)
        peak = peak_resident_mb(process.pid)
        keepers = [int(name) for name in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        beside = sum(peak_resident_mb(pid) for pid in keepers)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        broker.stop()
    detail = f"{WORK_S:.0f} s of a talking face, MQTT and page on; the lock's keeper beside it: {beside:.0f} MB"
    return row("door: memory at work, peak resident", peak, "MB", "<= 220", detail)
