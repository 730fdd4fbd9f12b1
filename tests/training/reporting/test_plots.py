"""Plots: PNG files of a sensible size, the same again, with what was given in them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from training.reporting import plots
from training.reporting.canvas import _deviate, _share, percent


def pixels(png: bytes) -> npt.NDArray[np.uint8]:
    """HxWx3 RGB."""
    assert png.startswith(b"\x89PNG")
    found = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found[..., ::-1]


def near(image: npt.NDArray[np.uint8], colour: str, tolerance: int = 12) -> int:
    """How many pixels have that colour."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(image.astype(int) - wanted).max(2) <= tolerance).sum())


def test_ok__curves_by_panel_with_gaps_and_marks() -> None:
    history = {"loss": {"train": [3.0, 2, 1], "validation": [3.0, None, 2]}, "rate": {"rate": [1e-3, 1e-4, 1e-5]}}
    png = plots.curves(history, marks={"fine-tuning": 2}, log=["rate"])
    image = pixels(png)
    assert image.shape[1] > 900
    assert near(image, "#0072b2") > 200
    assert near(image, "#d55e00") > 20
    assert png == plots.curves(history, marks={"fine-tuning": 2}, log=["rate"])


def test_ok__one_epoch_shows_as_a_dot() -> None:
    assert near(pixels(plots.curves({"loss": {"train": [1.0]}})), "#0072b2") > 10


def test_ok__confusion_shows_mistakes_in_another_colour() -> None:
    matrix, names = np.diag([50] * 22), [f"class {n}" for n in range(22)]
    right = pixels(plots.confusion(matrix, names))
    matrix[3, 9] = 5
    wrong = pixels(plots.confusion(matrix, names))

    def orange(image: npt.NDArray[np.uint8]) -> int:
        red, green, blue = image.astype(int).transpose(2, 0, 1)
        return int(((red > green + 15) & (green > blue + 15)).sum())

    assert orange(right) < 50  # Edges of letters.
    assert 1000 < orange(wrong) < 4000  # One square.


@pytest.mark.parametrize("classes", [2, 3, 10, 22, 80])
def test_ok__confusion_of_any_number_of_classes(classes: int) -> None:
    image = pixels(plots.confusion(np.eye(classes) * 5, [f"name-{n}" for n in range(classes)]))
    assert image.shape[0] < 2600


def test_ok__confusion_with_a_class_nobody_has() -> None:
    assert pixels(plots.confusion([[0, 0], [2, 3]], ["none", "some"])).size


def test_ok__reliability_says_its_error() -> None:
    sure = np.full(100, 0.8)
    calm = plots.reliability(sure, np.arange(100) < 80)
    vain = plots.reliability(sure, np.arange(100) < 40)
    assert (pixels(calm) != pixels(vain)).any()


def test_ok__scatter_and_bars_and_tradeoff() -> None:
    rng = np.random.default_rng(0)
    names = [f"species {n}" for n in range(22)]
    assert pixels(plots.scatter(rng.normal(size=(300, 2)), rng.integers(0, 22, 300), names)).shape[1] > 900
    shares = {name: 0.5 + n / 50 for n, name in enumerate(names)}
    assert pixels(plots.bars(shares, xlabel="F1", shares=True, intervals={"species 3": (0.5, 0.6)})).size
    groups = {"float": {"cnn": 0.9, "transfer": 0.98}, "int8": {"cnn": 0.89}}
    assert near(pixels(plots.bars(groups, xlabel="accuracy", shares=True)), "#d55e00") > 500
    assert pixels(
        plots.tradeoff(
            {"cnn": (1.2, 0.9), "vgg16": (15, 0.97)}, xlabel="MB", ylabel="accuracy", scales=("log", "linear")
        )
    ).size


def test_ok__det_on_normal_deviates() -> None:
    rate = np.geomspace(1e-5, 0.4, 50)
    image = pixels(
        plots.lines(
            {"float": (rate, 1e-4 / rate), "int8": (rate, 2e-4 / rate)},
            xlabel="FMR",
            ylabel="FNMR",
            scales=("deviate", "deviate"),
            limits=((1e-5, 0.4), (1e-3, 0.4)),
            diagonal=True,
            marks={"EER": (0.01, 0.01)},
            bands={"float": (0.5e-4 / rate, 2e-4 / rate)},
        )
    )
    assert near(image, "#0072b2") > 200
    assert _deviate(0.5) == pytest.approx(0)
    assert _deviate(0.025) == pytest.approx(-1.959964, abs=1e-5)
    assert _share(_deviate(1e-4)) == pytest.approx(1e-4)


def test_ok__sheet_borders_tell_right_from_wrong() -> None:
    grey = np.full((40, 60, 3), 128, np.uint8)
    wrong = pixels(plots.sheet([grey] * 3, ["one", "two", "three"], [False] * 3))
    right = pixels(plots.sheet([grey] * 3, ["one", "two", "three"], [True] * 3))
    plain = pixels(plots.sheet([grey] * 3, ["one", "two", "three"]))
    assert near(wrong, "#d62839") > 3000 > near(right, "#d62839")
    assert near(right, "#009e73") > 3000
    assert near(plain, "#009e73") == near(plain, "#d62839") == 0


def test_ok__sheet_of_all_kinds_of_pictures() -> None:
    kinds = [np.zeros((1, 1, 3), np.uint8), np.zeros((700, 20, 3), np.uint8), np.zeros((30, 40), np.uint8)]
    assert pixels(plots.sheet(kinds, ["a" * 300, "\n\n\n\n", ""], [None, True, False])).size


def test_ok__percents_have_the_digits_they_need() -> None:
    assert [percent(value) for value in (0.973, 0.9995, 0.0002, 1, 0)] == [
        "97.3 %",
        "99.95 %",
        "0.02 %",
        "100.0 %",
        "0.0 %",
    ]
