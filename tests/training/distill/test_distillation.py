"""A small distillation: the student is the network, learns, and goes on after a stop as if nothing had happened."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from device.errors import ConfigError, InputError
from export.checkpoint import RawHeads, load_detector
from training.distill.command import distil
from training.distill.distillation import Settings, distillation_loss, learning_rate
from training.distill.pictures import Counts, Sources, compose, find_sources
from training.distill.quantaware import CLASS_FLOOR, Float, QuantAware, Rounded, observed_ranges
from training.distill.teaching import prepare, to_tensor
from training.runs import Run

SIZE = 64
COUNTS = Counts(jittered=4, mosaics=4, mixed=4, pets=2, video=3)
SETTINGS = Settings(steps=3, batch=4, rate=1e-4, warmup=1, held_out=5, evaluate_every=2, save_every=1)


def test_ok__float_student_is_the_detector(detector: nn.Module) -> None:
    images = torch.rand(2, 3, SIZE, SIZE)
    mine = QuantAware(detector)(images, Float())
    for head, expected in zip(mine, RawHeads(detector)(images), strict=True):
        torch.testing.assert_close(head, expected, atol=1e-3, rtol=1e-3)


def test_ok__rounded_student_is_near_and_not_the_same(detector: nn.Module, sources: Sources) -> None:
    network = QuantAware(detector)
    images = to_tensor(np.stack(list(compose(sources, COUNTS, SIZE, 0))[:8]))
    ranges = observed_ranges(network, images.split(1))
    with torch.no_grad():
        exact, rounded = network(images, Float()), network(images, Rounded(ranges))
    for a, b in zip(exact, rounded, strict=True):
        error = float((a.clamp(min=CLASS_FLOOR) - b).square().mean().sqrt())
        assert 0 < error < 0.5 * float(a.std())


def test_ok__teacher_agrees_with_itself(detector: nn.Module, sources: Sources, tmp_path: Path) -> None:
    network = QuantAware(detector)
    lessons = prepare(tmp_path, list(compose(sources, COUNTS, SIZE, 0)), network)
    lesson = lessons.batch([0, 3, 5])
    with torch.no_grad():
        own = distillation_loss(network(lesson.images, Float()), lesson)
        zeros = [torch.zeros_like(head) for head in network(lesson.images, Float())]
        other = distillation_loss(zeros, lesson)
    assert float(own.classes) == pytest.approx(0, abs=2e-3)  # The teacher's outputs are kept in half precision.
    assert float(own.boxes) == pytest.approx(0, abs=2e-3)
    assert float(other.classes) > 0.1
    assert float(other.boxes) > 0.01


def test_ok__boxes_count_only_where_the_teacher_sees_something(
    detector: nn.Module, sources: Sources, tmp_path: Path
) -> None:
    lessons = prepare(tmp_path, list(compose(sources, COUNTS, SIZE, 0)), QuantAware(detector))
    lesson = lessons.batch([1, 2])
    best = lesson.classes.sigmoid().amax(2).flatten()
    above = torch.nonzero(best > 0.05)[:, 0]
    assert set(above.tolist()) <= set(lesson.cells.tolist())
    assert float(best[lesson.cells].min()) > 0.049


def test_ok__stopped_and_resumed_gives_the_same_weights(detector: nn.Module, sources: Sources, tmp_path: Path) -> None:
    straight = distil(Run(tmp_path / "a", {}, resume=False), copy.deepcopy(detector), sources, COUNTS, SETTINGS, SIZE)
    distil(Run(tmp_path / "b", {}, resume=False), copy.deepcopy(detector), sources, COUNTS, SETTINGS, SIZE, until=2)
    resumed = distil(Run(tmp_path / "b", {}, resume=True), copy.deepcopy(detector), sources, COUNTS, SETTINGS, SIZE)
    moved = 0.0
    for (name, mine), (_, theirs), (_, first) in zip(
        straight.named_parameters(), resumed.named_parameters(), detector.named_parameters(), strict=True
    ):
        assert torch.equal(mine, theirs), name
        moved = max(moved, float((mine - first).detach().abs().max()))
    assert moved > 1e-6


def test_fail__resumed_from_a_checkpoint_that_was_cut_short(
    detector: nn.Module, sources: Sources, tmp_path: Path
) -> None:
    distil(Run(tmp_path / "a", {}, resume=False), copy.deepcopy(detector), sources, COUNTS, SETTINGS, SIZE, until=2)
    file = tmp_path / "a" / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"checkpoint\.pt is damaged"):
        distil(Run(tmp_path / "a", {}, resume=True), detector, sources, COUNTS, SETTINGS, SIZE)


def test_ok__run_folder_holds_what_export_and_people_need(
    detector: nn.Module, sources: Sources, tmp_path: Path
) -> None:
    before = {name: buffer.clone() for name, buffer in detector.named_buffers() if "running" in name}
    distil(Run(tmp_path / "run", {"seed": 0}, resume=False), detector, sources, COUNTS, SETTINGS, SIZE)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["pictures"] == COUNTS.total(4) == 25
    assert [row["step"] for row in report["held_out"]] == [0, 2, 3]
    assert len(report["curve"]) == 3
    assert (tmp_path / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "data:image/png;base64" in (tmp_path / "run" / "report.html").read_text()
    assert "step 3" in (tmp_path / "run" / "log.txt").read_text()
    trained = load_detector(tmp_path / "run" / "detector.pt")
    for name, buffer in trained.named_buffers():
        if name in before:
            assert torch.equal(buffer, before[name]), "BatchNorm's statistics must stay frozen"


def test_ok__loss_falls_on_the_pictures_it_learns(detector: nn.Module, sources: Sources, tmp_path: Path) -> None:
    settings = Settings(steps=12, batch=10, rate=3e-4, warmup=1, held_out=5, evaluate_every=50, save_every=50, ema=0.5)
    distil(Run(tmp_path / "run", {}, resume=False), detector, sources, COUNTS, settings, SIZE)
    curve = json.loads((tmp_path / "run" / "report.json").read_text())["curve"]
    total = [row["classes"] + row["boxes"] for row in curve]
    assert np.mean(total[-4:]) < np.mean(total[:4])


def test_ok__same_seed_same_pictures(sources: Sources) -> None:
    first, again = (np.stack(list(compose(sources, COUNTS, SIZE, 7))) for _ in range(2))
    other = np.stack(list(compose(sources, COUNTS, SIZE, 8)))
    assert first.shape == (25, SIZE, SIZE, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_ok__rate_warms_up_and_ends_at_0() -> None:
    settings = Settings()
    rates = [learning_rate(step, settings) for step in range(settings.steps)]
    assert rates[0] == pytest.approx(settings.rate / 30)
    assert max(rates) == rates[30] == pytest.approx(settings.rate)
    assert rates[-1] < settings.rate * 1e-3


def test_fail__run_folder_that_is_taken(tmp_path: Path) -> None:
    Run(tmp_path / "run", {"steps": 3}, resume=False)
    with pytest.raises(ConfigError, match="holds a run already"):
        Run(tmp_path / "run", {"steps": 3}, resume=False)
    with pytest.raises(ConfigError, match="begun with steps 3, and 4 was given"):
        Run(tmp_path / "run", {"steps": 4}, resume=True)


def test_fail__no_training_photos(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no training photos at .*SERENO_DATA"):
        find_sources(tmp_path, [])
