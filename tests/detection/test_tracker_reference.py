"""Our tracker beside the published ByteTrack, on scenes whose truth is known."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest

from tests.detection.scenes import SCENES, Identified, Measured, Walker, film, measure

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tests.detection.reference import ours, published

SEEDS = range(100, 116)
"""Not those on which the tracker's constants were chosen (0 to 15)."""
FPS = (5.0, 10.0, 15.0)
MARGIN = 0.01
"""IDF1 (of 0 to 1) left to chance: sixteen seeds of a scene are a small sample."""


@cache
def both(scene: str, fps: float) -> tuple[Measured, Measured]:
    """Ours and the published one on a scene: the mean IDF1 and all switches of the seeds."""
    answers: list[list[Measured]] = [[], []]
    for seed in SEEDS:
        looks = list(SCENES[scene](fps, seed))
        truth = [look.truth for look in looks]
        answers[0].append(measure(truth, ours(looks)))
        answers[1].append(measure(truth, published(looks, fps)))
    one, other = (Measured(float(np.mean([m.idf1 for m in a])), sum(m.switches for m in a)) for a in answers)
    print(f"{scene:10} {fps:4.0f} fps: IDF1 {one.idf1:.3f} (published {other.idf1:.3f}), ", end="")
    print(f"switches {one.switches} (published {other.switches})")
    return one, other


@pytest.mark.parametrize("scene", SCENES)
def test_ok__identities_kept_as_well_as_by_the_published_one(scene: str) -> None:
    pairs = [both(scene, fps) for fps in FPS]
    one, other = (np.mean([pair[side].idf1 for pair in pairs]) for side in (0, 1))
    assert one >= other - MARGIN


def test_ok__no_more_switches_than_the_published_one() -> None:
    pairs = [both(scene, fps) for scene in SCENES for fps in FPS]
    one, other = (sum(pair[side].switches for pair in pairs) for side in (0, 1))
    assert one <= other


@pytest.mark.parametrize("scene", SCENES)
def test_ok__people_are_followed_where_their_boxes_do_not_overlap(scene: str) -> None:
    one, other = both(scene, 2.0)
    assert one.idf1 >= 0.8
    assert one.idf1 >= other.idf1


def test_ok__measure_counts_a_swap() -> None:
    """The measure itself: two people whose numbers change places half way."""
    looks = list(film([Walker((100, 300), (10, 0)), Walker((500, 300), (10, 0))], 10, 4, 0))
    truth = [look.truth for look in looks]
    swapped: list[Identified] = [[(n if k < 20 else 1 - n, box) for n, box in frame] for k, frame in enumerate(truth)]
    assert measure(truth, truth) == Measured(1.0, 0)
    assert measure(truth, swapped).switches == 2
    assert measure(truth, swapped).idf1 == pytest.approx(0.5, abs=0.02)
    assert measure(truth, [[] for _ in truth]).idf1 == 0.0
