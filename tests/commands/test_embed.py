"""`sereno embed` and `sereno compare`, as a person runs them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests import facemodels
from tests.daemon import sereno


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder: one man twice, a wall, and half a JPEG."""
    folder = tmp_path / "photos"
    folder.mkdir()
    first, *_, last = facemodels.frames(facemodels.clip(), every=20)
    for name, picture in (("a", first), ("b", last), ("wall", np.full((200, 300, 3), 120, np.uint8))):
        cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(folder / "half.jpg"), cv2.cvtColor(first, cv2.COLOR_RGB2BGR))
    whole = (folder / "half.jpg").read_bytes()
    (folder / "half.jpg").write_bytes(whole[: len(whole) // 2])
    return folder


def test_ok__a_line_for_each_photo_and_the_largest_face_first(face_models: Path, photos: Path) -> None:
    first = cv2.imread(str(photos / "a.png"))
    both = np.hstack([first, cv2.resize(first, None, fx=2, fy=2)[60:204, 80:260]])
    cv2.imwrite(str(photos / "two.png"), both)
    done = sereno("embed", photos, "--json", "--model", face_models)
    assert done.returncode == 1, "half a JPEG"
    rows = {Path(row["path"]).name: row for row in map(json.loads, done.stdout.splitlines())}
    assert set(rows) == {"a.png", "b.png", "half.jpg", "two.png", "wall.png"}
    assert "faces" not in rows["half.jpg"]
    assert rows["half.jpg"]["error"]
    assert rows["wall.png"]["faces"] == []
    [face] = rows["a.png"]["faces"]
    assert set(face) == {"xyxy", "confidence", "embedding"}
    assert np.linalg.norm(face["embedding"]) == pytest.approx(1, abs=1e-5)
    large, small = rows["two.png"]["faces"]
    assert large["xyxy"][0] > small["xyxy"][2]
    [other] = rows["b.png"]["faces"]
    assert np.dot(face["embedding"], other["embedding"]) > 0.5
    assert np.dot(large["embedding"], small["embedding"]) > 0.5


def test_ok__a_person_reads_it_too(face_models: Path, photos: Path) -> None:
    done = sereno("embed", photos / "a.png", photos / "wall.png", "--model", face_models)
    assert done.returncode == 0
    one, none = done.stdout.splitlines()
    assert "a.png: face 0.9" in one
    assert none.endswith("wall.png: no face")


def test_ok__odd_pictures_of_a_face(face_models: Path, photos: Path) -> None:
    """Grey, enlarged, small, leaning, beside the edge: all of them are the same man."""
    first = cv2.imread(str(photos / "a.png"))
    lean = cv2.warpAffine(first, cv2.getRotationMatrix2D((88, 72), 35, 1), (176, 144))
    odd = {
        "grey": cv2.cvtColor(first, cv2.COLOR_BGR2GRAY),
        "large": cv2.resize(first, None, fx=9, fy=9, interpolation=cv2.INTER_CUBIC),
        "lean": lean,
        "edge": first[:, 72:],
    }
    for name, picture in odd.items():
        cv2.imwrite(str(photos / f"{name}.png"), picture)
        done = sereno("compare", photos / "a.png", photos / f"{name}.png", "--json", "--model", face_models)
        verdict = json.loads(done.stdout)
        assert verdict["same"], f"{name}: {verdict['similarity']}"
        assert verdict["similarity"] > 0.6


def test_ok__same_and_different(face_models: Path, photos: Path, shared_data: Path) -> None:
    done = sereno("compare", photos / "a.png", photos / "b.png", "--model", face_models)
    assert done.returncode == 0
    assert done.stdout.startswith("the same person: similarity 0.")
    assert "(FMR 1e-4)" in done.stdout
    other = next((shared_data / "lfw" / "train").glob("*/*.jpg"))
    done = sereno("compare", photos / "a.png", other, "--json", "--model", face_models)
    verdict = json.loads(done.stdout)
    assert done.returncode == 0
    assert set(verdict) == {"a", "b", "similarity", "threshold", "fmr", "same"}
    assert verdict["same"] is False
    assert verdict["fmr"] == 1e-4


def test_ok__people_of_one_series_are_told_apart(face_models: Path, shared_data: Path) -> None:
    """Each of the series' people is more like another photo of themselves than like anybody else."""
    folder = shared_data / "faces" / "bbt"
    done = sereno(
        "embed", *sorted(folder.glob("*/*1.*")), *sorted(folder.glob("*/*2.*")), "--json", "--model", face_models
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    names = [Path(row["path"]).parent.name for row in rows]
    matrix = np.array([row["faces"][0]["embedding"] for row in rows])
    alike = matrix @ matrix.T - 2 * np.eye(len(rows))
    assert len(set(names)) == 8
    assert [names[index] for index in alike.argmax(axis=1)] == names


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p: cv2.rotate(p, cv2.ROTATE_90_CLOCKWISE), "unclear|turned away|tilted|cut off"),
        (lambda p: np.clip(p.astype(int) * 2 + 120, 0, 255).astype(np.uint8), "too bright"),
        (lambda p: cv2.resize(p, None, fx=0.22, fy=0.22, interpolation=cv2.INTER_AREA), "no face was found|too small"),
        (lambda p: p[:, 88:], "no face was found|cut off"),
        (lambda p: np.tile(cv2.resize(p, (88, 72)), (5, 8, 1)), "40 faces, the largest is compared"),
    ],
    ids=["rotated", "overexposed", "ten pixels", "cut", "forty"],
)
def test_ok__what_makes_a_comparison_doubtful_is_said(face_models: Path, photos: Path, spoil, reason: str) -> None:  # type: ignore[no-untyped-def]
    cv2.imwrite(str(photos / "odd.png"), spoil(cv2.imread(str(photos / "a.png"))))
    done = sereno("compare", photos / "odd.png", photos / "a.png", "--model", face_models)
    [line] = [line for line in done.stderr.splitlines() if "odd.png: " in line]
    assert re.search(reason, line), line


@pytest.mark.parametrize("first", ["wall.png", "half.jpg", "gone.jpg"])
def test_fail__nothing_to_compare(face_models: Path, photos: Path, first: str) -> None:
    done = sereno("compare", photos / first, photos / "a.png", "--model", face_models)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("sereno: ")
    assert first in line


@pytest.mark.usefixtures("face_models")
def test_fail__a_detectors_bundle_is_no_embedder(photos: Path) -> None:
    done = sereno("embed", photos / "a.png", "--model", "yunet")
    assert done.returncode == 1
    assert "needs one of task 'embed'" in done.stderr
    assert "no model 'nobody'" in sereno("embed", photos / "a.png", "--detector", "nobody").stderr
