"""What people get wrong: one sentence, before minutes are spent."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import click
import pytest
import torch

from device.errors import ConfigError, InputError
from device.system.fetch import fetch
from export.labelled import open_labelled
from export.trained import usual_name
from tests.training.detectors.conftest import NAMES
from training.detectors.commands import detector
from training.detectors.fitting import Fitting
from training.detectors.network import network_from
from training.detectors.official import LARGER
from training.detectors.photos import Photos
from training.detectors.roles import roles
from training.detectors.settings import Settings
from training.detectors.train import begin_run
from training.runs import Run


@pytest.fixture
def copy(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "copy"))


def run(*words: object) -> None:
    detector.main([str(word) for word in words], standalone_mode=False)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("99 0.5 0.5 0.2 0.2", r"labels/train/3\.txt, line 2, has class 99, which there is not; there are 0 to 1"),
        ("1 0.95 0.5 0.4 0.2", "has a box outside the picture"),
        ("1 0.5 0.5 0.2", "4 values"),
        ("cat 0.5 0.5 0.2 0.2", "malformed"),
    ],
)
def test_fail__wrong_label(copy: Path, line: str, sentence: str) -> None:
    with (copy / "labels" / "train" / "3.txt").open("a") as stream:
        stream.write(f"{line}\n")
    with pytest.raises(InputError, match=sentence):
        open_labelled(copy)


def test_ok__missing_label_file_is_told_and_taken_as_empty(copy: Path) -> None:
    (copy / "labels" / "train" / "3.txt").unlink()
    dataset = open_labelled(copy)
    assert len(dataset.splits["train"]) == 12
    [sentence] = dataset.warnings
    assert sentence.startswith("1 of 18 photos have no label file (3.png is the first)")


def test_ok__truncated_photo_is_told_and_left_out(copy: Path) -> None:
    photo = copy / "images" / "train" / "3.png"
    photo.write_bytes(photo.read_bytes()[:200])
    dataset = open_labelled(copy)
    assert len(dataset.splits["train"]) == 11
    assert any("1 photos cannot be read and are left out: 3.png" in sentence for sentence in dataset.warnings)


def test_fail__no_label_at_all(copy: Path) -> None:
    shutil.rmtree(copy / "labels")
    with pytest.raises(InputError, match=r"no photo to learn from in .* has an object"):
        open_labelled(copy, names=NAMES)


def test_fail__no_photos(tmp_path: Path, begin: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match="holds no pictures with labels"):
        run("--data", tmp_path, "--weights", begin, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_fail__no_data() -> None:
    with pytest.raises(ConfigError, match="--data is missing"):
        run()


def test_fail__size_is_no_multiple_of_32(drawn: Path) -> None:
    with pytest.raises(click.BadParameter, match="100 is not a multiple of 32"):
        run("--data", drawn, "--size", 100)


def test_fail__a_name_that_no_bundle_may_have(drawn: Path) -> None:
    with pytest.raises(click.BadParameter, match=r"'my pods' is no bundle's name"):
        run("--data", drawn, "--name", "my pods")


def test_ok__a_bundle_is_called_after_any_folder(drawn: Path, tmp_path: Path) -> None:
    shutil.copytree(drawn, tmp_path / "(2) mis vainas de cacao ñ")
    assert usual_name(open_labelled(tmp_path / "(2) mis vainas de cacao ñ"), 320) == "2-mis-vainas-de-cacao-320"


def test_fail__held_out_photos_show_nothing(copy: Path, begin: Path, tmp_path: Path) -> None:
    for labels in (copy / "labels" / "val").iterdir():
        labels.write_text("")
    with pytest.raises(InputError, match=r"the 6 photos of val in .* show no object"):
        run("--data", copy, "--weights", begin, "--size", 64, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_fail__resumed_with_another_setting(drawn: Path, tmp_path: Path) -> None:
    config = {
        "family": "detector",
        "data": str(drawn),
        "size": 320,
        "seed": 0,
        "settings": {"epochs": 40, "rate": 1e-3},
    }
    Run(tmp_path / "run", config, resume=False)
    with pytest.raises(ConfigError, match=r"begun with settings\.epochs 40, and 50 was given"):
        run("--resume", tmp_path / "run", "--epochs", 50)
    with pytest.raises(ConfigError, match="begun with size 320, and 640 was given"):
        run("--resume", tmp_path / "run", "--size", 640)


def test_fail__resumed_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no run"):
        run("--resume", tmp_path)


def test_fail__resumed_with_other_photos(copy: Path, begin: Path, tmp_path: Path) -> None:
    dataset = open_labelled(copy)
    config = {"seed": 0, "weights": str(begin), "model": "n", "hold": 0.0}
    begun = Run(tmp_path / "run", config, resume=False)
    begin_run(begun, dataset, roles(dataset, 0.0, 0))
    (copy / "labels" / "train" / "3.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    changed = open_labelled(copy)
    with pytest.raises(ConfigError, match=r"are not those that .* was begun with"):
        begin_run(begun, changed, roles(changed, 0.0, 0))


def test_fail__resumed_from_a_checkpoint_that_was_cut_short(drawn: Path, begin: Path, tmp_path: Path) -> None:
    words = ["--data", drawn, "--weights", begin, "--size", 64, "--epochs", 2, "--batch", 4, "--threads", 1]
    begun = Run(tmp_path / "run", {**_flags_of(words), "family": "detector"}, resume=False)
    dataset = open_labelled(drawn)
    parts = roles(dataset, 0.0, 0)
    begin_run(begun, dataset, parts)
    settings = Settings(**begun.config["settings"])
    network = network_from(begin, dataset.labels, 0)
    fitting = Fitting(network, Photos(parts.learn, dataset.labels, 64, settings, 0), settings)
    torch.save(fitting.state(), begun.path / "checkpoint.pt")
    whole = (begun.path / "checkpoint.pt").read_bytes()
    (begun.path / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"checkpoint\.pt is damaged.*begin the run again by --out$"):
        run("--resume", begun.path)
    torch.save({**fitting.state(), "network": {}}, begun.path / "checkpoint.pt")
    with pytest.raises(InputError, match=r"checkpoint\.pt is of another network"):
        run("--resume", begun.path)


def _flags_of(words: list[object]) -> dict[str, object]:
    """What the command would write of them."""
    said = {str(name).strip("-"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    settings = {name: getattr(Settings, name) for name in Settings.names()}
    settings |= {name: said.pop(name) for name in list(said) if name in settings}
    return {"names": None, "model": "n", "hold": 0.0, "seed": 0, "name": None, **said, "settings": settings}


def test_fail__weights_are_no_detector(tmp_path: Path) -> None:
    text = tmp_path / "text.pt"
    text.write_text("not weights")
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        network_from(text, NAMES, 0)
    other = tmp_path / "other.pt"
    torch.save({"model": torch.nn.Linear(3, 3)}, other)
    with pytest.raises(InputError, match="is no YOLOv8 detector"):
        network_from(other, NAMES, 0)


def test_fail__larger_weights_that_are_not_what_they_are_called(tmp_path: Path) -> None:
    (tmp_path / "yolov8s.pt").write_bytes(b"something else")
    offline = replace(LARGER["s"], urls=())
    with pytest.raises(InputError, match=r"yolov8s\.pt could not be fetched.*its sha256 is .*Put the file"):
        fetch(offline, tmp_path, mirror=str(tmp_path / "nowhere"))
    assert [asset.name for asset in LARGER.values()] == ["yolov8s.pt", "yolov8m.pt", "yolov8l.pt", "yolov8x.pt"]
    assert all(asset.urls[0].endswith(f"/v8.3.0/{asset.name}") for asset in LARGER.values())
