"""Drawn pictures: the same again, where their labels say, faulty only where they should be."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from device.errors import ConfigError
from training.practice import fruit
from training.practice.__main__ import main
from training.practice.people import Person, Pose, portrait

FEW = ["--photos", "4", "--scenes", "8", "--people", "4", "--portraits", "2"]


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few of all kinds."""
    folder = tmp_path_factory.mktemp("practice") / "drawn"
    result = CliRunner().invoke(main, [str(folder), *FEW])
    assert result.exit_code == 0, result.output
    assert "12 photos of fruit, 8 scenes, 4 people and a clip" in result.output
    return folder


def digests(folder: Path) -> dict[str, str]:
    """Of all files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_ok__same_seed_same_pictures(practice: Path, tmp_path: Path) -> None:
    assert CliRunner().invoke(main, [str(tmp_path / "again"), *FEW]).exit_code == 0
    assert CliRunner().invoke(main, [str(tmp_path / "other"), *FEW, "--seed", "1"]).exit_code == 0
    first, again, other = (digests(folder) for folder in (practice, tmp_path / "again", tmp_path / "other"))
    assert first == again
    assert all(first[name] != other[name] for name in first if name.endswith(".jpg"))


def test_ok__two_faults_to_find(practice: Path) -> None:
    seen = digests(practice / "fruit")
    assert len(seen) == 13
    assert seen["pear/pear-copy.jpg"] == seen["apple/apple-000.jpg"]
    assert len(set(seen.values())) == 12
    whole = [not path.read_bytes().endswith(b"\xff\xd9") for path in sorted((practice / "fruit").rglob("*.jpg"))]
    assert sum(whole) == 1


def test_ok__labels_are_around_the_fruit() -> None:
    rng = np.random.default_rng(5)
    for _ in range(10):
        picture, found = fruit.scene(rng)
        assert picture.shape == (240, 320, 3)
        assert found
        for one in found:
            x1, y1, x2, y2 = one.box
            assert 0 <= x1 < x2 <= 320
            assert 0 <= y1 < y2 <= 240
            inside = cv2.Laplacian(cv2.GaussianBlur(picture[y1:y2, x1:x2], (0, 0), 2), cv2.CV_32F).std()
            assert inside > 0.8  # Edges of a fruit; the background is smooth.


def test_ok__xml_and_text_say_the_same(practice: Path) -> None:
    kinds = list(fruit.KINDS)
    for file in sorted((practice / "scenes-voc").glob("*.xml")):
        root = ElementTree.parse(file).getroot()
        lines = next((practice / "scenes" / "labels").rglob(f"{file.stem}.txt")).read_text().splitlines()
        things = root.findall("object")
        assert len(things) == len(lines) > 0
        for thing, line in zip(things, lines, strict=True):
            number, x, _, width, _ = map(float, line.split())
            assert thing.findtext("name") == kinds[int(number)]
            left, right = (int(thing.findtext(f"bndbox/{name}") or 0) for name in ("xmin", "xmax"))
            assert left - 1 == pytest.approx((x - width / 2) * 320, abs=0.01)
            assert right == pytest.approx((x + width / 2) * 320, abs=0.01)


def test_ok__people_differ_more_than_photos_of_one() -> None:
    def mean(person: int, photo: int) -> np.ndarray:
        rng = np.random.default_rng(photo)
        return portrait(Person.made_up(person), Pose(), rng, face=(120, 118, 72)).astype(float)[60:180, 80:160]

    same = np.abs(mean(3, 0) - mean(3, 1)).mean()
    others = [np.abs(mean(3, 0) - mean(other, 0)).mean() for other in range(3)]
    assert same < min(others)


def test_ok__clip_of_somebody_who_moves(practice: Path) -> None:
    clip = cv2.VideoCapture(str(practice / "clip.avi"))
    assert clip.get(cv2.CAP_PROP_FRAME_COUNT) == 100
    assert (clip.get(cv2.CAP_PROP_FRAME_WIDTH), clip.get(cv2.CAP_PROP_FPS)) == (480, 10)
    clip.release()


def test_fail__folder_in_use(practice: Path) -> None:
    before = digests(practice)
    result = CliRunner().invoke(main, [str(practice)])
    assert isinstance(result.exception, ConfigError)
    assert "is not empty: name a new folder" in str(result.exception)
    assert digests(practice) == before
