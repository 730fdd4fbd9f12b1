"""Some of the drawn attacks, through the real detector and the chain; `measure.py` counts hundreds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device.access.face_detector import FaceDetector
from device.access.liveness import LivenessChain
from tests.access.liveness.measure import Watcher, watch
from tests.access.liveness.scenes import SPECIES, attacks, photos


@pytest.mark.parametrize("species", ["still", "frozen", "looped", "tilted", "phone", "mask", "recoded", "close"])
def test_fail__a_held_picture_is_refused(
    shared_data: Path, yunet: FaceDetector, passive: LivenessChain, species: str
) -> None:
    [scene] = attacks(photos(shared_data / "lfw" / "train", "report"), 1, 3, [species])
    outcome = watch(scene.name, species, scene.frames(), Watcher(yunet), passive, each=False)
    assert outcome.faces >= 5
    assert outcome.live_s is None
    assert outcome.refused_by in ("frozen", "border", "motion", "minifasnet")


def test_ok__scenes_are_reproducible_and_differ(shared_data: Path) -> None:
    faces = photos(shared_data / "lfw" / "train")
    one, again, other = attacks(faces, len(SPECIES), 5), attacks(faces, len(SPECIES), 5), attacks(faces, 1, 6)
    assert one == again
    assert [scene.species for scene in one] == list(SPECIES)
    first, repeated = next(one[3].pictures()), next(again[3].pictures())
    assert (first == repeated).all()
    assert not (first == next(other[0].pictures())).all()
    pictures = list(one[0].pictures())
    assert len(pictures) == 30
    assert 0.5 < np.abs(pictures[0].astype(int) - pictures[1]).mean() < 12, "still, but for the sensor's noise"


def test_ok__whose_faces_are_for_choosing_and_whose_for_reporting(shared_data: Path) -> None:
    folder = shared_data / "lfw" / "train"
    choose, report = photos(folder, "choose"), photos(folder, "report")
    assert not set(choose) & set(report)
    assert set(choose) | set(report) == set(photos(folder))
