"""Face models side by side: each kind opened and answering rightly, thresholds, counts, and the page of it all."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import keras
import numpy as np
import onnx
import pytest
import yaml
from click.testing import CliRunner
from onnx import TensorProto, helper

from device.access.alignment import ARCFACE_TEMPLATE, fitted
from device.errors import ConfigError, InputError
from device.inference.manifest import load_bundle
from export.face_crops import Crops
from tests.facemodels import embedder
from training.__main__ import main
from training.facemodels.classics import Eigenfaces, Fisherfaces, LocalBinaryPatterns
from training.facemodels.comparison import Wanted, _people_aside, confuse, find_threshold, run_trial, share_interval
from training.facemodels.described import DescribedModel, open_described, read_description
from training.facemodels.models import BundleModel, FaceModel, open_models
from training.facemodels.trials import People, Scores, Trial, draw_trial


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """Six blurred patterns, 112x112x3 uint8, no two channels alike."""
    rng = np.random.default_rng(1)
    small = rng.integers(0, 255, (6, 7, 7, 3)).astype(np.uint8)
    return np.stack([cv2.resize(picture, (112, 112), interpolation=cv2.INTER_CUBIC) for picture in small])


def describe(folder: Path, **lines: object) -> Path:
    path = folder / "other.yaml"
    path.write_text(yaml.safe_dump(lines))
    return path


def mean_onnx(path: Path) -> Path:
    """A network of NCHW 80 x 80 that answers the mean of each channel."""
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 80, 80])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 1, 1])
    graph = helper.make_graph([helper.make_node("GlobalAveragePool", ["x"], ["y"])], "mean", [given], [answer])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_ok__onnx_gets_pixels_as_described(tmp_path: Path, faces: np.ndarray) -> None:
    mean_onnx(tmp_path / "mean.onnx")
    path = describe(
        tmp_path, file="mean.onnx", size=80, color="BGR", mean=[10, 20, 30], std=[2, 4, 5], layout="NCHW"
    )  # fmt: skip
    [found] = open_described(path).embed(faces[:1])
    small = cv2.resize(faces[0], (80, 80), interpolation=cv2.INTER_AREA).astype(float)
    expected = (small[..., ::-1].mean(axis=(0, 1)) - [10, 20, 30]) / [2, 4, 5]
    assert found == pytest.approx(expected, rel=1e-4)


def test_ok__keras_gets_pixels_as_described(tmp_path: Path, faces: np.ndarray) -> None:
    model = keras.Sequential([keras.Input((112, 112, 3)), keras.layers.GlobalAveragePooling2D()])
    model.save(tmp_path / "mean.keras")
    model = open_described(describe(tmp_path, file="mean.keras", mean=0, std=255))
    assert model.embed(faces) == pytest.approx(faces.mean(axis=(1, 2)) / 255, rel=1e-4)
    assert model.bytes == (tmp_path / "mean.keras").stat().st_size


def test_ok__a_bundles_own_file_described_answers_as_the_bundle(tmp_path: Path, faces: np.ndarray) -> None:
    bundle = load_bundle(embedder())
    given = bundle.manifest.input
    path = describe(tmp_path, file=str(bundle.path / "model.tflite"), mean=list(given.mean), std=list(given.std))
    described, device = open_described(path).embed(faces), BundleModel(bundle, "device").embed(faces)
    cosines = np.einsum("nd,nd->n", described, device) / np.linalg.norm(described, axis=1)
    assert cosines.min() > 0.999


def test_ok__a_file_that_takes_two_at_once_is_fed_an_odd_number(faces: np.ndarray) -> None:
    try:
        [model] = open_models(["mobilefacenet-192"])
    except InputError as error:
        pytest.skip(str(error))
    found = model.embed(faces[:3])
    assert found.shape == (3, 192)
    assert found[2] == pytest.approx(model.embed(faces[2:3])[0], abs=1e-5)
    assert model.template is ARCFACE_TEMPLATE


@pytest.mark.parametrize(
    ("lines", "error", "sentence"),
    [
        ({"file": "gone.onnx"}, InputError, "there is no file"),
        ({"file": "mean.onnx", "colour": "RGB"}, ConfigError, "colour: Extra inputs.*known are file, name, size"),
        ({"file": "mean.onnx", "size": 80, "layout": "HWC"}, ConfigError, "layout: Input should be 'NHWC' or 'NCHW'"),
        ({"file": "mean.onnx", "size": 64, "layout": "NCHW"}, InputError, "description does not fit it"),
        ({"file": "mean.onnx", "std": 0}, ConfigError, "std"),
        ({"file": "other.yaml"}, InputError, "of no kind that is known here: .tflite, .onnx, .keras, .h5"),
    ],
)
def test_fail__descriptions_with_a_mistake(
    tmp_path: Path, lines: dict[str, object], error: type[Exception], sentence: str
) -> None:
    mean_onnx(tmp_path / "mean.onnx")
    with pytest.raises(error, match=sentence):
        open_described(describe(tmp_path, **lines))


def test_fail__a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "broken.tflite").write_bytes(b"no network")
    with pytest.raises(InputError, match=r"broken.tflite is refused"):
        open_described(describe(tmp_path, file="broken.tflite"))


@pytest.mark.parametrize(
    ("named", "expected"),
    [("detector", None), ("arcface", ARCFACE_TEMPLATE), ([0.8, 3], fitted(0.8, 3.0))],
)
def test_ok__templates(tmp_path: Path, named: object, expected: np.ndarray | None) -> None:
    mean_onnx(tmp_path / "mean.onnx")
    path = describe(tmp_path, file="mean.onnx", size=80, layout="NCHW", template=named)
    template = DescribedModel(read_description(path)).template
    assert template is None if expected is None else template == pytest.approx(expected)


def test_fail__a_model_named_twice() -> None:
    with pytest.raises(ConfigError, match="two models are called lbph"):
        open_models(["lbph", "lbph"])


def test_fail__no_such_model() -> None:
    with pytest.raises(InputError, match="or one of eigenfaces, fisherfaces, lbph"):
        open_models(["arcfaec"])


@pytest.mark.parametrize("kind", [Eigenfaces, Fisherfaces, LocalBinaryPatterns])
def test_ok__a_classic_knows_people_it_has_learnt(kind: type[FaceModel]) -> None:
    rng = np.random.default_rng(2)
    people = rng.integers(0, 255, (8, 9, 9, 3)).astype(np.float32)
    owners = np.repeat(np.arange(8), 4)
    noisy = np.clip(people[owners] + rng.normal(0, 25, (32, 9, 9, 3)), 0, 255)
    photos = np.stack([cv2.resize(p.astype(np.uint8), (112, 112), interpolation=cv2.INTER_CUBIC) for p in noisy])
    enrolled = np.arange(32) % 4 < 3
    model = kind()
    if model.learns:
        model.learn(photos[enrolled], owners[enrolled])
    vectors = model.embed(photos)
    gallery = model.prepared(vectors[enrolled]).reshape(8, 3, -1).mean(axis=1)
    found = model.similarities(vectors[~enrolled], gallery)
    assert found.shape == (8, 8)
    assert (found.argmax(axis=1) == np.arange(8)).mean() >= 7 / 8


class OnPaper(FaceModel):
    """Faces are vectors already: their first pixels."""

    name = "paper"
    about = "nothing"

    def embed(self, faces: np.ndarray) -> np.ndarray:
        return faces[:, 0, :32, 0].astype(np.float64) - 128


def on_paper(vectors: np.ndarray, names: tuple[str, ...]) -> Crops:
    faces = np.full((len(vectors), 112, 112, 3), 128, np.uint8)
    faces[:, 0, :32, 0] = np.clip(np.round(128 + 250 * vectors), 0, 255)
    return Crops(faces, tuple(f"{name}/{n}" for n, name in enumerate(names)), names, (), "on paper")


def test_ok__threshold_lets_as_many_of_others_match_as_allowed(crowd: tuple[np.ndarray, tuple[str, ...]]) -> None:
    vectors, names = crowd
    crops = on_paper(vectors, names)
    found = find_threshold(OnPaper(), crops, 10, Wanted(3, 0.1, 0, 5))
    # Five draws of 30 templates: 3 photos of each of the other 29, and 200 strangers'.
    assert found.comparisons == 5 * (90 * 29 + 200 * 30)
    assert found.fmr == pytest.approx(1 - 0.9**0.1)
    assert not found.extrapolated
    rng, people = np.random.default_rng([0, 1]), _people_aside(crops.labels, 3)
    between = [run_trial(OnPaper(), crops, draw_trial(people, 30, 3, rng))[0].between for _ in range(5)]
    assert (np.concatenate(between) >= found.value).mean() == pytest.approx(found.fmr, rel=0.01)


def test_ok__a_threshold_beyond_the_pairs_there_are_says_so(crowd: tuple[np.ndarray, tuple[str, ...]]) -> None:
    vectors, names = crowd
    crops = on_paper(vectors, names)
    measured = find_threshold(OnPaper(), crops, 10, Wanted(3, 0.1, 0, 5))
    beyond = find_threshold(OnPaper(), crops, 1000, Wanted(3, 0.001, 0, 5))
    assert beyond.extrapolated
    assert beyond.value > measured.value


def test_fail__too_few_people_set_aside() -> None:
    crops = on_paper(np.eye(8, 32), ("a",) * 4 + ("b",) * 4)
    with pytest.raises(InputError, match="2 people are set aside with more than 3 photos"):
        find_threshold(OnPaper(), crops, 10, Wanted(3, 0.1, 0, 5))


def test_ok__each_photo_is_counted_once_in_the_matrix() -> None:
    known = np.array([[0.9, 0.2], [0.1, 0.6], [0.7, 0.5], [0.3, 0.2]])
    trial = Trial(np.array([0, 1]), np.empty((2, 0), np.intp), np.arange(4), np.array([0, 1, 1, 1]), np.array([4, 5]))
    scores = Scores.of(known, np.array([[0.55, 0.1], [0.2, 0.4]]), trial.owners)
    people = People(np.array([0, 1, 1, 1, 2, 3]), np.array([0, 1]), np.array([4, 5]))
    found = confuse(scores, trial, people, 0.5, (1, 2))
    # The third photo is nearer to the other person; one photo of a known person shows no face, two of strangers.
    assert (found.right, found.wrong, found.denied) == (2, 1, 2)
    assert (found.named, found.refused) == (1, 3)
    assert found.known == pytest.approx(2 / 5)


def test_ok__interval_knows_that_photos_of_one_person_go_together() -> None:
    hits = np.repeat([True, False], 50)
    wide = share_interval(hits, np.repeat(np.arange(10), 10))
    narrow = share_interval(hits, np.arange(100))
    assert wide[0] < 0.25 < 0.38 < narrow[0] < 0.5 < narrow[1] < wide[1]


def test_ok__from_photos_to_the_page(shared_data: Path, tmp_path: Path) -> None:
    embedder()
    people = sorted((shared_data / "lfw" / "test").iterdir())
    many = [folder for folder in people if len(list(folder.iterdir())) >= 5][:18]
    few = [folder for folder in people if len(list(folder.iterdir())) == 1][:40]
    for group, members in (("known", many), ("unknown", few)):
        for folder in members:
            (tmp_path / group / folder.name).mkdir(parents=True)
            for photo in sorted(folder.iterdir())[:5]:
                (tmp_path / group / folder.name / photo.name).symlink_to(photo)
    mean_onnx(tmp_path / "mean.onnx")
    other = describe(tmp_path, file="mean.onnx", size=80, layout="NCHW", template="arcface")
    flags = ["--known", str(tmp_path / "known"), "--unknown", str(tmp_path / "unknown"), "--rounds", "5"]
    models = ["sereno-arcface", "lbph", "eigenfaces", "fisherfaces", str(other)]
    done = CliRunner().invoke(main, ["compare-faces", "--models", *models, *flags, "--out", str(tmp_path / "r")])
    assert done.exit_code == 0, done.output
    told = {one["name"]: one for one in json.loads((tmp_path / "r" / "report.json").read_text())["models"]}
    assert list(told) == ["sereno-arcface", "lbph", "eigenfaces", "fisherfaces", "other"]
    for one in told.values():
        counts = one["confusion"]
        # 14 people are known, two photos each beside three enrolled; 30 strangers; 4 and 10 are set aside.
        assert counts["right"] + counts["wrong"] + counts["denied"] == 28
        assert counts["named"] + counts["refused"] == 30
        assert one["milliseconds"] > 0
    assert told["sereno-arcface"]["rank1"] >= 27 / 28
    assert told["sereno-arcface"]["eer"] < min(told[name]["eer"] for name in ("lbph", "eigenfaces", "other"))
    page = (tmp_path / "r" / "report.html").read_text()
    assert "Detection error tradeoff" in page
    assert (tmp_path / "r" / "confusion-lbph.png").stat().st_size > 5_000
