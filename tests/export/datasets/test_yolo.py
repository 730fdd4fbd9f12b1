"""A detector's data in the layouts that people have, with paths as ultralytics resolves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.errors import InputError
from export.datasets.boxes import read_boxes
from export.datasets.yolo import label_path, open_detection
from tests.export.datasets.photos import a_detection_set, a_photo, write


def test_ok__data_yaml_with_folders(tmp_path: Path) -> None:
    for split, count in (("train", 4), ("val", 2)):
        a_detection_set(tmp_path, count, folder=split)
    (tmp_path / "data.yaml").write_text("train: images/train\nval: images/val\nnames: {0: sano, 1: monilia, 2: otra}\n")
    data = open_detection(tmp_path)
    assert data.names == ("sano", "monilia", "otra")
    assert {split: len(pairs) for split, pairs in data.splits.items()} == {"train": 4, "val": 2}
    image, label = data.splits["train"][0]
    assert image == tmp_path / "images/train/00.jpg"
    assert label == tmp_path / "labels/train/00.txt"
    assert data.counts() == {"train": [2, 1, 1], "val": [1, 1, 0]}
    assert open_detection(tmp_path / "data.yaml").splits == data.splits


def test_ok__roboflows_paths_that_lead_one_folder_too_high(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        write(tmp_path / split / "images" / "a.jpg", a_photo(1))
        (tmp_path / split / "labels").mkdir()
    (tmp_path / "data.yaml").write_text(
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 1\nnames: ['pod']\n"
    )
    data = open_detection(tmp_path)
    assert [pairs[0][1] for pairs in data.splits.values()] == [
        tmp_path / split / "labels" / "a.txt" for split in ("train", "valid", "test")
    ]


def test_ok__a_list_of_folders_and_a_text_file_of_pictures(tmp_path: Path) -> None:
    a_detection_set(tmp_path / "set", 3, folder="one")
    a_detection_set(tmp_path / "set", 2, folder="two")
    a_detection_set(tmp_path / "set", 2, folder="three")
    (tmp_path / "set" / "val.txt").write_text("./images/three/00.jpg\n./images/three/01.jpg\n")
    (tmp_path / "data.yaml").write_text("path: set\ntrain: [images/one, images/two]\nval: val.txt\nnames: [a, b, c]\n")
    data = open_detection(tmp_path)
    assert {split: len(pairs) for split, pairs in data.splits.items()} == {"train": 5, "val": 2}
    assert all(label.is_file() for pairs in data.splits.values() for _, label in pairs)


def test_ok__folders_without_data_yaml(tmp_path: Path) -> None:
    a_detection_set(tmp_path, 5, folder="train")
    a_detection_set(tmp_path, 2, folder="val")
    data = open_detection(tmp_path)
    assert data.names == ("0", "1", "2")
    assert not data.named
    assert open_detection(tmp_path, names=["x", "y", "z"]).names == ("x", "y", "z")
    (tmp_path / "classes.txt").write_text("u\nv\nw\n")
    assert open_detection(tmp_path).names == ("u", "v", "w")


def test_ok__unsplit_pictures_are_split_by_the_seed_and_duplicates_stay_together(tmp_path: Path) -> None:
    a_detection_set(tmp_path, 30)
    for index in range(30):
        write(tmp_path / "images" / f"again{index:02d}.jpg", a_photo(index)[1:-1, 1:-1], quality=70)
    data = open_detection(tmp_path)
    assert data.made == ("train", "val", "test")
    assert sum(map(len, data.splits.values())) == 60
    places = {image.stem: split for split, pairs in data.splits.items() for image, _ in pairs}
    assert set(places.values()) == {"train", "val", "test"}
    assert all(places[f"{index:02d}"] == places[f"again{index:02d}"] for index in range(30))
    assert open_detection(tmp_path).splits == data.splits


def test_ok__a_missing_val_is_cut_from_train(tmp_path: Path) -> None:
    a_detection_set(tmp_path, 20, folder="train")
    data = open_detection(tmp_path)
    assert data.made == ("val",)
    assert {split: len(pairs) for split, pairs in data.splits.items()} == {"train": 17, "val": 3}
    assert all(sum(column) for column in data.counts().values())


def test_ok__the_fingerprint_follows_labels_too(tmp_path: Path) -> None:
    a_detection_set(tmp_path, 6)
    first = open_detection(tmp_path).fingerprint
    (tmp_path / "labels" / "00.txt").write_text("0 0.5 0.5 0.4 0.5\n")
    assert open_detection(tmp_path).fingerprint != first


def test_ok__only_the_last_folder_called_images_becomes_labels() -> None:
    assert label_path(Path("/images/set/images/train/a.b.jpg")) == Path("/images/set/labels/train/a.b.txt")
    assert label_path(Path("/set/train/a.jpg")) == Path("/set/train/a.txt")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("99 0.5 0.5 0.1 0.1", "has class 99, which there is not; there are 0 to 2"),
        ("-1 0.5 0.5 0.1 0.1", "has class -1"),
        ("0.5 0.5 0.5 0.1 0.1", "has class 0.5"),
        ("0 0.5 0.5 0.1", "it has 4 values"),
        ("0 0.5 0.5 0.1 0.1 0.9", "it has 6 values"),
        ("pod 0.5 0.5 0.1 0.1", "is malformed: `pod 0.5"),
        ("0 0.5 nan 0.1 0.1", "no finite number"),
        ("0 1.5 0.5 0.1 0.1", "outside the picture"),
        ("0 0.9 0.5 0.4 0.1", "outside the picture"),
        ("0 320 240 50 60", "a box in pixels"),
        ("0 0.5 0.5 0 0.1", "a box without area"),
    ],
)
def test_fail__each_fault_of_a_line_is_told(tmp_path: Path, line: str, sentence: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(f"1 0.5 0.5 0.2 0.2\n\n{line}\n")
    found = read_boxes(path, 3)
    assert found.table.tolist() == [[1, 0.5, 0.5, 0.2, 0.2]]
    assert len(found.faults) == 1
    assert found.faults[0][0] == 3
    assert sentence in found.faults[0][1]


def test_ok__an_outline_becomes_the_box_around_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\ufeff2 0.1 0.2 0.5 0.2 0.5 0.8 0.1 0.8\n", encoding="utf-8")
    found = read_boxes(tmp_path / "a.txt", 3)
    assert found.table[0].tolist() == pytest.approx([2, 0.3, 0.5, 0.4, 0.6])
    assert found.polygons == 1


@pytest.mark.parametrize(
    ("yaml", "sentence"),
    [
        ("names: [a, b\n", "is no YAML"),
        ("just words\n", "holds no keys"),
        ("train: nowhere\nval: images\nnames: [a]\n", "there is no "),
        ("val: images\nnames: [a]\n", "but no train:"),
        ("train: images\nnames: {1: a, 2: b}\n", "must go from 0 to 1"),
        ("train: images\nnames: [a, a]\n", "'a' twice"),
        ("train: images\nnc: 3\nnames: [a, b]\n", "nc: says 3 classes, but names: lists 2"),
        ("train: images\nnames: [[a]]\n", "has a list in it"),
        ("train: 7\nnames: [a]\n", "7 is no folder's name"),
    ],
)
def test_fail__a_wrong_data_yaml(tmp_path: Path, yaml: str, sentence: str) -> None:
    a_detection_set(tmp_path, 2, classes=1)
    (tmp_path / "data.yaml").write_text(yaml)
    with pytest.raises(InputError) as caught:
        open_detection(tmp_path)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fail__nothing_there(tmp_path: Path) -> None:
    for root in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError):
            open_detection(root)


def test_ok__the_real_cacao(shared_data: Path) -> None:
    data = open_detection(shared_data / "cacao")
    assert data.counts() == {"train": [83, 81, 87], "val": [21, 22, 21]}
    assert not data.made
    assert not data.left_out
