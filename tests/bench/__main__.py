"""`make bench`: speed and memory, each a ratio measured in one run, as text and as bench.json.

One thread throughout. What is compared is measured in turn, frame by frame or run by run, so that a machine whose
speed drifts slows both alike; medians are told.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import click

from device.errors import InputError
from tests.bench.rows import Row, absent


@click.command()
@click.option("--only", help="Rows whose name contains this.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("bench.json"), show_default=True)
def main(only: str | None, out: Path) -> None:
    """Measure, print a table, write bench.json; exit code 1 if a budget is exceeded."""
    rows = []
    for measured in measure(only):
        value = "not measured" if measured.value is None else f"{measured.value:g} {measured.unit}"
        mark = {True: "ok", False: "OVER", None: "-"}[measured.ok]
        click.echo(f"{mark:<5}{measured.name:<70}{value:>18}  {measured.budget:<9} {measured.detail}")
        rows.append(asdict(measured))
    machine = f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    out.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    click.echo(f"written to {out}")
    sys.exit(1 if any(entry["ok"] is False for entry in rows) else 0)


def measure(only: str | None) -> Iterator[Row]:
    """Each row as soon as it is measured."""
    from tests.bench import daemon, door, pipeline, publishing, recognising, ultralytics_reference

    measures: list[tuple[str, Callable[[], Iterator[Row]]]] = [
        ("pipeline", pipeline.rows),
        ("still", pipeline.still_rows),
        ("ultralytics", ultralytics_reference.rows),
        ("daemon", daemon.rows),
        ("door", door.rows),
        ("reconocer", recognising.rows),
        ("outbox", publishing.rows),
    ]
    for name, rows_of in measures:
        if only is None or only in name:
            try:
                yield from rows_of()
            except InputError as error:
                yield absent(name, "", "", str(error))


if __name__ == "__main__":
    main()
