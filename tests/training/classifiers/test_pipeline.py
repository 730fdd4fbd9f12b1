"""Photos in memory, the order of an epoch, and what is drawn from (seed, epoch) alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device.detection.classifier import Fitting
from device.errors import InputError
from device.inference.manifest import InputSpec
from export.datasets import open_dataset
from training.classifiers.augmentation import Augmentation
from training.classifiers.pipeline import (
    AugmentedPhotos,
    CachedFeatures,
    Frame,
    Photos,
    Sampling,
    load_photos,
    one_hot,
    variant_batches,
)

LABELS = np.array([0] * 3 + [1] * 10 + [2] * 4)


@pytest.mark.parametrize("resize", ["shorter-crop", "stretch"])
@pytest.mark.parametrize("size", [16, 30, 64])
def test_ok__val_is_what_the_device_sees(photos: Path, resize: str, size: int) -> None:
    dataset = open_dataset(photos)
    val = load_photos(dataset, "val", Frame(size, resize), exact=True)
    fit = Fitting(InputSpec(width=size, height=size, resize=resize))  # type: ignore[arg-type]
    wanted = np.stack([fit(dataset.read(sample)) for sample in dataset.splits["val"]])
    assert np.array_equal(np.concatenate(list(val.fitted_batches(4))), wanted)


def test_ok__large_photos_are_kept_small() -> None:
    picture = np.zeros((600, 900, 3), np.uint8)
    assert Frame(96, "shorter-crop").reduced(picture).shape == (96, 144, 3)
    assert Frame(96, "stretch").reduced(picture).shape == (96, 96, 3)
    assert Frame(96, "shorter-crop").reduced(picture[:50, :500]).shape == (50, 500, 3), "never magnified"


def test_fail__no_photo_for_val(photos: Path) -> None:
    dataset = open_dataset(photos)
    dataset.splits["val"] = ()  # type: ignore[index]
    with pytest.raises(InputError, match="no photos for val"):
        load_photos(dataset, "val", Frame(16, "stretch"), exact=True)


def test_ok__an_epoch_has_every_photo_once_in_an_order_of_its_own() -> None:
    sampling = Sampling(batch=4, seed=3)
    first, second = sampling.order(LABELS, 0), sampling.order(LABELS, 1)
    assert sorted(first) == list(range(17))
    assert first.tolist() != second.tolist()
    assert first.tolist() == Sampling(batch=4, seed=3).order(LABELS, 0).tolist()
    assert first.tolist() != Sampling(batch=4, seed=4).order(LABELS, 0).tolist()


def test_ok__oversampling_draws_each_class_as_often_as_the_largest() -> None:
    sampling = Sampling(batch=4, seed=0, oversample=True)
    order = sampling.order(LABELS, 0)
    assert np.bincount(LABELS[order]).tolist() == [10, 10, 10]
    assert set(order) == set(range(17)), "none is left out"
    assert sampling.steps(LABELS) == 8


def test_ok__class_weights_make_classes_count_the_same() -> None:
    weights = Sampling(batch=4, seed=0, class_weights=True).weights(LABELS)
    totals = np.bincount(LABELS, weights)
    assert totals == pytest.approx([17 / 3] * 3)
    assert weights.mean() == pytest.approx(1)


def test_ok__batches_are_the_same_again_and_new_each_epoch() -> None:
    rng = np.random.default_rng(0)
    pictures = Photos([rng.integers(0, 256, (20, 20, 3), np.uint8) for _ in LABELS], LABELS, Frame(16, "shorter-crop"))
    techniques = Augmentation(flip=True, shift=0.1, brightness=0.2)
    source = AugmentedPhotos(pictures, one_hot(LABELS, 3), techniques, Sampling(4, 0))
    again = AugmentedPhotos(pictures, one_hot(LABELS, 3), techniques, Sampling(4, 0))
    batches = list(source.epoch(2))
    assert len(batches) == source.steps == 5
    assert [len(batch[0]) for batch in batches] == [4, 4, 3, 3, 3], "none is tiny"
    for mine, other in zip(batches, again.epoch(2), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(mine, other, strict=True))
    assert not np.array_equal(batches[0][0], next(source.epoch(3))[0])


def test_ok__cached_features_mix_variants_and_keep_labels() -> None:
    features = np.arange(5)[:, None, None] * 1000.0 + np.arange(17)[None, :, None]
    source = CachedFeatures(features, LABELS, one_hot(LABELS, 3), Sampling(8, 0))
    seen = np.concatenate([batch[0][:, 0] for batch in source.epoch(0)])
    targets = np.concatenate([batch[1] for batch in source.epoch(0)])
    assert sorted(seen % 1000) == list(range(17))
    assert len(set(seen // 1000)) > 2
    assert np.array_equal(targets.argmax(1), LABELS[(seen % 1000).astype(int)])


def test_ok__variants_begin_with_the_photo_and_its_mirror_image() -> None:
    rng = np.random.default_rng(0)
    pictures = Photos([rng.integers(0, 256, (30, 20, 3), np.uint8) for _ in range(3)], LABELS[:3], Frame(16, "stretch"))
    techniques = Augmentation(flip=True, shift=0.2)
    plain, mirrored, shifted = (
        np.concatenate(list(variant_batches(pictures, variant, techniques, seed=0))) for variant in range(3)
    )
    assert np.array_equal(plain, pictures.fitted(range(3)))
    assert np.array_equal(mirrored, plain[:, :, ::-1])
    assert not np.array_equal(shifted, plain)
    assert not np.array_equal(shifted, mirrored)
