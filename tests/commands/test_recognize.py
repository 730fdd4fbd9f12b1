"""`sereno recognize`: everybody by name, and nobody by another's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest

from device.inference.manifest import find_bundle
from tests import facemodels
from tests.daemon import DEV, sereno

KNOWN = ("amy", "bernadette", "howard", "leonard", "penny", "raj", "sheldon")
"""Of eight; stuart is the stranger."""


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> Path:
    facemodels.embedder()
    find_bundle("yunet")
    return shared_data / "faces" / "bbt"


@pytest.fixture(scope="module")
def gallery(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos of each."""
    folder = tmp_path_factory.mktemp("gallery")
    for name in KNOWN:
        (folder / "known" / name).mkdir(parents=True)
        for photo in sorted((photos / name).iterdir())[:3]:
            (folder / "known" / name / photo.name).write_bytes(photo.read_bytes())
    path = folder / "gallery.db"
    done = sereno("enrol", "--people", folder / "known", "--gallery", path, "--yes", program=DEV, timeout_s=120)
    assert done.returncode == 0, done.stderr
    return path


def recognize(*arguments: object) -> list[dict[str, Any]]:
    done = sereno("recognize", *arguments, "--json", program=DEV, timeout_s=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_ok__other_photos_of_those_who_are_known(gallery: Path, photos: Path) -> None:
    rest = [photo for name in KNOWN for photo in sorted((photos / name).iterdir())[3:]]
    for line in recognize(*rest, "--gallery", gallery):
        [face] = line["faces"]
        assert set(face) == {"xyxy", "name", "similarity", "liveness", "quality"}
        assert face["name"] == Path(line["path"]).parent.name, line
        assert face["liveness"]["state"] == "pending"


def test_fail__a_stranger(gallery: Path, photos: Path) -> None:
    found = [face["name"] for line in recognize(photos / "stuart", "--gallery", gallery) for face in line["faces"]]
    assert len(found) == 5
    assert set(found) == {"unknown"}


def test_ok__a_scene_with_several_people(gallery: Path, photos: Path, tmp_path: Path) -> None:
    [line] = recognize(photos / "group1.jpg", "--gallery", gallery, "--save", tmp_path / "drawn")
    names = [face["name"] for face in line["faces"] if face["name"] != "unknown"]
    assert len(names) == len(set(names)) >= 2, "nobody is in one place twice"
    assert cv2.imread(str(tmp_path / "drawn" / "group1.jpg")) is not None


def test_ok__a_video_says_who_is_alive(gallery: Path) -> None:
    lines = recognize(facemodels.clip(), "--gallery", gallery)
    assert [line["frame"] for line in lines] == list(range(120))
    states = [face["liveness"]["state"] for line in lines for face in line["faces"]]
    assert states[0] == "pending"
    assert states[-1] == "live"
    assert {face["name"] for line in lines for face in line["faces"]} == {"unknown"}


def test_fail__what_cannot_be_read_is_told_and_the_rest_is_done(gallery: Path, photos: Path) -> None:
    photo = photos / "amy" / "amy1.png"
    done = sereno("recognize", "/no/such.jpg", photo, "--gallery", gallery, "--json", program=DEV)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert "error" in lines[0]
    assert lines[1]["faces"][0]["name"] == "amy"


def test_fail__no_gallery(photos: Path, tmp_path: Path) -> None:
    done = sereno("recognize", photos / "amy", "--gallery", tmp_path / "none.db", program=DEV)
    assert done.returncode == 1
    assert "there is no gallery at" in done.stderr
