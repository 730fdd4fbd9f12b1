"""Right bundles are loaded; each that is not is refused in one sentence: what, where, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device.errors import InputError
from device.inference.manifest import find_bundle, list_bundles, load_bundle
from tests.inference.samples import a_file, a_manifest, write_bundle


def change(folder: Path, **changes: object) -> None:
    """Overwrite keys of a bundle's manifest."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(folder: Path, **options: bool) -> str:
    """The sentence with which a bundle is refused."""
    with pytest.raises(InputError) as caught:
        load_bundle(folder, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert str(folder) in sentence
    return sentence


def test_ok__a_right_bundle_is_loaded_with_its_labels_and_thresholds(tmp_path: Path) -> None:
    bundle = load_bundle(write_bundle(tmp_path / "one"))
    assert bundle.name == "made-up"
    assert bundle.manifest.labels == ("person", "car", "dog")
    assert bundle.manifest.threshold("iou") == 0.7
    assert bundle.read(bundle.manifest.files[0]) == b"weights" * 99


def test_ok__keys_of_later_versions_of_schema_1_are_left_alone(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "one")
    change(folder, colour_of_the_box="green")
    assert load_bundle(folder).name == "made-up"


def test_fail__a_flipped_byte_in_the_model(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "one")
    content = bytearray((folder / "model.tflite").read_bytes())
    content[100] ^= 1
    (folder / "model.tflite").write_bytes(content)
    sentence = refusal(folder)
    assert "model.tflite is damaged or was changed" in sentence
    assert "make export" in sentence


def test_fail__a_flipped_byte_after_the_bundle_was_checked(tmp_path: Path) -> None:
    bundle = load_bundle(write_bundle(tmp_path / "one"))
    (tmp_path / "one" / "model.tflite").write_bytes(b"Weights" + b"weights" * 98)
    with pytest.raises(InputError, match="damaged or was changed"):
        bundle.read(bundle.manifest.files[0])


def test_fail__a_flipped_byte_in_a_file_of_the_other_runtime(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "one")
    files = json.loads((folder / "manifest.json").read_text())["files"]
    change(folder, files=[*files, a_file("model.onnx", b"onnx", "onnxruntime")])
    (folder / "model.onnx").write_bytes(b"0nnx")
    assert "model.onnx" in refusal(folder)


def test_fail__a_truncated_model_says_how_long_it_should_be(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "one")
    (folder / "model.tflite").write_bytes(b"weights" * 50)
    assert "has 350 bytes, the manifest says 693" in refusal(folder)


def test_fail__a_model_file_is_missing(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "one")
    (folder / "model.tflite").unlink()
    assert "names model.tflite, which cannot be read: No such file" in refusal(folder)


def test_fail__schema_99_says_which_is_known(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "one")
    change(folder, schema=99)
    sentence = refusal(folder)
    assert "schema 99" in sentence
    assert "knows schema 1 only" in sentence


@pytest.mark.parametrize("schema", ["1", True, None, 1.5, [1]])
def test_fail__a_schema_that_only_looks_like_1(tmp_path: Path, schema: object) -> None:
    folder = write_bundle(tmp_path / "one")
    change(folder, schema=schema)
    assert "knows schema 1 only" in refusal(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ('{"schema": 1,', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "has no `schema`"),
        ("{}", "has no `schema`"),
        ("\xff\xfe", "is not JSON"),
    ],
)
def test_fail__malformed_json(tmp_path: Path, text: str, said: str) -> None:
    folder = write_bundle(tmp_path / "one")
    (folder / "manifest.json").write_bytes(text.encode("latin-1"))
    assert said in refusal(folder)


@pytest.mark.parametrize("path", ["../outside.tflite", "/etc/hostname", "a/../../b", "", "..\\x"])
def test_fail__a_path_that_leads_out_of_the_folder(tmp_path: Path, path: str) -> None:
    (tmp_path / "outside.tflite").write_bytes(b"x")
    folder = write_bundle(tmp_path / "one")
    change(folder, files=[a_file(path, b"x")])
    assert "must be a file inside the bundle's folder" in refusal(folder)


def test_fail__a_link_that_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"x")
    folder = write_bundle(tmp_path / "one")
    (folder / "link").symlink_to(tmp_path / "outside")
    change(folder, files=[a_file("link", b"x")])
    with pytest.raises(InputError, match="leads out of the bundle's folder"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": []}, "labels"),
        ({"thresholds": {"iou": 0.7}}, "thresholds.confidence"),
        ({"thresholds": {"confidence": 1.5, "iou": 0.7}}, "thresholds.confidence: 1.5 is not a number from 0 to 1"),
        ({"files": []}, "files"),
        ({"task": "guess"}, "task"),
        ({"input": {"width": -1, "height": 64}}, "input.width"),
        ({"input": {"width": 64, "height": 64, "std": [1, 0, 1]}}, "std must be above 0"),
        ({"name": "../../etc"}, "name"),
    ],
)
def test_fail__an_incomplete_or_impossible_manifest_names_the_key(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    folder = write_bundle(tmp_path / "one")
    change(folder, **changes)
    assert said in refusal(folder)


def test_fail__labels_txt_contradicts_the_manifest(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "one")
    (folder / "labels.txt").write_text("person\ncar\ndog\n")
    assert load_bundle(folder).name == "made-up"
    (folder / "labels.txt").write_text("person\ncat\ndog\n")
    assert "labels.txt has other labels than the manifest" in refusal(folder)


def test_fail__a_signature_is_asked_for(tmp_path: Path) -> None:
    assert "model.require_signature" in refusal(write_bundle(tmp_path / "one"), require_signature=True)


def test_ok__a_bundle_is_found_by_path_and_by_name_in_sereno_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_bundle(tmp_path / "mine" / "one")
    monkeypatch.setenv("SERENO_MODELS", str(tmp_path / "mine"))
    assert find_bundle("one") == folder
    assert find_bundle(folder) == folder
    assert find_bundle(str(folder)) == folder


def test_ok__a_name_does_not_mean_a_folder_that_happens_to_be_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_bundle(tmp_path / "mine" / "one")
    write_bundle(tmp_path / "here" / "one")
    monkeypatch.setenv("SERENO_MODELS", str(tmp_path / "mine"))
    monkeypatch.chdir(tmp_path / "here")
    assert find_bundle("one") == folder
    assert find_bundle("./one") == Path("one")


def test_fail__a_missing_model_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERENO_MODELS", str(tmp_path / "mine"))
    with pytest.raises(InputError) as caught:
        find_bundle("nothing-like-it")
    sentence = str(caught.value)
    assert "'nothing-like-it'" in sentence
    assert str(tmp_path / "mine" / "nothing-like-it") in sentence
    assert "models/nothing-like-it" in sentence
    assert ".cache/bundles/nothing-like-it" in sentence
    assert "make export" in sentence
    assert "make models" in sentence


def test_fail__a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder without a manifest\.json"):
        find_bundle(tmp_path)


def test_ok__the_list_shows_good_and_bad_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERENO_MODELS", str(tmp_path))
    write_bundle(tmp_path / "good")
    write_bundle(tmp_path / "bad", a_manifest(schema=99))
    found = {one.path.name: one for one in list_bundles()}
    good, bad = found["good"], found["bad"]
    assert good.bundle is not None
    assert good.error == ""
    assert bad.bundle is None
    assert "schema 99" in bad.error
