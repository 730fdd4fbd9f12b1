"""A file below its floor is told of, point by point."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from device.errors import InputError
from export.face_crops import Crops
from export.face_floors import FLOORS, shortfalls
from export.face_verification import Closeness, FaceFigures, figures

NEAR = Closeness(0.9999999, 0.999999)


def measured(spread: float) -> FaceFigures:
    """Thirty people with four embeddings each, the further apart the worse."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(30), 4)
    vectors = rng.normal(size=(30, 16))[labels] + spread * rng.normal(size=(120, 16))
    people = tuple(f"p{label:02d}" for label in labels)
    keys = tuple(f"{person}/{number}.jpg" for number, person in enumerate(people))
    crops = Crops(np.zeros((120, 1, 1, 3), np.uint8), keys, people, ("p00/lost.jpg",), "made up")
    return figures(vectors, crops, draws=10)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "floors.json"
    product = {"least": {"TAR at FMR 1e-2": 90}, "most": {"EER": 10}, "lost": {"TAR at FMR 1e-2": 0.5}}
    path.write_text(json.dumps({"embed": {"int8": {"mean_cosine": 0.99, "least_cosine": 0.95}, "own": product}}))
    return path


def test_a_good_file_has_no_shortfall(table: Path) -> None:
    good = measured(0.1)
    assert shortfalls(good, good, NEAR, "int8", "own", table) == []


def test_each_floor_is_told_by_name(table: Path) -> None:
    found = shortfalls(measured(0.1), measured(2.0), Closeness(0.98, 0.9), "int8", "own", table)
    assert len(found) == 5
    for said in ("mean cosine", "0.9000, 0.95 at least", "90 is the floor", "10 is the most", "points of TAR"):
        assert any(said in sentence for sentence in found), said


def test_without_a_product_only_closeness_counts(table: Path) -> None:
    assert shortfalls(measured(0.1), measured(2.0), NEAR, "int8", None, table) == []
    assert len(shortfalls(measured(0.1), measured(0.1), Closeness(0.98, 0.96), "int8", None, table)) == 1


def test_a_figure_that_was_not_measured_is_below_its_floor(table: Path) -> None:
    content = json.loads(table.read_text())
    content["embed"]["own"]["least"] = {"accuracy": 1}
    table.write_text(json.dumps(content))
    assert "accuracy is nan" in shortfalls(measured(0.1), measured(0.1), NEAR, "int8", "own", table)[0]


def test_a_table_without_the_entry_is_refused(table: Path) -> None:
    with pytest.raises(InputError, match=r"no floor embed\.fp32"):
        shortfalls(measured(0.1), measured(0.1), NEAR, "fp32", None, table)


def test_the_committed_table_has_what_exports_ask_for() -> None:
    committed = json.loads(FLOORS.read_text())["embed"]
    assert {"int8", "fp32", "sereno-arcface"} <= set(committed)
    assert committed["sereno-arcface"]["lost"]["accuracy"] <= 0.2


def test_a_photo_without_a_face_counts_against_the_file() -> None:
    found = measured(0.1)
    assert (found.photos, found.missed, found.people) == (121, 1, 30)
    assert len(found.pairs.same) == 30 * 6 + 4
    assert found.pairs.fnmr(-0.5) == pytest.approx(4 / 184)
