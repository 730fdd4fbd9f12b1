"""A real, tiny export through all four files: the same heads, the same bytes, held to its floors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from device.errors import ConfigError, InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle, load_bundle
from export import detector_litert as litert
from export import detector_onnx as onnx_graph
from export.__main__ import main
from export.calibration import Range, calibration_files, letterboxed
from export.checkpoint import ChannelLast, load_detector, raw_heads
from export.detector import export, verify
from export.parity import parity
from export.recipes import recipe_for
from export.reference import TorchInterpreter, real_heads
from tests.tinydetector import SIZE, recipe


@pytest.fixture(scope="module")
def network(tiny_checkpoint: Path) -> TorchInterpreter:
    return TorchInterpreter(ChannelLast(raw_heads(load_detector(tiny_checkpoint))), SIZE)


@pytest.fixture(scope="module")
def float_file(tiny_checkpoint: Path) -> bytes:
    """The network as a LiteRT file, converted apart from the bundles."""
    return litert.convert(ChannelLast(raw_heads(load_detector(tiny_checkpoint))), SIZE)


@pytest.fixture(scope="module")
def ranges(float_file: bytes, tiny_data: Path) -> dict[str, Range]:
    """What calibration finds of it."""
    return litert.calibrate(float_file, letterboxed(calibration_files(tiny_data), SIZE))


@pytest.fixture(scope="module")
def onnx_file(tiny_checkpoint: Path) -> bytes:
    """The network as an ONNX file, converted apart from the bundles."""
    return onnx_graph.convert(ChannelLast(raw_heads(load_detector(tiny_checkpoint))), SIZE)


def test_ok__four_files_in_two_bundles(bundles: dict[str, Bundle]) -> None:
    files = {(name, file.runtime, file.precision) for name, b in bundles.items() for file in b.manifest.files}
    assert files == {
        (f"tiny-{SIZE}", "litert", "int8"),
        (f"tiny-{SIZE}", "onnxruntime", "int8"),
        (f"tiny-{SIZE}-fp32", "litert", "fp32"),
        (f"tiny-{SIZE}-fp32", "onnxruntime", "fp32"),
    }


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_ok__float_files_compute_what_the_network_does(
    bundles: dict[str, Bundle], network: TorchInterpreter, tiny_data: Path, runtime: str
) -> None:
    square = letterboxed(calibration_files(tiny_data), SIZE)[0]
    expected = real_heads(network, square)
    found = real_heads(open_interpreter(bundles[f"tiny-{SIZE}-fp32"], runtime=runtime), square)  # type: ignore[arg-type]
    for mine, theirs in zip(expected, found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-3)
    assert max(np.abs(head).max() for head in expected) > 0.5  # Something was compared.


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_ok__int8_files_are_close(
    bundles: dict[str, Bundle], network: TorchInterpreter, tiny_data: Path, runtime: str
) -> None:
    squares = letterboxed(calibration_files(tiny_data), SIZE)
    turned = [np.ascontiguousarray(square[::-1, ::-1]) for square in squares]
    int8 = open_interpreter(bundles[f"tiny-{SIZE}"], runtime=runtime)  # type: ignore[arg-type]
    close, other = parity(network, int8, squares), parity(network, int8, turned)
    assert 0 < close.class_kl < 0.2
    assert other.class_kl < 0.2
    assert parity(network, network, squares[:1]).class_kl == pytest.approx(0, abs=1e-9)


def test_ok__int8_input_is_the_pixel_with_one_bit_flipped(bundles: dict[str, Bundle]) -> None:
    given = open_interpreter(bundles[f"tiny-{SIZE}"], runtime="litert").input
    assert (given.dtype, given.zero_point) == (np.int8, -128)
    assert given.scale == pytest.approx(1 / 255, rel=1e-6)


def test_ok__class_heads_end_at_the_floor(bundles: dict[str, Bundle]) -> None:
    for info in open_interpreter(bundles[f"tiny-{SIZE}"], runtime="litert").outputs[1::2]:
        assert (-128 - info.zero_point) * info.scale >= -9.1


def test_ok__manifest_and_card_say_what_was_measured(bundles: dict[str, Bundle]) -> None:
    bundle = bundles[f"tiny-{SIZE}"]
    means = [entry for entry in bundle.manifest.metrics if entry.get("view") == "mean of four"]
    assert {(entry["metric"], entry["file"]) for entry in means} == {
        (metric, file) for metric in ("mAP50-95", "mAP50") for file in ("model.tflite", "model.onnx")
    }
    assert all(entry["images"] == 4 and entry["split"] == "val" for entry in means)
    assert {"base", "checkpoint", "command", "git_commit", "dataset", "date"} <= set(bundle.manifest.provenance)
    card = (bundle.path / "MODEL_CARD.md").read_text()
    assert "| **mean**" in card
    assert "64x64" in card


def test_ok__same_inputs_give_the_same_bytes(
    bundles: dict[str, Bundle], float_file: bytes, ranges: dict[str, Range], onnx_file: bytes, tiny_data: Path
) -> None:
    onnx_ranges = onnx_graph.calibrate(onnx_file, letterboxed(calibration_files(tiny_data), SIZE))
    made = {
        "litert": (float_file, litert.quantize(float_file, ranges)),
        "onnxruntime": (onnx_file, onnx_graph.quantize(onnx_file, onnx_ranges)),
    }
    for name, which in ((f"tiny-{SIZE}-fp32", 0), (f"tiny-{SIZE}", 1)):
        for file in bundles[name].manifest.files:
            assert (bundles[name].path / file.path).read_bytes() == made[file.runtime][which], (name, file.runtime)


def test_ok__calibration_takes_the_percentile_of_the_pictures_extremes(
    float_file: bytes, ranges: dict[str, Range], tiny_data: Path
) -> None:
    squares = letterboxed(calibration_files(tiny_data), SIZE)
    given, heads = litert.tensor_names(float_file)
    assert ranges[given] == (0, 1)
    each = [litert.calibrate(float_file, [square])[heads[0]] for square in squares]
    expected = np.percentile([low for low, _ in each], 3), np.percentile([high for _, high in each], 97)
    assert ranges[heads[0]] == pytest.approx(expected, rel=1e-5)


def test_fail__export_below_its_floor_is_not_written(tiny_checkpoint: Path, tiny_data: Path, tmp_path: Path) -> None:
    floors = tmp_path / "floors.json"
    floors.write_text(json.dumps({"detect": {"int8": {"mean": -100, "view": 100}, "fp32": {"mean": 1, "view": 1}}}))
    with pytest.raises(InputError, match=r"tiny-64 is not written: litert int8 loses .* -100.0 are allowed"):
        export(recipe(tiny_checkpoint, tmp_path / "out"), tiny_data, lambda _: None, floors)
    assert not (tmp_path / "out").exists()


def test_fail__flipped_floor_is_found_by_verify(
    bundles: dict[str, Bundle], tiny_checkpoint: Path, tiny_data: Path, generous: Path, tmp_path: Path
) -> None:
    path = bundles[f"tiny-{SIZE}"].path
    _, good = verify(path, tiny_checkpoint, tiny_data, generous)
    flipped = tmp_path / "floors.json"
    flipped.write_text(json.dumps({"detect": {"int8": {"mean": 100, "view": -100}}}))
    shown, bad = verify(path, tiny_checkpoint, tiny_data, flipped)
    assert good == []
    assert len(bad) == 8  # Four views of two files.
    assert "| **mean**" in shown


def test_fail__no_calibration_photos(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no calibration photos at .*SERENO_DATA"):
        export(recipe(tiny_checkpoint, tmp_path / "out"), tmp_path, lambda _: None)
    assert not (tmp_path / "out").exists()


def test_fail__no_labelled_pictures(tiny_checkpoint: Path, tiny_data: Path, tmp_path: Path) -> None:
    (tmp_path / "coco" / "images").mkdir(parents=True)
    (tmp_path / "coco" / "images" / "train").symlink_to(tiny_data / "coco" / "images" / "train")
    with pytest.raises(InputError, match="no labelled pictures at"):
        export(recipe(tiny_checkpoint, tmp_path / "out"), tmp_path, lambda _: None)
    assert not (tmp_path / "out").exists()


def test_ok__old_bundle_stays_whole_until_the_new_one_stands(bundles: dict[str, Bundle], tmp_path: Path) -> None:
    from export.bundle import replace_folder

    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(name)
    replace_folder(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old" / "manifest.json").read_text() == "new"
    assert load_bundle(bundles[f"tiny-{SIZE}"].path).name == f"tiny-{SIZE}"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"not a checkpoint", "cannot be read as a checkpoint"), (None, "holds no model")],
    ids=["text", "other-pickle"],
)
def test_fail__checkpoint_that_is_none(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "model.pt"
    torch.save({"weights": 1}, path) if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        load_detector(path)


def test_fail__unknown_model() -> None:
    with pytest.raises(ConfigError, match="no model called 'yolov9': there are yolov8n, sereno-coco-320"):
        recipe_for("yolov9", None, [320])


def test_fail__size_that_the_strides_do_not_divide() -> None:
    result = CliRunner().invoke(main, ["--size", "100", "yolov8n"])
    assert result.exit_code == 2
    assert "not a multiple of 32" in result.output


def test_ok__onnx_keeps_the_first_stages_and_the_heads_in_float(onnx_file: bytes) -> None:
    import onnx

    model = onnx.load_from_string(onnx_file)
    kept = onnx_graph.kept_in_float(model)
    named = {node.name for node in model.graph.node if node.op_type == "Conv"}
    assert set(kept) <= named
    assert len(kept) == len(set(kept)) == 6 + 6  # Layers 0, 1 and the four of layer 2; six heads.


def test_ok__what_silu_is_computed_of_begins_at_the_floor(float_file: bytes, ranges: dict[str, Range]) -> None:
    before = litert.before_sigmoid(float_file)
    assert len(before) == 57
    assert min(ranges[name][0] for name in before) >= -6
