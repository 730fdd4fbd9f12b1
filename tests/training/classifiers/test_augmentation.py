"""Augmentation: repeatable from (seed, epoch, index), within the bounds told, and labels mixed as the pictures are."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from training.classifiers.augmentation import GREY, LUMA, Augmentation, augment, augment_batch

EVERYTHING = Augmentation(
    flip=True,
    smallest_area=0.4,
    stretch=1.4,
    zoom=0.1,
    shift=0.1,
    rotation=15,
    shear=5,
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
    hue=15,
    cutout=0.3,
    mixup=0.3,
    cutmix=1.0,
)
COUNT, SIZE, CLASSES = 24, 20, 3


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Of several shapes, smooth, so that an interpolation changes little."""
    rng = np.random.default_rng(3)
    shapes = [(20, 20), (24, 36), (40, 22)] * (COUNT // 3)
    return [
        cv2.resize(rng.integers(0, 256, (5, 5, 3), np.uint8), shape, interpolation=cv2.INTER_CUBIC) for shape in shapes
    ]


@pytest.fixture(scope="module")
def targets() -> np.ndarray:
    return np.eye(CLASSES, dtype=np.float32)[np.arange(COUNT) % CLASSES]


def one(picture: np.ndarray, techniques: Augmentation, *, index: int = 0, epoch: int = 0, seed: int = 0) -> np.ndarray:
    """The picture changed, at its own size where it is square."""
    return augment(picture, techniques, size=min(picture.shape[:2]), seed=seed, epoch=epoch, index=index)


def grid(side: int = 20) -> np.ndarray:
    """Every pixel is another colour: column in red, row in green."""
    rows, columns = np.mgrid[:side, :side]
    return np.dstack([columns * 12, rows * 12, np.full_like(rows, 77)]).astype(np.uint8)


def test_ok__drawn_from_seed_epoch_and_index_alone(pictures: list[np.ndarray], targets: np.ndarray) -> None:
    def batch(seed: int = 1, epoch: int = 2, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
        indices = range(first, first + COUNT)
        return augment_batch(pictures, targets, EVERYTHING, size=SIZE, seed=seed, epoch=epoch, indices=indices)

    wanted = batch()
    np.random.default_rng().random(10)
    again = batch()
    assert np.array_equal(wanted[0], again[0])
    assert np.array_equal(wanted[1], again[1])
    for other in (batch(seed=2), batch(epoch=3), batch(first=COUNT)):
        assert not np.array_equal(wanted[0], other[0])


def test_ok__a_picture_does_not_depend_on_its_batch(pictures: list[np.ndarray], targets: np.ndarray) -> None:
    alone = replace(EVERYTHING, mixup=0.0, cutmix=0.0)
    order = np.random.default_rng(0).permutation(COUNT)
    batch, _ = augment_batch(
        [pictures[place] for place in order], targets[order], alone, size=SIZE, seed=4, epoch=1, indices=order.tolist()
    )
    for picture, place in zip(batch, order.tolist(), strict=True):
        wanted = augment(pictures[place], alone, size=SIZE, seed=4, epoch=1, index=place)
        assert np.array_equal(picture, wanted.astype(np.float32))


def test_ok__nothing_on_is_the_centred_square(pictures: list[np.ndarray]) -> None:
    assert np.array_equal(one(grid(), Augmentation()), grid())
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 200
    assert (one(wide, Augmentation()) == 200).all()
    assert pictures[1].shape == (36, 24, 3)
    assert one(pictures[1], Augmentation()).shape == (24, 24, 3)


def test_ok__mirrored_every_other_epoch_beginning_at_random() -> None:
    flip, picture = Augmentation(flip=True), grid()
    mirrored = np.array(
        [[not np.array_equal(one(picture, flip, index=i, epoch=e), picture) for e in range(4)] for i in range(400)]
    )
    assert (mirrored[:, 0] != mirrored[:, 1]).all()
    assert (mirrored[:, :2] == mirrored[:, 2:]).all()
    assert 0.42 < mirrored[:, 0].mean() < 0.58
    index = int(mirrored[:, 0].argmax())
    assert np.array_equal(one(picture, flip, index=index), picture[:, ::-1])


def test_ok__a_shift_goes_by_whole_pixels_and_no_further_than_told() -> None:
    seen = set()
    for index in range(300):
        moved = one(grid(), Augmentation(shift=0.1), index=index)
        seen.add((int(moved[10, 10, 0]) // 12 - 10, int(moved[10, 10, 1]) // 12 - 10))
        assert set(np.unique(moved[..., 0])) <= set(range(0, 240, 12)), "interpolated"
    assert {x for x, _ in seen} == {y for _, y in seen} == {-2, -1, 0, 1, 2}
    assert len(seen) > 20


def test_ok__a_crop_keeps_the_share_told_and_stays_inside() -> None:
    ramp = np.tile(np.linspace(0, 250, 100).astype(np.uint8)[None, :, None], (100, 1, 3))
    widths, edges = [], []
    for index in range(300):
        cropped = one(ramp, Augmentation(smallest_area=0.25), index=index).astype(float)[50, :, 0]
        assert (np.diff(cropped) >= 0).all(), "reflected: the crop left the picture"
        widths.append((cropped[-1] - cropped[0]) / 250)
        edges += [cropped[0], cropped[-1]]
    assert 0.47 < min(widths) < 0.6
    assert 0.9 < max(widths) <= 1
    assert min(edges) < 10
    assert max(edges) > 240


def test_ok__turning_by_no_more_than_told() -> None:
    line = np.zeros((101, 101, 3), np.uint8)
    line[50:] = 255
    angles = []
    for index in range(200):
        turned = one(line, Augmentation(rotation=20), index=index)[..., 0]
        left, right = ((turned[:, column] < 128).sum() for column in (25, 75))
        angles.append(np.degrees(np.arctan2(float(right) - float(left), 50)))
    assert 15 < max(angles) < 21
    assert -21 < min(angles) < -15


def test_ok__brightness_and_contrast_move_the_mean_and_the_spread_as_told() -> None:
    picture = (60 + grid() // 4).astype(np.uint8)
    mean, spread = picture.mean(), picture[..., 0].std()
    bright = [one(picture, Augmentation(brightness=0.4), index=i).mean() / mean for i in range(200)]
    assert 0.58 < min(bright) < 0.65
    assert 1.35 < max(bright) < 1.42
    contrast = [one(picture, Augmentation(contrast=0.4), index=i) for i in range(200)]
    spreads = [changed[..., 0].std() / spread for changed in contrast]
    assert 0.57 < min(spreads) < 0.65
    assert 1.35 < max(spreads) < 1.43
    assert all(abs((changed @ LUMA).mean() - (picture @ LUMA).mean()) < 1 for changed in contrast)


def test_ok__colours_fade_and_turn_but_grey_stays_grey() -> None:
    grey = np.full((20, 20, 3), 120, np.uint8)
    colour = np.full((20, 20, 3), (160, 100, 60), np.uint8)
    techniques = Augmentation(saturation=0.5, hue=30)
    changed = [one(colour, techniques, index=i)[0, 0].astype(int) for i in range(50)]
    assert len({tuple(pixel) for pixel in changed}) > 30
    for index in range(50):
        assert np.abs(one(grey, techniques, index=index).astype(int) - 120).max() <= 1
    faded = [one(colour, Augmentation(saturation=0.5), index=i)[0, 0] for i in range(50)]
    assert all(abs(pixel @ LUMA - np.array((160, 100, 60)) @ LUMA) < 1.5 for pixel in faded)


def test_ok__cutout_blanks_a_square_that_may_leave_the_picture() -> None:
    picture = np.full((20, 20, 3), 200, np.uint8)
    blank = [int((one(picture, Augmentation(cutout=0.5), index=i) == GREY).all(axis=2).sum()) for i in range(200)]
    assert max(blank) == 100
    assert 20 <= min(blank) < 60


@pytest.mark.parametrize("techniques", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_ok__labels_are_mixed_as_the_pictures_are(techniques: dict[str, float]) -> None:
    # Class and colour agree: what a pixel's mean says of the colours is what the targets should say.
    targets = np.eye(3, dtype=np.float32)[np.arange(COUNT) % 3]
    images = [(240 * np.ones((16, 16, 1)) * target).astype(np.uint8) for target in targets]
    batch, mixed = augment_batch(
        images, targets, Augmentation(**techniques), size=16, seed=0, epoch=0, indices=range(COUNT)
    )
    assert np.allclose(mixed.sum(1), 1)
    assert (mixed >= 0).all()
    assert np.allclose(batch.mean(axis=(1, 2)) / 240, mixed, atol=1e-4)
    assert ((mixed > 0.05).sum(1) == 2).any(), "nothing was mixed"


def test_ok__one_picture_alone_is_not_mixed() -> None:
    batch, mixed = augment_batch(
        [grid()], np.eye(3, dtype=np.float32)[:1], Augmentation(mixup=1.0), size=20, seed=0, epoch=0, indices=[0]
    )
    assert np.array_equal(batch[0], grid().astype(np.float32))
    assert np.array_equal(mixed[0], [1, 0, 0])


def test_ok__given_pictures_and_targets_are_left_alone(pictures: list[np.ndarray], targets: np.ndarray) -> None:
    kept, labels = [picture.copy() for picture in pictures], targets.copy()
    batch, _ = augment_batch(pictures, targets, EVERYTHING, size=SIZE, seed=0, epoch=0, indices=range(COUNT))
    assert batch.dtype == np.float32
    assert batch.min() >= 0
    assert batch.max() <= 255
    assert np.array_equal(targets, labels)
    assert all(np.array_equal(a, b) for a, b in zip(pictures, kept, strict=True))
