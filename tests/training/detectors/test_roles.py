"""Which photos choose and which only report."""

from __future__ import annotations

from pathlib import Path

from export.labelled import open_labelled
from tests.tinydetector import SIZE
from tests.training.detectors.conftest import NAMES, draw_set
from training.detectors.fitting import Fitting
from training.detectors.network import network_from
from training.detectors.photos import Photos
from training.detectors.roles import roles
from training.detectors.settings import Settings
from training.detectors.train import Watched


def test_ok__val_alone_reports_and_chooses_nothing(drawn: Path) -> None:
    parts = roles(open_labelled(drawn), hold=0.0, seed=0)
    assert (len(parts.learn), len(parts.choose), len(parts.report), parts.split) == (12, 0, 6, "val")
    assert not Watched(parts, NAMES, SIZE, 4).chooses


def test_ok__part_of_train_chooses_where_told(drawn: Path) -> None:
    dataset = open_labelled(drawn)
    parts, again, other = (roles(dataset, hold=0.25, seed=seed) for seed in (0, 0, 1))
    chosen = [photo.path for photo in parts.choose]
    assert len(chosen) == 3
    assert not set(chosen) & {photo.path for photo in parts.learn}
    assert chosen == [photo.path for photo in again.choose]
    assert chosen != [photo.path for photo in other.choose]
    assert parts.split == "val"


def test_ok__with_a_test_split_val_chooses(tmp_path: Path) -> None:
    dataset = open_labelled(draw_set(tmp_path / "three", {"train": 6, "val": 4, "test": 2}))
    parts = roles(dataset, hold=0.25, seed=0)
    assert (len(parts.learn), len(parts.choose), len(parts.report), parts.split) == (6, 4, 2, "test")
    assert Watched(parts, NAMES, SIZE, 4).chooses


def test_ok__photos_without_splits_get_three(tmp_path: Path) -> None:
    root = draw_set(tmp_path / "plain", {"all": 30})
    for kind in ("images", "labels"):
        for path in (root / kind / "all").iterdir():
            path.rename(root / kind / path.name)
        (root / kind / "all").rmdir()
    dataset = open_labelled(root)
    parts = roles(dataset, hold=0.0, seed=0)
    assert parts.split == "test"
    assert len(parts.learn) + len(parts.choose) + len(parts.report) == 30
    assert min(len(parts.choose), len(parts.report)) >= 3


def test_ok__the_best_epoch_is_kept_whatever_comes_after(drawn: Path, begin: Path) -> None:
    settings = Settings(epochs=3, batch=6)
    photos = Photos(open_labelled(drawn).splits["train"], NAMES, SIZE, settings, 0)
    fitting = Fitting(network_from(begin, NAMES, 0), photos, settings)
    for score in (20.0, 50.0, 40.0):
        fitting.train_epoch()
        fitting.keep_if_best(score)
        if score == 50.0:
            then = {name: tensor.clone() for name, tensor in fitting.average.ema.state_dict().items()}
    assert fitting.best is not None
    assert fitting.best_score == 50.0
    assert all((fitting.best[name] == then[name]).all() for name in then)
    assert any((fitting.best[name] != tensor).any() for name, tensor in fitting.average.ema.state_dict().items())
