"""The report's page, as text; how it looks is seen in a browser, in tests/e2e."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from training.reporting import plots
from training.reporting.page import Report, shown
from training.runs import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """One with settings."""
    return Run(tmp_path / "run", {"family": "cnn", "seed": 3, "class_weights": None, "mixup": 0.2}, resume=False)


def test_ok__page_png_and_json(run: Run) -> None:
    report = Report("Cats & <dogs>", "A summary.")
    report.headline({"top-1": "97.2 %"})
    report.text("What was done", "First.\n\nSecond   with\nbreaks.")
    report.facts("What was done", {"a": {"b": 1, "c": {"d": 0.25}}, "empty": {}})
    report.table("Classes", ["name", "F1"], [["<cat>", 0.97123], ["dog", 1.0]], note="A note.")
    png = plots.curves({"loss": {"train": [2.0, 1.0]}})
    report.picture("curves", png, "Loss by epoch.", title="Learning")
    page = report.write(run, {"top1": 0.972}).read_text()
    assert (run.path / "curves.png").read_bytes() == png
    assert json.loads((run.path / "report.json").read_text()) == {"top1": 0.972}
    assert "<h1>Cats &amp; &lt;dogs&gt;</h1>" in page
    assert page.count("<h2>") == 3
    assert re.findall(r'<a href="#([^"]+)">', page) == re.findall(r'<section id="([^"]+)">', page)
    assert "<p>Second with breaks.</p>" in page
    assert "a: c: d</th><td>0.25</td>" in page
    assert '<td class="number">0.9712</td>' in page
    assert "&lt;cat&gt;" in page


def test_ok__page_needs_nothing_else(run: Run) -> None:
    report = Report("A")
    report.picture("one", plots.curves({"loss": {"train": [1.0, 2.0]}}), "A caption.", title="B")
    page = report.write(run, {}).read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert not re.search(r"url\(|@import|<script", page)
    body = re.sub(r"<(meta|img|input|br)([^>]*)>", r"<\1\2/>", page[page.index("<body") : page.index("</html>")])
    ElementTree.fromstring(body.replace("&nbsp;", " "))  # Every tag is closed.


def test_ok__sections_of_every_run(run: Run) -> None:
    run = Run(run.path, {}, resume=True)
    report = Report("A")
    report.run_facts(run, {"fingerprint": "ab12", "pictures": {"train": 1600, "test": 400}})
    page = report.render()
    for text in ("Dataset", "ab12", "pictures: train", "Settings", "mixup", "Environment", "numpy", "resumed"):
        assert text in page
    assert "class_weights" not in page


def test_ok__same_title_twice_in_a_row_is_one_section_and_later_another() -> None:
    report = Report("A")
    for title in ("One", "One", "", "Two", "One"):
        report.text(title, "x")
    assert re.findall(r'<section id="([^"]+)">', report.render()) == ["one", "two", "one-2"]


def test_ok__values_as_people_read_them() -> None:
    values = [None, True, 2026, 1234567, 0.123456, 1e-7, "text", [1, 2.5], ()]
    assert [shown(value) for value in values] == [
        "–",
        "yes",
        "2026",
        "1,234,567",
        "0.1235",
        "1e-07",
        "text",
        "1, 2.5",
        "",
    ]


def test_fail__row_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match="Classes: a row of 1 under a header of 2"):
        Report("A").table("Classes", ["a", "b"], [["only one"]])


def test_fail__picture_twice() -> None:
    report = Report("A")
    png = plots.curves({"loss": {"train": [1.0]}})
    report.picture("curves", png, "x")
    with pytest.raises(ValueError, match="'curves' is taken"):
        report.picture("curves", png, "x")
    with pytest.raises(ValueError, match="no name of a picture"):
        report.picture("../evil", png, "x")
