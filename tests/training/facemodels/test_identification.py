"""1:N figures: thresholds, intervals and the correction for the gallery's size, on people whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from device.access import facemodels
from device.access.recognizer import Recognizer
from device.capture.pictures import read_picture
from device.commands.embed import embed_faces
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import find_bundle, load_bundle
from export.face_crops import Aligner, aligned_crops, find_photos
from export.face_verification import embed_all
from tests.facemodels import embedder
from training.__main__ import main
from training.facemodels.identification import FPIRS, identify, threshold_at
from training.facemodels.identification_report import lowest_measured, open_embedder, threshold_points
from training.facemodels.trials import People

FLOORS = json.loads((Path(__file__).parents[2] / "floors.json").read_text())
Crowd = tuple[np.ndarray, tuple[str, ...]]


def exact_points(vectors: np.ndarray, names: tuple[str, ...]) -> tuple[tuple[float, float], ...]:
    """Thresholds that give each FMR exactly, for templates of three against single photos of others."""
    people = People.apart(names, 3)
    rows = [np.flatnonzero(people.number == person) for person in people.enrollable]
    means = np.stack([vectors[own[:3]].mean(axis=0) for own in rows])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    between = np.sort((vectors[people.strangers] @ means.T).ravel())[::-1]
    return tuple((rate, float(between[int(rate * len(between))])) for rate in (1e-1, 1e-2, 1e-3))


@pytest.mark.parametrize(("fpir", "named"), [(0.5, 2), (0.25, 1), (0.2, 0)])
def test_ok__threshold_names_no_more_strangers_than_wanted(fpir: float, named: int) -> None:
    strangers = np.array([0.1, 0.4, 0.3, 0.2])
    assert int((strangers >= threshold_at(strangers, fpir)).sum()) == named


def test_ok__strangers_as_alike_as_each_other_all_stay_out() -> None:
    strangers = np.array([0.4, 0.4, 0.4, 0.1])
    assert not (strangers >= threshold_at(strangers, 0.5)).any()


def test_ok__fnir_is_what_counting_gives(crowd: Crowd) -> None:
    vectors, names = crowd
    people = People.apart(names, 3)
    found = identify(vectors, people, 30, exact_points(vectors, names), galleries=1, draws=50, seed=5)
    rng = np.random.default_rng([5, 30])
    chosen = rng.choice(people.enrollable, 30, replace=False)
    templates, probes = {}, []
    for person in chosen:
        rows = rng.permutation(np.flatnonzero(people.number == person))
        mean = vectors[rows[:3]].sum(axis=0)
        templates[person] = mean / np.linalg.norm(mean)
        probes += [(person, vectors[row]) for row in rows[3:]]
    best = sorted((max(float(t @ vectors[row]) for t in templates.values()) for row in people.strangers), reverse=True)
    limit = best[2]  # Of 200 strangers' photos two may be named at an FPIR of 1 %.
    missed = 0
    for person, photo in probes:
        near = max(templates, key=lambda other: float(templates[other] @ photo))
        missed += near != person or float(templates[person] @ photo) <= limit
    assert found.fnir[0.01].value == pytest.approx(missed / len(probes))
    assert (found.probes, found.strangers) == (90, 200)


def test_ok__interval_holds_the_figure_and_is_no_point(crowd: Crowd) -> None:
    vectors, names = crowd
    found = identify(vectors, People.apart(names, 3), 10, exact_points(vectors, names), galleries=5, draws=200)
    for rate in (found.fnir[0.01], found.corrected[0.01].measured):
        low, high = rate.interval
        assert low <= rate.value <= high
        assert high - low > 0.001


def test_ok__correction_gives_the_fpir_it_was_set_for(crowd: Crowd) -> None:
    vectors, names = crowd
    people, points = People.apart(names, 3), exact_points(vectors, names)
    for size in (5, 10, 30):
        set_for = identify(vectors, people, size, points, galleries=20, draws=10).corrected[0.01]
        assert set_for.fmr == pytest.approx(1 - 0.99 ** (1 / size))
    # Within what 20 galleries of people who are drawn, not looked up, allow.
    loose = identify(vectors, people, 10, points, galleries=20, draws=10).corrected[0.01].measured.value
    assert 0.005 < loose < 0.02


def test_fail__a_bundle_without_thresholds(tmp_path: Path) -> None:
    bundle = load_bundle(embedder())
    bare = bundle.manifest.model_copy(update={"thresholds": {}})
    with pytest.raises(InputError, match="has no thresholds by FMR"):
        threshold_points(type(bundle)(tmp_path, bare))


def test_fail__a_detector_is_no_embedder() -> None:
    with pytest.raises(InputError, match="faces need one of task 'embed'"):
        open_embedder("sereno-coco-320")


def test_ok__points_are_the_bundles_and_the_extrapolated_is_known() -> None:
    bundle = load_bundle(embedder())
    points = threshold_points(bundle)
    assert [rate for rate, _ in points] == [1e-2, 1e-3, 1e-4, 1e-5]
    assert points[2][1] == bundle.manifest.thresholds["fmr_1e-4"]
    assert lowest_measured(bundle) == 1e-4


@pytest.fixture(scope="module")
def some_people(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of LFW's test: 50 people with four photos or more, and 150 photos of others."""
    root = tmp_path_factory.mktemp("people")
    folders = sorted((shared_data / "lfw" / "test").iterdir())
    many = [folder for folder in folders if len(list(folder.iterdir())) >= 4][:50]
    few = [folder for folder in folders if len(list(folder.iterdir())) == 1][:150]
    for folder in many + few:
        (root / folder.name).mkdir()
        for photo in sorted(folder.iterdir()):
            (root / folder.name / photo.name).symlink_to(photo)
    return root


def test_ok__what_is_measured_is_what_the_device_embeds(some_people: Path) -> None:
    bundle = load_bundle(find_bundle("sereno-arcface"))
    crops = aligned_crops(find_photos(some_people)[:6], Aligner())
    vectors = embed_all(Recognizer(bundle, open_interpreter(bundle)), crops, bundle)
    detector, recognizer = facemodels.open_detector("yunet"), facemodels.open_recognizer(None)
    for key, vector in zip(crops.keys, vectors, strict=True):
        faces = embed_faces(read_picture(some_people / key), detector, recognizer)
        assert float(faces[0][1] @ vector) > 0.9999


def test_ok__the_door_keeps_its_floors_on_a_sample(some_people: Path, tmp_path: Path) -> None:
    embedder()
    flags = ["--data", str(some_people), "--galleries", "5", "--out", str(tmp_path / "r")]
    done = CliRunner().invoke(main, ["identify", "sereno-arcface", *flags])
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "r" / "report.json").read_text())
    last = told["identification"][-1]
    assert (last["people"], last["strangers"]) == (50, 150)
    floors = FLOORS["identify"]["sample"]
    assert last["fnir"]["0.01"]["value"] <= floors["fnir"]
    assert told["verification"]["fnmr"]["1e-3"] <= floors["fnmr_1e-3"]
    assert told["verification"]["missed"] <= floors["missed"]
    assert last["corrected"]["0.01"]["measured"]["value"] <= floors["fpir_wanted_0.01"]
    page = (tmp_path / "r" / "report.html").read_text()
    assert "Thresholds corrected for the gallery" in page
    assert (tmp_path / "r" / "gallery-size.png").stat().st_size > 10_000
    assert {str(fpir) for fpir in FPIRS} == set(last["fnir"])
