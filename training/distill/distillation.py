"""Quantization-aware self-distillation: the network learns to say in int8 what it says in float."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from export.calibration import CLASS_FLOOR
from training.distill.quantaware import QuantAware, Range, Rounded
from training.distill.teaching import Lesson, Lessons, flatten
from training.filing import replacing

BINS = 16


@dataclass(frozen=True)
class Settings:
    """Of the optimization; the defaults are the shipped detector's."""

    steps: int = 200
    batch: int = 16
    rate: float = 8e-6
    warmup: int = 30
    clip: float = 10.0
    ema: float = 0.98
    held_out: int = 128
    seed: int = 0
    evaluate_every: int = 100
    save_every: int = 50


@dataclass(frozen=True)
class Loss:
    """Both parts are sums divided by the batch's summed teacher confidence (its best class in each cell)."""

    classes: torch.Tensor
    boxes: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """What is minimised."""
        return self.classes + self.boxes


def distillation_loss(heads: Sequence[torch.Tensor], lesson: Lesson) -> Loss:
    """How far the student's heads are from the teacher's.

    Classes: the Bernoulli KL divergence of each class in each cell, both logits floored (otherwise telling one
    impossible class from another dominates). Boxes: the KL divergence of the four distance distributions in the cells
    where the teacher sees something, weighted by how sure it is.
    """
    logits, distributions = flatten(heads)
    logits = logits.clamp(min=CLASS_FLOOR)
    target = lesson.classes.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(lesson.classes, target, reduction="sum")
    classes = F.binary_cross_entropy_with_logits(logits, target, reduction="sum") - entropy
    best = target.amax(2)
    mine = distributions.flatten(0, 1)[lesson.cells].unflatten(1, (4, BINS)).log_softmax(2)
    theirs = lesson.boxes.unflatten(1, (4, BINS)).log_softmax(2)
    divergence = (theirs.exp() * (theirs - mine)).sum((1, 2))
    weight = best.flatten()[lesson.cells]
    norm = best.sum().clamp(min=1e-6)
    return Loss(classes / norm, (divergence * weight).sum() / norm)


def learning_rate(step: int, settings: Settings) -> float:
    """Linear warm-up, then half a cosine down to 0."""
    if step < settings.warmup:
        return settings.rate * (step + 1) / settings.warmup
    done = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.rate * 0.5 * (1 + math.cos(math.pi * done))


