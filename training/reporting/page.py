"""A run's report: one HTML file that needs nothing else, its pictures as PNG files, its figures as JSON."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.runs import Run

TEMPLATE = Path(__file__).parent / "templates" / "report.html"


@dataclass
class Part:
    """A paragraph, a table of facts, a table or a picture."""

    kind: str
    content: Any
    note: str = ""


@dataclass
class Section:
    """What stands under one heading."""

    title: str
    anchor: str
    parts: list[Part] = field(default_factory=list)


class Report:
    """Collects sections in the order in which they are added, then writes them.

    A title that is the same as the last one, or empty, goes on with that section.
    """

    def __init__(self, title: str, summary: str = "") -> None:
        """`summary`: a sentence under the title."""
        self.title = title
        self.summary = summary
        self._headline: dict[str, str] = {}
        self._sections: list[Section] = []
        self._pictures: dict[str, bytes] = {}

    def headline(self, figures: Mapping[str, Any]) -> None:
        """The few figures that matter, in large type at the top: `{"top-1 on test": "97.2 %"}`."""
        self._headline.update({name: shown(value) for name, value in figures.items()})

    def text(self, title: str, paragraph: str) -> None:
        """A paragraph; empty lines part several."""
        section = self._section(title)
        section.parts += [Part("text", " ".join(piece.split())) for piece in paragraph.split("\n\n") if piece.strip()]

    def facts(self, title: str, mapping: Mapping[str, Any]) -> None:
        """Names and values; a mapping among the values becomes rows of `name: inner name`."""
        self._section(title).parts.append(Part("facts", list(_flat(mapping))))

    def table(self, title: str, header: Sequence[str], rows: Iterable[Sequence[Any]], note: str = "") -> None:
        """A table; numbers are set to the right.

        Raises:
            ValueError: a row is not as long as the header.
        """
        cells = []
        for row in rows:
            if len(row) != len(header):
                raise ValueError(f"{title}: a row of {len(row)} under a header of {len(header)}")
            cells.append([(shown(value), _numeric(value)) for value in row])
        heads = [(name, bool(cells) and all(row[i][1] for row in cells)) for i, name in enumerate(header)]
        self._section(title).parts.append(Part("table", {"header": heads, "rows": cells}, note))

    def picture(self, name: str, png: bytes, caption: str, title: str = "") -> None:
        """A PNG, also written as NAME.png; under `title`, or in the section in hand.

        Raises:
            ValueError: the name is taken or is no file name.
        """
        if name in self._pictures or not re.fullmatch(r"[\w.-]+", name):
            raise ValueError(f"{name!r} is taken or is no name of a picture")
        self._pictures[name] = png
        width = int.from_bytes(png[16:20], "big")
        uri = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        self._section(title).parts.append(Part("picture", {"uri": uri, "width": width, "name": name}, caption))

    def run_facts(self, run: Run, dataset: Mapping[str, Any] | None = None) -> None:
        """Sections that every report has: the data's facts (`fingerprint`, counts), the settings, the environment."""
        if dataset:
            self.facts("Dataset", dataset)
        self.facts("Settings", {key: value for key, value in run.config.items() if value is not None})
        import json

        facts = json.loads((run.path / "environment.json").read_text(encoding="utf-8"))
        facts["resumed"] = len(facts.pop("earlier", [])) or None
        facts["packages"] = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
        self.facts("Environment", {key: value for key, value in facts.items() if value not in (None, {})})

    def write(self, run: Run, figures: Mapping[str, Any]) -> Path:
        """Write NAME.png, report.json and report.html into the run's folder; returns the last one's path."""
        for name, png in self._pictures.items():
            run.write_bytes(f"{name}.png", png)
        run.write_json("report.json", figures)
        return run.write_bytes("report.html", self.render().encode())

    def render(self) -> str:
        """The page."""
        from jinja2 import Environment

        made = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
        return made.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
            title=self.title,
            summary=self.summary,
            headline=self._headline,
            sections=self._sections,
            made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        )

    def _section(self, title: str) -> Section:
        if self._sections and title in ("", self._sections[-1].title):
            return self._sections[-1]
        anchor = re.sub(r"\W+", "-", title.lower()).strip("-") or "section"
        taken = sum(section.anchor.startswith(anchor) for section in self._sections)
        self._sections.append(Section(title, f"{anchor}-{taken + 1}" if taken else anchor))
        return self._sections[-1]


def shown(value: Any) -> str:
    """A value as people read it: four significant digits, thousands parted from five digits on, yes and no."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(entry) for entry in value)
    return str(value.item() if hasattr(value, "item") else value)


def _numeric(value: Any) -> bool:
    if isinstance(value, str):
        return re.match(r"^[−+-]?\d[\d.,]*( ?[%×]| [A-Za-zµ]{1,3}\b|$)", value) is not None
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _flat(mapping: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, str]]:
    for key, value in mapping.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}: ")
        else:
            yield name, shown(value if not isinstance(value, Mapping) else None)
