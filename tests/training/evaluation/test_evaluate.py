"""`training evaluate` and `compare` on a real, tiny run; the same photo through every way in gives the same answer."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("tensorflow", reason="needs the workstation environment")

from device.detection.classifier import Classifier, Fitting
from device.errors import ConfigError, InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle
from export.datasets import open_dataset
from training.evaluation.commands import compare, evaluate
from training.evaluation.comparison import fastest, interleaved_ms
from training.evaluation.graph import embedding_tensor, embeddings, multiply_adds
from training.evaluation.subjects import find_subject


@pytest.fixture(scope="module")
def evaluated(shapes_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluated") / "report"
    done = CliRunner().invoke(evaluate, [str(shapes_run), "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return out


def test_ok__report_has_every_part(evaluated: Path) -> None:
    page = (evaluated / "report.html").read_text()
    for part in ("Figures", "What it takes for what", "Calibration", "Embeddings", "Samples", "Dataset", "Environment"):
        assert f"{part}</h2>" in page, part
    for name in ("confusion", "reliability-int8", "reliability-fp32", "embeddings", "right"):
        assert (evaluated / f"{name}.png").stat().st_size > 2000


def test_ok__figures_of_all_four_files_with_intervals(evaluated: Path) -> None:
    told = json.loads((evaluated / "report.json").read_text())
    assert set(told["files"]) == {"int8 tflite", "int8 onnx", "fp32 tflite", "fp32 onnx"}
    for file in told["files"].values():
        low, high = file["intervals_95"]["top-1"]
        assert low <= file["figures"]["top-1"] <= high
        assert np.sum(file["confusion"]) == 36
    assert told["dataset"]["split"] == "test"


def test_ok__the_same_photo_gives_the_same_answer_everywhere(
    evaluated: Path, shapes_run: Path, shapes_bundle: Bundle
) -> None:
    with (evaluated / "predictions.csv").open() as stream:
        rows = {row["photo"]: row for row in csv.DictReader(stream)}
    photos = shapes_run.parent / "photos"
    paths = sorted((photos / "test").glob("*/*.png"))[::5]
    code = "import sys; from device.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "classify", *map(str, paths), "--model", str(shapes_bundle.path), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    classifier = Classifier(shapes_bundle, open_interpreter(shapes_bundle))
    dataset = open_dataset(photos)
    samples = {sample.path: sample for sample in dataset.splits["test"]}
    assert len(said) == len(paths) > 5
    for path, line in zip(paths, said, strict=True):
        row = rows[str(path.relative_to(photos))]
        mine = classifier.classify(dataset.read(samples[path]))[0]
        assert row["named"] == line["label"] == mine.label
        assert row["confidence"] == f"{line['confidence']:.6f}" == f"{mine.confidence:.6f}"


def test_ok__embeddings_are_what_the_last_layer_weighs(shapes_run: Path, shapes_bundle: Bundle) -> None:
    import keras

    from export.keras_litert import load

    model = load(shapes_run / "model.keras")
    inner = keras.Model(model.inputs[0], model.get_layer("embedding").output)
    dataset, fit = open_dataset(shapes_run.parent / "photos"), Fitting(shapes_bundle.manifest.input)
    squares = [fit(dataset.read(sample)).copy() for sample in dataset.splits["test"][::6]]
    expected = np.asarray(inner(np.stack(squares).astype(np.float32), training=False))
    [file] = [file for file in shapes_bundle.manifest.files if file.runtime == "litert"]
    content = shapes_bundle.read(file)
    tensor = embedding_tensor(content)
    assert tensor is not None
    found = embeddings(content, tensor, shapes_bundle.manifest.input, squares)
    assert found.shape == expected.shape == (6, 24)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.995


def test_ok__multiply_adds_are_counted_by_hand(shapes_bundle: Bundle) -> None:
    [file] = [file for file in shapes_bundle.manifest.files if file.runtime == "litert"]
    convolutions = 16 * 16 * 27 * 12 + 8 * 8 * 9 * 12 * 16 + 4 * 4 * 9 * 16 * 24
    depthwise = 8 * 8 * 9 * 16 + 4 * 4 * 9 * 24
    assert multiply_adds(shapes_bundle.read(file)) == convolutions + depthwise + 24 * 3


def test_ok__compare_makes_a_table_and_pictures(shapes_run: Path, shapes_bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "compared"
    names = [str(shapes_run), str(shapes_bundle.path.parent / "shapes-fp32")]
    done = CliRunner().invoke(compare, [*names, "--out", str(out), "--rounds", "7"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    rows = json.loads((out / "report.json").read_text())["models"]
    assert [row["name"] for row in rows] == ["shapes", "shapes-fp32"]
    assert rows[0]["bytes"] < rows[1]["bytes"]
    assert rows[0]["multiply_adds"] == rows[1]["multiply_adds"]
    assert all(row["milliseconds"] > 0 for row in rows)
    assert "M mult-adds" in done.output
    assert "fastest quarter of 7 rounds" in (out / "report.html").read_text()
    assert {path.name for path in out.glob("*.png")} == {"latency.png", "size.png", "work.png"}


def test_ok__the_fastest_quarter_counts() -> None:
    assert fastest([9.0, 2.0, 50.0, 1.0, 7.0, 8.0, 6.0, 5.0]) == 1.5
    assert fastest([3.0, 4.0]) == 3.0


@pytest.mark.parametrize(
    ("name", "columns"),
    [("sereno-cacao", ("mAP50-95", "mAP50", "76.16")), ("sereno-arcface", ("TAR at FMR 1e-3", "EER", "98.56"))],
)
def test_ok__detectors_and_embedders_are_compared_too(
    root: Path, tmp_path: Path, name: str, columns: tuple[str, ...]
) -> None:
    twin = shutil.copytree(root / "models" / name, tmp_path / "run" / "bundle" / name)
    subjects = [str(root / "models" / name), str(twin)]
    done = CliRunner().invoke(compare, [*subjects, "--out", str(tmp_path / "out"), "--rounds", "8"])
    assert done.exit_code == 0, done.output
    assert all(column in done.output for column in columns)
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    one, other = told["models"]
    assert one["score"] == other["score"]
    assert one["multiply_adds"] == other["multiply_adds"] > 100e6
    assert one["data"].startswith(("cacao, val, 60 photos", "lfw, test, 3074 photos"))


def test_fail__models_of_two_tasks_are_not_compared(root: Path, tmp_path: Path) -> None:
    names = [str(root / "models" / name) for name in ("sereno-cacao", "sereno-arcface")]
    with pytest.raises(ConfigError, match="one of 'detect': only models of one task can be compared"):
        CliRunner().invoke(
            compare, [*names, "--out", str(tmp_path / "out")], catch_exceptions=False, standalone_mode=False
        )
    assert not (tmp_path / "out").exists()


def test_ok__times_are_taken_in_turns(shapes_bundle: Bundle) -> None:
    order: list[str] = []

    class Watched:
        def __init__(self, name: str) -> None:
            self._name, self._real = name, open_interpreter(shapes_bundle, runtime="litert")
            self.runtime, self.input, self.outputs = self._real.runtime, self._real.input, self._real.outputs

        def write(self, square: np.ndarray) -> None:
            self._real.write(square)

        def invoke(self) -> tuple[np.ndarray, ...]:
            order.append(self._name)
            return self._real.invoke()

    taken = interleaved_ms([Watched("a"), Watched("b")], 5)
    assert [len(times) for times in taken] == [5, 5]
    assert order == ["a", "b"] * 8


def test_fail__data_of_a_class_that_the_model_does_not_know(shapes_run: Path, tmp_path: Path) -> None:
    for label in ("circle", "star"):
        (tmp_path / "photos" / "test" / label).mkdir(parents=True)
        (tmp_path / "photos" / "train" / label).mkdir(parents=True)
        for split in ("train", "test"):
            for number in range(4):
                source = shapes_run.parent / "photos" / split / "circle" / f"{number}.png"
                (tmp_path / "photos" / split / label / f"{label}{number}.png").write_bytes(source.read_bytes())
    arguments = [str(shapes_run), "--data", str(tmp_path / "photos"), "--out", str(tmp_path / "out")]
    with pytest.raises(ConfigError, match="has a class 'star', and shapes knows only circle, cross, square"):
        CliRunner().invoke(evaluate, arguments, catch_exceptions=False, standalone_mode=False)
    assert not (tmp_path / "out").exists()


def test_fail__a_bundle_without_data(shapes_bundle: Bundle, tmp_path: Path) -> None:
    arguments = [str(shapes_bundle.path), "--out", str(tmp_path / "out")]
    with pytest.raises(ConfigError, match="--data names the folder of photos to measure shapes on"):
        CliRunner().invoke(evaluate, arguments, catch_exceptions=False, standalone_mode=False)


def test_fail__a_run_without_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("family: cnn\ndata: photos\n")
    with pytest.raises(InputError, match="holds no bundle yet"):
        find_subject(str(tmp_path))
