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
from export.calibration import data_folder
from export.checkpoint import load_detector
from export.weights import FOOTAGE_CACHE, weights
from training.checkpoints import restore
from training.distill.distillation import Distillation, Settings, run, save
from training.distill.pictures import Counts, Sources, compose, find_sources
from training.distill.quantaware import QuantAware, observed_ranges
from training.distill.report import write_report
from training.distill.teaching import Lessons, prepare, to_tensor
from training.interruption import Interruption
from training.runs import Run, effective, open_run

CLASSES = 80


@click.command("detector-distill")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder with coco/images/train and cats_dogs/train [default: $SERENO_DATA or ../shared/data].",
)
@click.option(
    "--weights",
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
@click.pass_context
def detector_distill(context: click.Context, **flags: object) -> None:
    """Teach YOLOv8n to say in int8 what it says in float.

    The float network looks at 2,900 unlabelled pictures once; a copy of it that rounds as the int8 file will round
    then learns to say the same. No labels are used. Ends with RUN/detector.pt; `python -m export sereno-coco-320
    --weights RUN/detector.pt` quantizes and verifies it and writes models/sereno-coco-320.
    """
    del flags
    config = effective(context)
    torch.set_num_threads(config["threads"])
    base = Path(config["weights"] or weights("yolov8n.pt"))
    sources = _sources(Path(config["data"] or data_folder()))
    run_folder = open_run(context)
    run_folder.same("weights", sha256_of(base))
    run_folder.same("pictures", asdict(Counts()))
    settings = Settings(steps=config["steps"], rate=config["rate"], seed=config["seed"])
    with Interruption(run_folder) as interruption:
        distil(run_folder, load_detector(base), sources, Counts(), settings, config["size"], interruption=interruption)
    click.echo(f"{run_folder.path / 'detector.pt'}\n{run_folder.path / 'report.html'}")


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
    interruption: Interruption | None = None,
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
        restore(distillation, checkpoint)
        say("going on at step %d of %d", distillation.step, settings.steps)
    for _ in run(distillation, checkpoint, say, until):
        if interruption is not None and interruption.asked:
            save(checkpoint, distillation.state())
            interruption.check()
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
    with folder.writing("detector.pt") as scratch:
        torch.save({"model": detector.eval()}, scratch)
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
