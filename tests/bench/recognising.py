"""`/reconocer` beside the textbook's way, which reads and embeds the whole gallery anew for each picture.

Of that way the time counts of reading, finding and embedding each photo once. Its names are those that the door's own
rule gives with templates made anew, so that they must be the very same.
"""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from flask.testing import FlaskClient

from device.access import facemodels
from device.access.galleryrecords import template_of
from device.access.policy.rules import Rules
from device.access.policy.thresholds import threshold
from device.access.recognizer import Embedding
from device.capture.pictures import decode_picture, read_picture
from device.config import Device, Web
from device.drawing import encode
from device.web.app import create_app
from device.web.live import LiveView
from device.web.users import UserStore
from tests.bench.rows import Row, absent, row
from tests.conftest import ROOT
from tests.web.doorhouse import DoorHouse, Models, data_url, of_people
from tests.web.house import MemoryEvents, MemoryStatus

NAME = "/reconocer / re-embedding the gallery at each request, 100 people x 5 photos"
BUDGET = "<= 0.02"
PEOPLE, PHOTOS = 100, 5


@dataclass(frozen=True, slots=True)
class Compared:
    """Seconds of one request of ours (median) and of one of the textbook's, and how many names were the same, of how
    many, and how many of those were the right ones."""

    ours_s: float
    textbook_s: float
    same: int
    right: int
    probes: int

    @property
    def ratio(self) -> float:
        return self.ours_s / self.textbook_s


def rows() -> Iterator[Row]:
    """One row."""
    folder = Path(os.environ.get("SERENO_DATA", ROOT.parent / "shared" / "data")) / "lfw" / "train"
    if not folder.is_dir():
        yield absent(NAME, "", BUDGET, f"needs photos of {PEOPLE} people at {folder}")
        return
    models = Models(facemodels.open_detector(None), facemodels.open_recognizer(None))
    seen = compare(models, folder, PEOPLE, PHOTOS)
    detail = (
        f"{1000 * seen.ours_s:.1f} ms / {seen.textbook_s:.2f} s; {seen.same} of {seen.probes} names the same, "
        f"{seen.right} right"
    )
    yield row(NAME, seen.ratio, "", BUDGET, detail)


def compare(models: Models, folder: Path, people: int, photos: int) -> Compared:
    """Ask for one more photo of everybody, in both ways, in turn.

    Args:
        models: one thread each.
        folder: a folder of photos for each person.
        people: how many are in the gallery.
        photos: how many of each.
    """
    found = of_people(folder, people, photos + 1)
    names = [name.replace("_", " ") for name in found]
    probes = [bytes(encode(read_picture(files[photos]), quality=92)) for files in found.values()]
    gallery = {
        name: [read_picture(file) for file in files[:photos]] for name, files in zip(names, found.values(), strict=True)
    }
    with tempfile.TemporaryDirectory() as place:
        enrolled = models.enrolled(gallery)
        house = DoorHouse(Path(place), models, enrolled)
        client, bearer = _page(house)
        ours: list[str] = []
        ours_s: list[float] = []
        textbook_s = 0.0
        templates: list[Embedding] = []
        for name, files, probe in zip(names, found.values(), probes, strict=True):
            body = {"image": data_url(probe)}
            started = time.perf_counter()
            answer = client.post("/reconocer", json=body, headers=bearer).json
            ours_s.append(time.perf_counter() - started)
            ours.append(answer["resultados"][0])
            started = time.perf_counter()
            for file in files[:photos]:
                models.embed(read_picture(file))
            textbook_s += time.perf_counter() - started
            templates.append(template_of(models.enrolled({name: gallery[name]})[name]).unit)
        house.book.close()
        house.close()
    theirs, one_s = _named(models, probes, dict(zip(names, templates, strict=True)))
    same = sum(map(str.__eq__, ours, theirs))
    right = sum(map(str.__eq__, ours, names))
    return Compared(statistics.median(ours_s), textbook_s + one_s, same, right, len(probes))


def _page(house: DoorHouse) -> tuple[FlaskClient, dict[str, str]]:
    """A program that may ask. Its clock runs ahead, so that it may ask at once."""
    users = UserStore(house.folder / "users.db")
    ticks = itertools.count(step=60)
    app = create_app(
        device=Device(id="bench", role="door"),
        web=Web(),
        live=LiveView(["front"]),
        events=MemoryEvents(),
        status=MemoryStatus(),
        users=users,
        door=house.sources(),
        clock=lambda: float(next(ticks)),
    )
    return app.test_client(), {"Authorization": f"Bearer {users.add_token('bench')}"}


def _named(models: Models, probes: list[bytes], templates: dict[str, Embedding]) -> tuple[list[str], float]:
    """The name of the nearest template, by the door's own rule, and the median of the seconds that one probe takes."""
    matrix, rules = np.stack(list(templates.values())), Rules(models.recognizer.thresholds)
    needed = threshold(rules.thresholds, rules.target_fmr, len(templates)).cosine
    names: list[str] = []
    took_s: list[float] = []
    for probe in probes:
        started = time.perf_counter()
        alike = matrix @ models.embed(decode_picture(probe, "probe"))
        second, best = np.argsort(alike)[-2:]
        known = alike[best] >= needed and alike[best] - alike[second] >= rules.runner_up_margin
        names.append(list(templates)[best] if known else "Desconocido")
        took_s.append(time.perf_counter() - started)
    return names, statistics.median(took_s)
