"""`python -m training identify` and `compare-faces`."""

from __future__ import annotations

from pathlib import Path

import click

from device.errors import ConfigError
from training.runs import fresh_folder

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("model", metavar="BUNDLE")
@click.option("--data", type=FOLDER, required=True, help="A folder of photos for each person.")
@click.option(
    "--size", "sizes", type=click.IntRange(1), multiple=True, help="People in a gallery; repeat it.  [10 20 50 100]"
)
@click.option("--enrol", type=click.IntRange(1), default=3, show_default=True, help="Photos of each in the gallery.")
@click.option("--galleries", type=click.IntRange(1), default=40, show_default=True, help="Drawn of each size.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report [default: a new one in runs/].")
def identify(
    model: str, data: Path, sizes: tuple[int, ...], enrol: int, galleries: int, seed: int, out: Path | None
) -> None:
    """How often a door takes its people for nobody, and a stranger for one of them.

    People with more photos than are enrolled form galleries of several sizes and of all of them; the others are
    strangers. Measured through the device's own code, with the file that the device runs. Ends with report.html.
    """
    from training.facemodels.identification_report import as_text, measure

    folder = out or fresh_folder("identify")
    click.echo(as_text(measure(model, data, folder, sizes or (10, 20, 50, 100), enrol, galleries, seed)))
    click.echo(folder / "report.html")


@click.command("compare-faces")
@click.option("--models", "-m", "first", multiple=True, help="The models; all that follows up to the next flag.")
@click.argument("more", nargs=-1, metavar="[MODEL]...")
@click.option("--known", type=FOLDER, required=True, help="People who are enrolled: a folder of photos each.")
@click.option(
    "--unknown", type=FOLDER, required=True, help="Strangers; the same folder again: those with too few photos."
)
@click.option("--aside", type=FOLDER, help="Others, by whom thresholds are set  [default: a quarter of both].")
@click.option("--enrol", type=click.IntRange(1), default=3, show_default=True, help="Photos of each in the gallery.")
@click.option(
    "--fpir",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=0.01,
    show_default=True,
    help="Share of strangers' photos that may be given a name: sets each model's threshold.",
)
@click.option("--rounds", type=click.IntRange(5), default=50, show_default=True, help="Measurements of each time.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report [default: a new one in runs/].")
def compare_faces(
    first: tuple[str, ...],
    more: tuple[str, ...],
    known: Path,
    unknown: Path,
    aside: Path | None,
    enrol: int,
    fpir: float,
    rounds: int,
    seed: int,
    out: Path | None,
) -> None:
    """Face models side by side: whom each knows, whom it takes for somebody, and what it costs.

    MODEL is a bundle's folder or name, a run of `arcface`, one of eigenfaces, fisherfaces, lbph, imagenet-mobilenetv2
    and mobilefacenet-192, or a YAML file that describes another embedder. Ends with report.html.
    """
    if not (first or more):
        raise ConfigError("--models names what is to be compared: bundles, runs, descriptions or built-in names")
    from training.facemodels.comparison import Wanted
    from training.facemodels.comparison_report import as_text
    from training.facemodels.comparison_report import compare_faces as measure

    folder = out or fresh_folder("compare-faces")
    wanted = Wanted(enrol, fpir, seed, rounds)
    click.echo(as_text(measure((*first, *more), known, unknown, aside, wanted, folder)))
    click.echo(folder / "report.html")
