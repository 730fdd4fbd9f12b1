"""Photos, network and training loop: the same bits for the same seed, whatever happens between two epochs."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from export.checkpoint import load_detector
from export.labelled import open_labelled
from tests.tinydetector import SIZE
from tests.training.detectors.conftest import NAMES
from training.detectors.fitting import Fitting
from training.detectors.network import network_from
from training.detectors.photos import Photos
from training.detectors.settings import Settings

SETTINGS = Settings(epochs=3, batch=4, mosaic=1, close_mosaic=1, freeze=0)


def fitting(data: Path, weights: Path, settings: Settings = SETTINGS, seed: int = 0) -> Fitting:
    photos = Photos(open_labelled(data).splits["train"], NAMES, SIZE, settings, seed)
    return Fitting(network_from(weights, NAMES, seed), photos, settings)


def same(a: Fitting, b: Fitting) -> bool:
    pairs = zip(a.average.ema.state_dict().values(), b.average.ema.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs) and a.history == b.history


def test_ok__resumed_run_ends_with_the_same_bits(drawn: Path, begin: Path) -> None:
    whole, cut = fitting(drawn, begin), fitting(drawn, begin)
    for _ in range(3):
        whole.train_epoch()
    cut.train_epoch()
    # What was drawn before, and by whom, must not matter.
    np.random.random(7)  # noqa: NPY002 - the generator that the augmentation draws from
    torch.rand(3)
    kept = io.BytesIO()
    torch.save(cut.state(), kept)
    kept.seek(0)
    resumed = fitting(drawn, begin)
    resumed.restore(torch.load(kept, weights_only=True))
    for _ in range(2):
        resumed.train_epoch()
    assert same(whole, resumed)
    assert [row["epoch"] for row in resumed.history] == [1, 2, 3]


def test_ok__another_seed_is_another_run(drawn: Path, begin: Path) -> None:
    one, two = fitting(drawn, begin), fitting(drawn, begin, seed=1)
    one.train_epoch()
    two.train_epoch()
    assert not same(one, two)


def test_ok__it_learns(drawn: Path, begin: Path) -> None:
    run = fitting(drawn, begin, Settings(epochs=8, batch=4, rate=1e-3, close_mosaic=8, warmup=0, freeze=0))
    losses = [run.train_epoch() for _ in range(8)]
    assert losses[-1]["cls"] < 0.7 * losses[0]["cls"]


def test_ok__rate_rises_and_falls(drawn: Path, begin: Path) -> None:
    run = fitting(drawn, begin, Settings(epochs=4, batch=4, rate=1e-3, warmup=1, final_rate=0.01))
    assert run.batches_each == 3
    rates = [run.rate_at(step) for step in range(12)]
    assert rates[0] == pytest.approx(1e-3 / 3)
    assert max(rates) == pytest.approx(1e-3)
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] < 6e-5


def test_ok__frozen_layers_keep_weights_and_statistics(drawn: Path, begin: Path) -> None:
    run = fitting(drawn, begin, Settings(epochs=1, batch=4, freeze=10, rate=1e-2))
    before = {name: tensor.clone() for name, tensor in run.network.state_dict().items()}
    run.train_epoch()
    after = run.network.state_dict()
    changed = {name.split(".")[1] for name in after if not torch.equal(before[name], after[name])}
    assert changed
    assert all(int(layer) >= 10 for layer in changed)


def test_ok__a_class_that_the_weights_know_is_kept(begin: Path) -> None:
    parent = load_detector(begin)
    network = network_from(begin, NAMES, 0)
    assert network.names == {0: "square", 1: "cat"}
    for old, new in zip(parent.model[-1].cv3, network.model[-1].cv3, strict=True):
        assert new[-1].out_channels == 2
        assert torch.equal(new[-1].weight[1], old[-1].weight[1])
        assert not torch.equal(new[-1].weight[0], old[-1].weight[0])
    assert torch.equal(network.model[0].conv.weight, parent.model[0].conv.weight)


def test_ok__photos_are_read_as_the_device_reads_and_nothing_is_written_beside_them(
    tmp_path: Path, drawn: Path, begin: Path
) -> None:
    def files() -> list[Path]:
        return sorted(drawn.rglob("*"))

    before = files()
    fitting(drawn, begin).train_epoch()
    assert files() == before
    # EXIF orientation 6: turn by 90 degrees clockwise to look at it.
    encoded = cv2.imencode(".jpg", np.full((40, 80, 3), 90, np.uint8))[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = encoded[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + encoded[2:]
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
        (tmp_path / "images" / split / "turned.jpg").write_bytes(turned)
        (tmp_path / "labels" / split / "turned.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    photos = Photos(open_labelled(tmp_path, names=NAMES).splits["train"], NAMES, SIZE, SETTINGS, 0)
    picture, original, now = photos.load_image(0)
    assert (original, now) == ((80, 40), (64, 32))
    assert picture.shape == (64, 32, 3)


def test_ok__last_epochs_see_whole_photos(drawn: Path, begin: Path) -> None:
    photos = fitting(drawn, begin).photos
    counts = [sum(len(batch["cls"]) for batch in photos.batches(epoch)) for epoch in (0, 1, 2)]
    # With mosaics most pictures hold several objects, without them one each, or none where it was moved out.
    assert min(counts[:2]) > 12
    assert counts[2] <= 12


def test_ok__batches_hang_on_seed_and_epoch_alone(drawn: Path, begin: Path) -> None:
    one, two = fitting(drawn, begin).photos, fitting(drawn, begin).photos
    list(two.batches(0))
    for a, b in zip(list(one.batches(1)), list(two.batches(1)), strict=True):
        assert torch.equal(a["img"], b["img"])
        assert torch.equal(a["bboxes"], b["bboxes"])
