"""Folders of photos become datasets: the layouts, the splits that are made, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from device.capture.pictures import read_picture
from device.errors import InputError
from export.datasets import open_dataset
from tests.export.datasets.photos import a_folder, a_photo, write


def test_ok__plain_folders_are_split_stratified_and_the_same_each_time(tmp_path: Path) -> None:
    root = a_folder(tmp_path, {"dog": 20, "cat": 40})
    dataset = open_dataset(root)
    assert dataset.labels == ("cat", "dog")
    assert dataset.counts() == {"train": [28, 14], "val": [6, 3], "test": [6, 3]}
    assert dataset.made == ("train", "val", "test")
    assert open_dataset(root).splits == dataset.splits
    assert open_dataset(root, seed=1).splits != dataset.splits
    keys = [sample.key for samples in dataset.splits.values() for sample in samples]
    assert len(set(keys)) == 60


def test_ok__a_new_class_moves_no_photo_of_the_others(tmp_path: Path) -> None:
    before = open_dataset(a_folder(tmp_path, {"b": 20, "c": 20}))
    after = open_dataset(a_folder(tmp_path, {"a": 20}, start=100))
    for split in ("train", "val", "test"):
        kept = {after.name(sample) for sample in after.splits[split]}
        assert {before.name(sample) for sample in before.splits[split]} <= kept


def test_ok__val_is_cut_from_train_and_the_given_test_stays(tmp_path: Path) -> None:
    a_folder(tmp_path / "train", {"a": 20, "b": 20})
    a_folder(tmp_path / "test", {"a": 5, "b": 4}, start=100)
    dataset = open_dataset(tmp_path)
    assert dataset.counts() == {"train": [17, 17], "val": [3, 3], "test": [5, 4]}
    assert dataset.made == ("val",)
    assert {sample.path.parent.parent.name for sample in dataset.splits["test"]} == {"test"}
    assert {sample.path.parent.parent.name for sample in dataset.splits["val"]} == {"train"}


def test_ok__given_splits_are_taken_as_they_are_by_any_of_their_names(tmp_path: Path) -> None:
    for index, name in enumerate(("train", "valid", "test")):
        a_folder(tmp_path / name, {"a": 3, "b": 2}, start=index * 100)
    dataset = open_dataset(tmp_path)
    assert dataset.counts() == {"train": [3, 2], "val": [3, 2], "test": [3, 2]}
    assert dataset.made == ()


def test_ok__near_duplicates_never_straddle_own_splits(tmp_path: Path) -> None:
    for index in range(30):
        photo = a_photo(index)
        write(tmp_path / "a" / f"{index:02d}.jpg", photo)
        write(tmp_path / "a" / f"again-{index:02d}.jpg", photo[1:-1, 1:-1], quality=60)
        write(tmp_path / "b" / f"{index:02d}.jpg", a_photo(index + 100))
        write(tmp_path / "b" / f"mirrored-{index:02d}.png", a_photo(index + 100)[:, ::-1])
    dataset = open_dataset(tmp_path)
    places = {dataset.name(sample): split for split, samples in dataset.splits.items() for sample in samples}
    assert set(places.values()) == {"train", "val", "test"}
    for index in range(30):
        assert places[f"a/{index:02d}.jpg"] == places[f"a/again-{index:02d}.jpg"]
        assert places[f"b/{index:02d}.jpg"] == places[f"b/mirrored-{index:02d}.png"]


def test_ok__pictures_are_read_as_the_device_reads_them(tmp_path: Path) -> None:
    dataset = open_dataset(a_folder(tmp_path, {"a": 2, "b": 2}))
    for sample in dataset.splits["train"]:
        np.testing.assert_array_equal(dataset.read(sample), read_picture(sample.path))


def test_ok__a_photo_that_is_cut_short_is_left_out_and_named(tmp_path: Path) -> None:
    root = a_folder(tmp_path, {"a": 8, "b": 8})
    broken = root / "a" / "03.jpg"
    broken.write_bytes(broken.read_bytes()[:-40])
    dataset = open_dataset(root)
    assert sum(map(sum, dataset.counts().values())) == 15
    assert list(dataset.left_out) == [broken]
    assert "cut short" in dataset.left_out[broken]


def test_ok__the_fingerprint_follows_contents_and_names_and_nothing_else(tmp_path: Path) -> None:
    first = open_dataset(a_folder(tmp_path / "one", {"a": 4, "b": 4})).fingerprint
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert open_dataset(tmp_path / "two", seed=5).fingerprint == first
    (tmp_path / "two" / "a" / "00.jpg").rename(tmp_path / "two" / "a" / "99.jpg")
    renamed = open_dataset(tmp_path / "two").fingerprint
    write(tmp_path / "two" / "a" / "99.jpg", a_photo(500))
    changed = open_dataset(tmp_path / "two").fingerprint
    assert len({first, renamed, changed}) == 3


def test_ok__sheets_are_cut_into_tiles(tmp_path: Path) -> None:
    values = {"cat": 40, "dog": 90}
    for split, rows in (("train", 2), ("test", 1)):
        for name, value in values.items():
            sheet = np.zeros((rows * 32, 3200, 3), np.uint8)
            for index in range(rows * 100):
                top, left = index // 100 * 32, index % 100 * 32
                sheet[top : top + 32, left : left + 32] = (value, index, 7 if split == "test" else 9)
            write(tmp_path / split / f"{name}.png", sheet)
    dataset = open_dataset(tmp_path)
    assert dataset.labels == ("cat", "dog")
    assert dataset.counts() == {"train": [170, 170], "val": [30, 30], "test": [100, 100]}
    assert len({sample.key for samples in dataset.splits.values() for sample in samples}) == 600
    for split, last in (("train", 9), ("val", 9), ("test", 7)):
        for sample in dataset.splits[split][::17]:
            tile = dataset.read(sample)
            assert tile.shape == (32, 32, 3)
            assert (tile == (values[dataset.labels[sample.label]], sample.tile, last)).all()


def test_ok__equal_tiles_stay_on_one_side(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        half = rng.integers(0, 256, (32, 1600, 3), dtype=np.uint8)
        write(tmp_path / "train" / f"{name}.png", np.concatenate([half, half], axis=1))
    dataset = open_dataset(tmp_path)
    places = {(sample.label, sample.tile): split for split, samples in dataset.splits.items() for sample in samples}
    assert all(places[label, tile] == places[label, tile + 50] for label in (0, 1) for tile in range(50))


def test_ok__a_class_may_be_called_train(tmp_path: Path) -> None:
    dataset = open_dataset(a_folder(tmp_path, {"bus": 6, "car": 6, "train": 6}))
    assert dataset.labels == ("bus", "car", "train")
    assert dataset.made == ("train", "val", "test")


def refusal(root: Path) -> str:
    with pytest.raises(InputError) as caught:
        open_dataset(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_fail__nothing_there(tmp_path: Path) -> None:
    assert "there is no folder" in refusal(tmp_path / "nowhere")


def test_fail__an_empty_folder(tmp_path: Path) -> None:
    assert "holds no photos" in refusal(tmp_path)


def test_fail__photos_without_classes(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg", a_photo(1))
    assert "have no class" in refusal(tmp_path)


def test_fail__no_photo_can_be_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.jpg").write_text("Dear diary")
    assert "no photo that can be read" in refusal(tmp_path)


def test_fail__large_photos_where_sheets_would_be(tmp_path: Path) -> None:
    write(tmp_path / "train" / "a.jpg", a_photo(1))
    assert "is no sheet" in refusal(tmp_path)


def test_fail__a_detectors_dataset(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.jpg", a_photo(1))
    (tmp_path / "labels").mkdir()
    assert "for a detector" in refusal(tmp_path)


def test_ok__the_real_sets(shared_data: Path) -> None:
    cats = open_dataset(shared_data / "cats_dogs")
    assert cats.counts() == {"train": [680, 680], "val": [120, 120], "test": [400, 400]}
    animals = open_dataset(shared_data / "animals")
    assert len(animals.labels) == 22
    assert {split: len(samples) for split, samples in animals.splits.items()} == {
        "train": 1160,
        "val": 250,
        "test": 250,
    }
    assert not cats.left_out
    assert not animals.left_out
