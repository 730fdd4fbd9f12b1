"""Who is enrolled, who comes to the door, and what a threshold makes of them, against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest

from device.errors import InputError
from training.facemodels.trials import People, Scores, draw_trial, score_trial, templates

NAMES = ("ana",) * 5 + ("bruno",) * 4 + ("carla",) * 3 + ("diego",)


def test_ok__people_with_more_photos_than_are_enrolled_may_be_enrolled() -> None:
    people = People.apart(NAMES, 3)
    assert people.enrollable.tolist() == [0, 1]
    assert people.strangers.tolist() == [9, 10, 11, 12]


def test_fail__nobody_left_to_be_a_stranger() -> None:
    with pytest.raises(InputError, match="there are 2 and 0"):
        People.apart(("ana",) * 4 + ("bruno",) * 4, 3)


def test_ok__a_trial_uses_each_photo_once() -> None:
    trial = draw_trial(People.apart(NAMES, 3), 2, 3, np.random.default_rng(0))
    used = [*trial.enrolled.ravel(), *trial.probes, *trial.strangers]
    assert sorted(used) == list(range(13))
    of = np.array([{"ana": 0, "bruno": 1}.get(name, -1) for name in NAMES])
    assert (of[trial.enrolled] == trial.people[:, None]).all()
    assert (of[trial.probes] == trial.people[trial.owners]).all()


def test_ok__draws_differ_and_a_seed_repeats_them() -> None:
    people = People.apart(NAMES, 3)
    drawn = [draw_trial(people, 2, 3, np.random.default_rng(seed)).enrolled.tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_ok__template_is_the_mean_of_unit_length() -> None:
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    found = templates(vectors, np.array([[0, 1], [2, 2]]))
    assert found == pytest.approx(np.array([[0.5**0.5, 0.5**0.5], [0.6, 0.8]]))


def test_ok__scores_tell_own_from_others() -> None:
    known = np.array([[0.9, 0.2], [0.3, 0.4], [0.5, 0.45]])
    scores = Scores.of(known, np.array([[0.1, 0.35]]), np.array([0, 1, 1]))
    assert scores.own.tolist() == [0.9, 0.4, 0.45]
    assert scores.other.tolist() == [0.2, 0.3, 0.5]
    assert scores.stranger.tolist() == [0.35]
    assert scores.between.tolist() == [0.1, 0.2, 0.3, 0.35, 0.5]


def test_ok__fnir_counts_who_is_taken_for_another() -> None:
    scores = Scores.of(np.array([[0.9, 0.2], [0.3, 0.4], [0.5, 0.45]]), np.array([[0.1, 0.35]]), np.array([0, 1, 1]))
    # The third photo's own similarity passes 0.36, but another person's is higher.
    assert scores.fnir(0.36) == pytest.approx(1 / 3)
    assert scores.fnir(0.41) == pytest.approx(2 / 3)
    assert (scores.fpir(0.35), scores.fpir(0.36)) == (1.0, 0.0)


def test_ok__a_gallery_of_separate_people_is_named_rightly(crowd: tuple[np.ndarray, tuple[str, ...]]) -> None:
    vectors, names = crowd
    trial = draw_trial(People.apart(names, 3), 30, 3, np.random.default_rng(0))
    scores = score_trial(vectors, trial)
    assert len(scores.own) == 90
    assert (scores.own > scores.other).mean() > 0.9
