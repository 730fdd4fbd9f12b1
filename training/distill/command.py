"""`detector-distill`: the default detector, from the official YOLOv8n by quantization-aware self-distillation."""

from __future__ import annotations

import copy
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn

from device.capture.footage import demo_clip, face_clip
from device.system.fetch import sha256_of
from export import ROOT
from export.checkpoint import load_detector
from export.weights import FOOTAGE_CACHE, weights
from training.distill.distillation import Distillation, Settings, run
from training.distill.pictures import Counts, Sources, compose, find_sources
from training.distill.quantaware import QuantAware, observed_ranges
from training.distill.teaching import Lessons, prepare, to_tensor
from training.report import write_report
from training.runs import Run, fresh_folder

CLASSES = 80


def default_data() -> Path:
    """`$SERENO_DATA`, else `../shared/data` beside the checkout."""
    return Path(os.environ.get("SERENO_DATA", ROOT.parent / "shared" / "data"))


@click.command("detector-distill")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder with coco/images/train and cats_dogs/train [default: $SERENO_DATA or ../shared/data].",
)
@click.option(
    "--weights",
    "base",
    type=click.Path(path_type=Path, exists=True),
    help="The detector to start from and to copy [default: yolov8n.pt, fetched].",
)
@click.option("--out", type=click.Path(path_type=Path), help="Run folder [default: runs/detector-distill-DATE].")
@click.option(
    "--resume", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Go on with the run in this folder."
)
@click.option("--size", default=320, show_default=True, help="Side of the square the network sees, in pixels.")
@click.option("--steps", default=Settings.steps, show_default=True, help="Optimizer steps, 16 pictures each.")
@click.option("--rate", default=Settings.rate, show_default=True, help="Adam's learning rate; 4e-5 diverges.")
@click.option("--seed", default=0, show_default=True, help="Of pictures and their order.")
@click.option("--threads", default=max(1, (os.cpu_count() or 2) // 2), show_default=True, help="Threads of PyTorch.")
def detector_distill(
    data: Path | None,
    base: Path | None,
    out: Path | None,
    resume: Path | None,
    size: int,
    steps: int,
    rate: float,
    seed: int,
    threads: int,
) -> None:
    """Teach YOLOv8n to say in int8 what it says in float.

    The float network looks at 2,900 unlabelled pictures once; a copy of it that rounds as the int8 file will round
    then learns to say the same. No labels are used. Ends with RUN/detector.pt; `python -m export sereno-coco-320
    --weights RUN/detector.pt` quantizes and verifies it and writes models/sereno-coco-320.
    """
    torch.set_num_threads(threads)
    data = data or default_data()
    settings = Settings(steps=steps, rate=rate, seed=seed)
    base = base or weights("yolov8n.pt")
    folder = resume or out or fresh_folder("detector-distill")
    config = {"size": size, "settings": asdict(settings), "pictures": asdict(Counts()), "base": sha256_of(base)}
    run_folder = Run(folder, config, resume=resume is not None)
    distil(run_folder, load_detector(base), _sources(data), Counts(), settings, size)
    click.echo(f"{folder / 'detector.pt'}\n{folder / 'report.html'}")


def _sources(data: Path) -> Sources:
    """Training photos, and free clips where they can be had."""
    return find_sources(data, [demo_clip(FOOTAGE_CACHE), face_clip(FOOTAGE_CACHE)])


def distil(
    folder: Run,
    detector: nn.Module,
    sources: Sources,
    counts: Counts,
    settings: Settings,
    size: int,
    until: int | None = None,
) -> nn.Module:
    """The whole run, or its rest: pictures, teacher, ranges, training, checkpoint, report.

    Returns:
        The detector with the averaged weights of the student, unfused.
    """
    say = folder.log.info
    teacher = QuantAware(detector)
    lessons = _lessons(folder, teacher, sources, counts, settings, size)
    say("ranges over %d photos", len(sources.photos))
    # The first pictures are the photos as they are, each followed by its mirror image.
    plain = (to_tensor(lessons.pictures[i : i + 1]) for i in range(0, 2 * len(sources.photos), 2))
    ranges = observed_ranges(teacher, plain)
    student_detector = copy.deepcopy(detector)
    distillation = Distillation(QuantAware(student_detector), ranges, lessons, settings)
    checkpoint = folder.path / "checkpoint.pt"
    if checkpoint.exists():
        distillation.restore(torch.load(checkpoint, weights_only=True))
        say("going on at step %d of %d", distillation.step, settings.steps)
    for _ in run(distillation, checkpoint, say, until):
        pass
    distillation.adopt_average()
    if distillation.step >= settings.steps:
        _finish(folder, distillation, student_detector, sources, size)
    return student_detector


def _lessons(
    folder: Run, teacher: QuantAware, sources: Sources, counts: Counts, settings: Settings, size: int
) -> Lessons:
    kept = folder.path / "lessons"
    if (kept / "complete").exists():
        return Lessons(kept)
    folder.log.info("making %d pictures of %d pixels", counts.total(len(sources.photos)), size)
    return prepare(kept, list(compose(sources, counts, size, settings.seed)), teacher)


def _finish(folder: Run, distillation: Distillation, detector: nn.Module, sources: Sources, size: int) -> None:
    """Write the checkpoint in the form that `export` reads, and the report."""
    for parameter in detector.parameters():
        parameter.requires_grad_(False)
    torch.save({"model": detector.eval()}, folder.path / "detector.pt")
    facts: dict[str, Any] = {
        "detector_sha256": sha256_of(folder.path / "detector.pt"),
        "pictures": len(distillation.lessons),
        "pictures_sha256": distillation.lessons.fingerprint(),
        "photos": len(sources.photos),
        "pets": len(sources.pets),
        "clips": [clip.name for clip in sources.clips],
        "size": size,
        "settings": asdict(distillation.settings),
    }
    write_report(folder, facts, distillation.curve, distillation.held_out)
