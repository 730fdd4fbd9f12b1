"""Every fault of a dataset is found before training, counted, and told in one sentence."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from device.errors import InputError
from tests.export.datasets.photos import a_detection_set, a_folder, a_photo, write
from training.data.checks import check_dataset, guess_task, look_over
from training.data.findings import Finding, Findings


def the(findings: Findings, what: str) -> Finding:
    """The one finding of that kind."""
    (found,) = [finding for finding in findings.found if finding.what == what]
    assert "\n" not in found.sentence
    assert found.sentence in findings.table()
    return found


def refusal(root: Path, task: str = "classify") -> str:
    with pytest.raises(InputError) as caught:
        check_dataset(root, task)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_ok__a_sound_set_has_nothing_to_complain_of(tmp_path: Path) -> None:
    findings = check_dataset(a_folder(tmp_path, {"a": 30, "b": 30}))
    assert findings.found == ()
    assert "nothing to complain of" in findings.table()
    assert [row[0] for row in findings.rows] == ["a", "b", "all"]
    assert findings.rows[-1][-1] == "60"


@pytest.mark.parametrize("task", ["classify", "detect", "faces"])
def test_fail__an_empty_folder(tmp_path: Path, task: str) -> None:
    assert str(tmp_path) in refusal(tmp_path, task)


@pytest.mark.parametrize("task", ["classify", "detect", "faces"])
def test_fail__no_folder(tmp_path: Path, task: str) -> None:
    assert "there is no folder" in refusal(tmp_path / "nowhere", task)


def test_fail__one_class(tmp_path: Path) -> None:
    assert "has only the class cats" in refusal(a_folder(tmp_path, {"cats": 5}))


def test_fail__a_class_with_one_photo(tmp_path: Path) -> None:
    assert "the class b in" in (sentence := refusal(a_folder(tmp_path, {"a": 5, "b": 1})))
    assert "has a single photo" in sentence


def test_fail__an_empty_class(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    assert "the class c in" in (sentence := refusal(a_folder(tmp_path, {"a": 5, "b": 5})))
    assert "has no photo that can be read" in sentence


def test_fail__a_class_that_is_only_in_the_test(tmp_path: Path) -> None:
    a_folder(tmp_path / "train", {"a": 5, "b": 5})
    a_folder(tmp_path / "test", {"a": 5, "b": 5, "c": 5}, start=50)
    assert "has no photo in train, but some in test" in refusal(tmp_path)


def test_ok__a_truncated_jpeg_among_a_thousand_is_named_and_left_out(tmp_path: Path) -> None:
    for index in range(1000):
        image = np.random.default_rng(index).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        write(tmp_path / "ab"[index % 2] / f"{index:04d}.jpg", image)
    broken = tmp_path / "b" / "0777.jpg"
    broken.write_bytes(broken.read_bytes()[:-100])
    findings = check_dataset(tmp_path)
    found = the(findings, "unreadable")
    assert found.count == 1
    assert "1 of 1,000 (0.1 %)" in found.sentence
    assert "b/0777.jpg is cut short" in found.sentence
    assert findings.rows[-1][-1] == "999"
    assert [removal.path for removal in found.removals] == [broken]


def test_ok__cmyk_sixteen_bit_grey_and_turned_photos_are_no_fault(tmp_path: Path) -> None:
    a_folder(tmp_path, {"a": 30, "b": 30})
    PIL.Image.fromarray(a_photo(100)).convert("CMYK").save(tmp_path / "a" / "cmyk.jpg")
    PIL.Image.fromarray(a_photo(101)).convert("L").save(tmp_path / "a" / "grey.jpg")
    PIL.Image.fromarray(a_photo(102)[..., 0].astype(np.uint16) * 257).save(tmp_path / "a" / "deep.png")
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(a_photo(103)).save(tmp_path / "a" / "turned.jpg", exif=exif)
    assert check_dataset(tmp_path).found == ()


def test_fail__the_same_photo_in_train_and_test(tmp_path: Path) -> None:
    a_folder(tmp_path / "train", {"a": 25, "b": 25})
    a_folder(tmp_path / "test", {"a": 25, "b": 25}, start=100)
    write(tmp_path / "test" / "a" / "again.jpg", a_photo(3)[:, :], quality=60)
    sentence = refusal(tmp_path)
    assert "1 photo is in more than one split, as test/a/again.jpg = train/a/03.jpg" in sentence
    assert "--allow-duplicates" in sentence
    findings = check_dataset(tmp_path, allow_duplicates=True)
    (removal,) = the(findings, "duplicates across splits").removals
    assert removal.path == tmp_path / "train" / "a" / "03.jpg", "the test stays as it is"


def test_fail__the_same_tile_in_train_and_test(tmp_path: Path) -> None:
    sheets = np.random.default_rng(0).integers(0, 256, (4, 32, 3200, 3), dtype=np.uint8)
    sheets[3, :, :32] = sheets[0, :, 64:96]
    for index, name in enumerate(("train/a", "train/b", "test/a", "test/b")):
        write(tmp_path / f"{name}.png", sheets[index])
    assert "1 tile is in train and test, as train/a.png#2 = test/b.png#0" in refusal(tmp_path)
    assert check_dataset(tmp_path, allow_duplicates=True).warnings


def test_ok__a_tile_that_looks_like_one_of_train_is_told(tmp_path: Path) -> None:
    tiles = [a_photo(seed, 32, 32) for seed in range(400)]
    tiles[205] = np.clip(tiles[17].astype(int) + 9, 0, 255).astype(np.uint8)
    for index, name in enumerate(("train/a", "train/b", "test/a", "test/b")):
        write(tmp_path / f"{name}.png", np.concatenate(tiles[100 * index : 100 * index + 100], axis=1))
    findings = check_dataset(tmp_path)
    found = the(findings, "near-duplicates across splits")
    assert found.examples == ("train/a.png#17 ~ test/a.png#5",)
    assert found in findings.warnings


def test_ok__the_same_photo_twice_in_a_class_or_under_two_labels(tmp_path: Path) -> None:
    a_folder(tmp_path, {"a": 30, "b": 30})
    write(tmp_path / "a" / "large.jpg", a_photo(7, 320, 256))
    write(tmp_path / "b" / "also.jpg", a_photo(9))
    findings = check_dataset(tmp_path)
    (removal,) = the(findings, "duplicates").removals
    assert removal.path == tmp_path / "a" / "07.jpg", "the larger is kept"
    torn = the(findings, "same photo, two labels")
    assert "a/09.jpg = b/also.jpg" in torn.sentence
    assert not any(removal.sure for removal in torn.removals)


def test_ok__tiny_few_unbalanced_and_passed_over(tmp_path: Path) -> None:
    a_folder(tmp_path, {"a": 60, "b": 12})
    write(tmp_path / "a" / "tiny.jpg", a_photo(200, 20, 90))
    (tmp_path / "a" / "scan.tif").write_bytes(b"II*\0")
    write(tmp_path / "a" / "more" / "x.jpg", a_photo(201))
    findings = check_dataset(tmp_path)
    assert the(findings, "tiny").examples == ("a/tiny.jpg is 20 x 90 pixels",)
    assert "b has 8 photos in train" in the(findings, "few photos").sentence
    assert "a has 5.4 times as many photos in train as b (43 and 8)" in the(findings, "imbalance").sentence
    assert [finding.examples for finding in findings.found if finding.what == "passed over"] == [
        ("a/scan.tif",),
        ("a/more/x.jpg",),
    ]


def detection(root: Path) -> Path:
    a_detection_set(root, 9, folder="train")
    a_detection_set(root, 3, folder="val", start=50)
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [sano, monilia, otra]\n")
    return root


def test_ok__a_sound_detection_set(tmp_path: Path) -> None:
    findings = check_dataset(detection(tmp_path), "detect")
    assert findings.found == ()
    assert ("monilia", "3", "1") in findings.rows


@pytest.mark.parametrize(
    ("line", "what", "words"),
    [
        ("99 0.5 0.5 0.1 0.1", "class out of range", "has class 99, which there is not; there are 0 to 2"),
        ("0 0.95 0.5 0.3 0.1", "box outside the picture", "has a box outside the picture (from 0.45 to 1.1)"),
        ("0 0.5 0.5 0 0.1", "box without area", "has a box without area"),
        ("0 50 60 20 20", "box in pixels", "has a box in pixels"),
        ("0 0.5 0.5", "malformed line", "is malformed: it has 3 values"),
    ],
)
def test_fail__wrong_labels(tmp_path: Path, line: str, what: str, words: str) -> None:
    label = detection(tmp_path) / "labels" / "train" / "04.txt"
    label.write_text(f"{label.read_text()}{line}\n")
    sentence = refusal(tmp_path, "detect")
    assert f"labels/train/04.txt, line 2, {words}" in sentence
    found = the(look_over(tmp_path, "detect"), what)
    assert {removal.path for removal in found.removals} == {label, tmp_path / "images" / "train" / "04.jpg"}


def test_ok__missing_label_files_and_missing_photos(tmp_path: Path) -> None:
    detection(tmp_path)
    (tmp_path / "labels" / "train" / "01.txt").unlink()
    (tmp_path / "images" / "train" / "02.jpg").unlink()
    findings = check_dataset(tmp_path, "detect")
    assert the(findings, "missing label files").examples == ("images/train/01.jpg",)
    assert the(findings, "labels without a picture").examples == ("labels/train/02.txt",)


def test_fail__no_label_file_at_all(tmp_path: Path) -> None:
    detection(tmp_path)
    for path in tmp_path.rglob("*.txt"):
        path.unlink()
    assert "none of the 12 pictures has a label file" in refusal(tmp_path, "detect")


def test_fail__the_same_picture_in_train_and_val(tmp_path: Path) -> None:
    write(detection(tmp_path) / "images" / "val" / "again.jpg", a_photo(1), quality=70)
    assert "images/val/again.jpg = images/train/01.jpg" in refusal(tmp_path, "detect")


def test_fail__data_yaml_names_a_folder_that_is_not_there(tmp_path: Path) -> None:
    (detection(tmp_path) / "data.yaml").write_text("train: images/train\nval: images/valid\nnames: [a, b, c]\n")
    assert "names images/valid, but there is no" in refusal(tmp_path, "detect")


def test_ok__classes_that_are_never_shown_or_never_measured(tmp_path: Path) -> None:
    detection(tmp_path)
    (tmp_path / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [a, b, c, d]\n")
    (tmp_path / "labels" / "val" / "02.txt").write_text("0 0.5 0.5 0.5 0.5\n0 0.5 0.5 0.5 0.5\n")
    findings = check_dataset(tmp_path, "detect")
    assert the(findings, "empty classes").examples == ("d",)
    assert the(findings, "classes not measured").examples == ("c",)
    assert the(findings, "repeated boxes").examples == ("labels/val/02.txt",)


def test_fail__an_identity_in_train_and_test(tmp_path: Path) -> None:
    a_folder(tmp_path / "train", {"ana": 3, "bea": 3})
    a_folder(tmp_path / "test", {"bea": 3, "eva": 1}, start=50)
    assert "1 identity is in more than one split, as bea in train and test" in refusal(tmp_path, "faces")


def test_fail__too_few_identities_to_learn_from(tmp_path: Path) -> None:
    a_folder(tmp_path, {"ana": 3, "bea": 1, "eva": 1})
    assert "has 1 identity with two photos or more" in refusal(tmp_path, "faces")
    assert the(look_over(tmp_path, "faces"), "identities with one photo").count == 2


def test_ok__the_commands_need_no_framework() -> None:
    code = (
        "import sys, training.data.commands; print({'torch', 'tensorflow', 'keras', 'ultralytics'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"


def test_ok__the_task_is_guessed(tmp_path: Path) -> None:
    a_folder(tmp_path / "c", {"a": 2, "b": 2})
    detection(tmp_path / "d")
    for index in range(60):
        (tmp_path / "f" / "train" / str(index)).mkdir(parents=True)
        (tmp_path / "f" / "train" / str(index) / "1.jpg").touch()
    assert [guess_task(tmp_path / name) for name in "cdf"] == ["classify", "detect", "faces"]
    assert guess_task(tmp_path / "d" / "data.yaml") == "detect"


def test_ok__the_real_sets_pass_in_seconds(shared_data: Path) -> None:
    doubles = {}
    for name, task in (("cats_dogs", "classify"), ("animals", "classify"), ("cacao", "detect")):
        begun = time.process_time()
        findings = check_dataset(shared_data / name, task)
        assert time.process_time() - begun < 20
        assert {finding.what for finding in findings.found} <= {"duplicates"}
        doubles[name] = sum(finding.count for finding in findings.found)
    assert doubles == {"cats_dogs": 0, "animals": 20, "cacao": 0}