class Distillation:
    """The state of a run: student, optimizer, moving average, curves. Everything random hangs on `settings.seed`."""

    def __init__(self, student: QuantAware, ranges: Mapping[str, Range], lessons: Lessons, settings: Settings) -> None:
        self.student = student
        self.rounded = Rounded(ranges)
        self.lessons = lessons
        self.settings = settings
        self.parameters = _trainable(student)
        self.optimizer = torch.optim.Adam(self.parameters.values(), lr=settings.rate)
        self.average = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.step = 0
        self.curve: list[dict[str, float]] = []
        self.held_out: list[dict[str, float]] = []
        order = np.random.default_rng(settings.seed).permutation(len(lessons))
        self._held = order[: settings.held_out]
        self._learnt = order[settings.held_out :]

    def indices(self, step: int) -> list[int]:
        """The pictures of a step: each epoch goes through all of them, in an order of its own."""
        each = len(self._learnt) // self.settings.batch
        if each == 0:
            raise ValueError(f"{len(self._learnt)} pictures are fewer than a batch of {self.settings.batch}")
        epoch, at = divmod(step, each)
        order = np.random.default_rng((self.settings.seed, epoch)).permutation(self._learnt)
        return [int(i) for i in order[at * self.settings.batch : (at + 1) * self.settings.batch]]

    def train_step(self) -> dict[str, float]:
        """One step; returns its figures."""
        settings = self.settings
        rate = learning_rate(self.step, settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        lesson = self.lessons.batch(self.indices(self.step))
        loss = distillation_loss(self.student(lesson.images, self.rounded), lesson)
        if not torch.isfinite(loss.total):
            raise FloatingPointError(f"the loss of step {self.step} is {loss.total.item()}: lower the rate")
        self.optimizer.zero_grad()
        loss.total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), settings.clip)
        self.optimizer.step()
        for name, parameter in self.parameters.items():
            self.average[name].lerp_(parameter.detach(), 1 - settings.ema)
        row = {"step": self.step, "classes": loss.classes.item(), "boxes": loss.boxes.item()}
        row |= {"gradient": norm.item(), "rate": rate}
        self.curve.append(row)
        self.step += 1
        return row

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """The loss of the averaged student on the pictures it does not learn from."""
        totals = np.zeros(2)
        with self.averaged():
            batches = np.array_split(self._held, max(1, len(self._held) // self.settings.batch))
            for batch in batches:
                lesson = self.lessons.batch([int(i) for i in batch])
                loss = distillation_loss(self.student(lesson.images, self.rounded), lesson)
                totals += (loss.classes.item(), loss.boxes.item())
        classes, boxes = (float(total) / len(batches) for total in totals)
        row = {"step": self.step, "classes": classes, "boxes": boxes}
        self.held_out.append(row)
        return row

    def averaged(self) -> Swap:
        """A context in which the student has its averaged weights."""
        return Swap(self.parameters, self.average)

    def adopt_average(self) -> None:
        """Give the student its averaged weights for good: the end of a run."""
        put(self.parameters, self.average)

    def state(self) -> dict[str, Any]:
        """All that `restore` needs to go on as if nothing had happened."""
        return {
            "step": self.step,
            "parameters": {name: p.detach().clone() for name, p in self.parameters.items()},
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "curve": self.curve,
            "held_out": self.held_out,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a saved state."""
        put(self.parameters, state["parameters"])
        put(self.average, state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.curve, self.held_out = state["step"], list(state["curve"]), list(state["held_out"])


class Swap:
    """Puts other values into parameters while it is open."""

    def __init__(self, parameters: Mapping[str, torch.Tensor], values: Mapping[str, torch.Tensor]) -> None:
        self._parameters, self._values = parameters, values
        self._own: dict[str, torch.Tensor] = {}

    def __enter__(self) -> None:
        self._own = {name: p.detach().clone() for name, p in self._parameters.items()}
        put(self._parameters, self._values)

    def __exit__(self, *_: object) -> None:
        put(self._parameters, self._own)


@torch.no_grad()
def put(parameters: Mapping[str, torch.Tensor], values: Mapping[str, torch.Tensor]) -> None:
    """Copy values into parameters of the same names."""
    for name, parameter in parameters.items():
        parameter.copy_(values[name])


def _trainable(student: QuantAware) -> dict[str, torch.nn.Parameter]:
    """Convolutions and the scales and shifts of BatchNorm; its statistics and the DFL's fixed bins stay."""
    found = {}
    for name, parameter in student.named_parameters():
        parameter.requires_grad_(".dfl." not in name)
        if parameter.requires_grad:
            found[name] = parameter
    return found


def run(
    distillation: Distillation, checkpoint: Path, say: Callable[[str], None], until: int | None = None
) -> Iterator[dict[str, float]]:
    """Train to the end (or to step `until`), saving now and then; yields the figures of each step."""
    settings = distillation.settings
    last = min(settings.steps, settings.steps if until is None else until)
    started = time.monotonic()
    if distillation.step == 0:
        _say_held_out(distillation, say)
    with tqdm(total=settings.steps, initial=distillation.step, desc="distil", unit="step", disable=None) as bar:
        while distillation.step < last:
            row = distillation.train_step()
            bar.update()
            bar.set_postfix_str(f"classes {row['classes']:.3f} boxes {row['boxes']:.3f}")
            if distillation.step % settings.evaluate_every == 0 or distillation.step == settings.steps:
                _say_held_out(distillation, say)
                say(f"{(time.monotonic() - started) / 60:.1f} min since the start")
            if distillation.step % settings.save_every == 0 or distillation.step == last:
                save(checkpoint, distillation.state())
            yield row


def _say_held_out(distillation: Distillation, say: Callable[[str], None]) -> None:
    row = distillation.evaluate()
    say(f"step {distillation.step}: on held-out pictures classes {row['classes']:.4f}, boxes {row['boxes']:.4f}")


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint, whole or not at all."""
    with replacing(path) as scratch:
        torch.save(dict(state), scratch)
