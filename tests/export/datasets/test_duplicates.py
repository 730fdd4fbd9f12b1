"""The same photo is known again in another size, compression or mirrored; different photos are not taken for it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from export.datasets.duplicates import SAME, SIMILAR, groups, near_pairs
from export.datasets.inspection import inspect_files, thumbnail
from tests.export.datasets.photos import a_photo


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def found(*pictures: np.ndarray, likeness: tuple[int, float] = SAME) -> list[tuple[int, int]]:
    return [pair[:2] for pair in near_pairs(np.stack([thumbnail(picture) for picture in pictures]), likeness)]


def test_ok__the_same_photo_in_other_forms(shared_data: Path) -> None:
    paths = sorted((shared_data / "cats_dogs" / "train" / "cats").iterdir())[:40]
    photos = [np.ascontiguousarray(cv2.imread(str(path))) for path in paths]
    changes = {
        "compressed": lambda image: compressed(image, 30),
        "halved": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        "doubled": lambda image: cv2.resize(image, None, fx=2, fy=2),
        "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    }
    for name, change in changes.items():
        pairs = found(*photos, *map(change, photos))
        assert pairs == [(index, index + 40) for index in range(40)], name


def test_ok__different_photos_are_no_pair(shared_data: Path) -> None:
    paths = sorted((shared_data / "cats_dogs").rglob("*.jpg"))[::3]
    thumbnails = np.stack([look.thumbnail for look in inspect_files(paths)])
    assert near_pairs(thumbnails, SIMILAR) == []


def test_ok__the_doubles_of_the_animals_are_found(shared_data: Path) -> None:
    names = ("fish/005", "fish/025", "lion/029", "lion/055", "horse/002", "horse/066", "spider/054", "spider/063")
    looks = inspect_files([shared_data / "animals" / f"{name}.jpg" for name in names])
    thumbnails = np.stack([look.thumbnail for look in looks])
    assert [pair[:2] for pair in near_pairs(thumbnails, SAME)] == [(0, 1), (2, 3)]
    assert [pair[:2] for pair in near_pairs(thumbnails, SIMILAR)] == [(0, 1), (2, 3), (4, 5)]


def test_ok__a_thousand_black_pictures_are_one_group_at_once() -> None:
    thumbnails = np.zeros((1001, 32, 32, 3), np.uint8)
    thumbnails[1000] = thumbnail(a_photo(1))
    pairs = near_pairs(thumbnails)
    assert len(pairs) == 999
    assert [len(group) for group in groups(1001, [pair[:2] for pair in pairs])] == [1000, 1]


def test_ok__groups_hold_what_pairs_link() -> None:
    assert groups(6, [(4, 5), (1, 4), (0, 2)]) == [[0, 2], [1, 4, 5], [3]]


def test_ok__no_pictures_no_pairs() -> None:
    assert near_pairs(np.zeros((0, 32, 32, 3), np.uint8)) == []
