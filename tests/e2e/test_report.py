"""A report as people open it, in a real browser: all pictures there, nothing cut, on a desk and in a hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.chromium import Chromium, Page
from training.reporting import plots
from training.reporting.page import Report
from training.runs import Run

SPECIES = (  # noqa: SIM905
    "antelope bear beetle butterfly cat chimpanzee cow coyote deer dog dolphin eagle elephant flamingo grasshopper "
    "hippopotamus hummingbird ladybug pelecaniformes rhinoceros woodpecker zebra"
).split()
OVERFLOW = """[...document.querySelectorAll('main *, header *, nav *')].filter(e => {
  if (e.closest('.wide') || e.closest('label') || e.tagName === 'INPUT') return false;
  const box = e.getBoundingClientRect();
  return box.right > document.documentElement.clientWidth + 1 || box.left < -1;
}).map(e => e.outerHTML.slice(0, 90))"""
CUT = """[...document.querySelectorAll('h1, h2, p, dd, dt, td, th, figcaption, nav a')].filter(
  e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText)"""
SCROLLED = "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
LOADED = "[...document.images].every(i => i.complete && i.naturalWidth > 100)"


def make_report(folder: Path) -> Path:
    """One as long and as wide as they get: 22 classes, 20 curves, 24 sample pictures."""
    rng = np.random.default_rng(0)
    run = Run(
        folder, {"family": "transfer", "data": "/home/maria/photos/animals" * 4, "seed": 0, "size": 224}, resume=False
    )
    report = Report("Twenty-two species by MobileNetV2", "Feature extraction, then fine-tuning of the last 20 layers.")
    report.headline(
        {"top-1 on test": "94.0 %", "top-3 on test": "98.9 %", "macro F1": 0.938, "file": "2.6 MB", "latency": "9.1 ms"}
    )
    report.text("What was done", "The photos were split 70/15/15. " * 12)
    report.table(
        "Dataset",
        ["class", "train", "validation", "test", "share of the training photos", "weight in the loss"],
        [[name, 12345, 13, 60, "4.5 %", 1.02] for name in SPECIES],
        note="Near-duplicates stay on one side of the split.",
    )
    header = ["model", "top-1, %", "95 %", "macro F1, %", "int8 − float", "MB", "ms", "million multiply-adds", "input"]
    row = ["animals-mobilenetv2", 93.4, "91.5 to 95.1", 93.21, "−0.21", 2.73, 10.81, 312, "224 px"]
    report.table("Compared", [*header, "measured on"], [[*row, "animals, test, 245 photos"]] * 3)
    epochs = np.arange(1, 31)
    history = {
        panel: {name: (1 / epochs + rng.uniform(0, 0.05, 30)).tolist() for name in ("train", "validation")}
        for panel in ("loss", "accuracy", "rate")
    }
    report.picture("curves", plots.curves(history, marks={"fine-tuning": 12}), "Loss and accuracy.", "Learning curves")
    recall = {name: (1 - np.exp(-epochs / rng.uniform(2, 20))).tolist() for name in SPECIES[:20]}
    report.picture("recall", plots.curves({"recall by class": recall}), "Recall of twenty classes by epoch.")
    matrix = np.diag(rng.integers(50, 60, 22)) + (rng.random((22, 22)) > 0.93)
    report.picture("confusion", plots.confusion(matrix, SPECIES), "Counts on the test photos.", "Confusion matrix")
    confidence = rng.beta(6, 1, 1000)
    report.picture(
        "reliability", plots.reliability(confidence, rng.random(1000) < confidence), "Calibration.", "Calibration"
    )
    labels = rng.integers(0, 22, 900)
    points = rng.normal(0, 30, (22, 2))[labels] + rng.normal(0, 3, (900, 2))
    report.picture("tsne", plots.scatter(points, labels, SPECIES), "t-SNE of the embeddings.", "Embeddings")
    small = [rng.integers(0, 255, (5, 6, 3)).astype(np.uint8) for _ in range(24)]
    images = [
        cv2.resize(image, (300 - 40 * (n % 3), 200), interpolation=cv2.INTER_CUBIC) for n, image in enumerate(small)
    ]
    captions = [f"{SPECIES[n % 22]} 0.{99 - n}\nis {SPECIES[n * 7 % 22]}\nIMG_20260101_{n:06d}.jpg" for n in range(24)]
    report.picture("samples", plots.sheet(images, captions, [n % 3 > 0 for n in range(24)]), "Samples.", "Samples")
    report.run_facts(run, {"fingerprint": "3f" * 32, "pictures": {"train": 11111, "validation": 2222, "test": 2222}})
    return report.write(run, {"top1": 0.94})


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's file."""
    return make_report(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One for all."""
    with Chromium(tmp_path_factory.mktemp("browser")) as chromium:
        yield chromium


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_ok__nothing_is_cut(browser: Chromium, report: Path, width: int, dark: bool) -> None:
    page = browser.page((width, 800), dark)
    page.open(report.as_uri())
    page.wait_for(f"document.images.length === 6 && {LOADED}")
    assert page.evaluate("document.documentElement.scrollWidth") == page.evaluate(
        "document.documentElement.clientWidth"
    )
    assert page.evaluate("document.documentElement.clientWidth") == width
    assert page.evaluate(OVERFLOW) == []
    assert page.evaluate(CUT) == []
    if width == 1280:
        assert page.evaluate(SCROLLED) == 0, "a table of ten columns has room on a desk"
    assert page.complaints() == []
    assert contrast(page) > 7
    assert all(url.startswith(("file:", "data:")) for url in page.requests())
    page.close()


def test_ok__a_click_shows_a_picture_in_full(browser: Chromium, report: Path) -> None:
    page = browser.page((400, 800))
    page.open(report.as_uri())
    page.wait_for(LOADED)
    page.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
    picture = "document.querySelector('label[for=zoom-confusion] img')"
    assert page.evaluate(f"{picture}.clientWidth") < 400
    page.click("label[for=zoom-confusion]")
    page.wait_for(f"{picture}.clientWidth === {picture}.naturalWidth")
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    page.close()


def test_ok__contents_lead_to_their_sections(browser: Chromium, report: Path) -> None:
    page = browser.page((1280, 800))
    page.open(report.as_uri())
    page.wait_for(LOADED)
    page.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
    page.click("nav a[href='#calibration']")
    page.wait_for("Math.abs(document.getElementById('calibration').getBoundingClientRect().top) < 40")
    page.close()


def contrast(page: Page) -> float:
    """Of the page's text with what is behind it (WCAG 2.2; 7 is the stricter of its two levels)."""
    colours = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
    shares = []
    for colour in colours:
        channels = [int(part) / 255 for part in colour[4:-1].split(",")]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
        shares.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return float((max(shares) + 0.05) / (min(shares) + 0.05))
