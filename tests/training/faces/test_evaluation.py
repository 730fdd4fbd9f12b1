"""What the report draws, and when it does not."""

from __future__ import annotations

import numpy as np

from export.face_crops import Crops
from export.face_scores import Pairs
from training.faces.evaluation import hardest
from training.faces.plots import det_picture


def test_a_det_curve_is_drawn_where_there_is_an_error() -> None:
    rng = np.random.default_rng(0)
    pairs = Pairs(np.sort(rng.normal(0.6, 0.15, 300)), np.sort(rng.normal(0, 0.1, 5000)))
    picture = det_picture({"one": pairs})
    assert picture is not None
    assert picture.startswith(b"\x89PNG")


def test_without_an_error_there_is_no_curve() -> None:
    assert det_picture({"one": Pairs(np.array([0.8, 0.9]), np.array([0.1, 0.2]))}) is None


def test_hardest_pairs_need_pairs() -> None:
    faces = np.zeros((3, 8, 8, 3), np.uint8)
    alone = Crops(faces, ("a/1", "b/1", "c/1"), ("a", "b", "c"), (), "made up")
    assert hardest(np.eye(3), alone) is None
    two = Crops(faces, ("a/1", "a/2", "c/1"), ("a", "a", "c"), (), "made up")
    sheets = hardest(np.eye(3), two)
    assert sheets is not None
    assert all(sheet.startswith(b"\x89PNG") for sheet in sheets)
