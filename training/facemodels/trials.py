"""Open-set identification as a door meets it: some are enrolled, others of their photos and strangers come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.errors import InputError
from export.face_scores import Array, Labels

Rows = npt.NDArray[np.intp]
"""Positions in the list of all photos."""


@dataclass(frozen=True)
class People:
    """Who may be enrolled and who stays a stranger: `number[i]` is the person in photo i, from 0."""

    number: Labels
    enrollable: Labels
    strangers: Rows

    @classmethod
    def apart(cls, people: Sequence[str], enrol: int) -> People:
        """Everybody with more photos than are enrolled may be; all the others are strangers.

        Args:
            people: a name for each photo.
            enrol: photos that an enrolment takes.
        Raises:
            InputError: nobody has more than `enrol` photos, or everybody has.
        """
        number = np.unique(np.array(people), return_inverse=True)[1].astype(np.int64)
        known = np.flatnonzero(np.bincount(number) > enrol)
        strangers = np.flatnonzero(~np.isin(number, known))
        if not len(known) or not len(strangers):
            raise InputError(
                f"to identify takes people with more than {enrol} photos, who are enrolled, and people with fewer, "
                f"who stay strangers; there are {len(known)} and {len(set(number[strangers].tolist()))}"
            )
        return cls(number, known.astype(np.int64), strangers)


@dataclass(frozen=True)
class Trial:
    """Rows of photos: `enrolled` [N, E] of N people, `probes` [P] of them with `owners` [P] (0 to N-1), `strangers`."""

    people: Labels
    enrolled: Rows
    probes: Rows
    owners: Labels
    strangers: Rows


def draw_trial(people: People, size: int, enrol: int, rng: np.random.Generator) -> Trial:
    """Choose people at random, and of each the photos that are enrolled; the others of their photos come to the door.

    Args:
        people: from `People.apart`.
        size: people in the gallery; at most as many as can be enrolled.
        enrol: photos of each in the gallery.
        rng: makes the choice.
    """
    chosen = rng.choice(people.enrollable, size, replace=False)
    photos = [rng.permutation(np.flatnonzero(people.number == person)) for person in chosen]
    return Trial(
        people=chosen,
        enrolled=np.stack([rows[:enrol] for rows in photos]),
        probes=np.concatenate([rows[enrol:] for rows in photos]),
        owners=np.repeat(np.arange(size), [len(rows) - enrol for rows in photos]).astype(np.int64),
        strangers=people.strangers,
    )


def templates(vectors: Array, enrolled: Rows) -> Array:
    """[N, D]: the mean of each person's enrolled embeddings, of unit length.

    Args:
        vectors: [photos, D] unit embeddings. A mirror image is in each already where the network looks both ways.
        enrolled: [N, E] rows.
    """
    means = vectors[enrolled].mean(axis=1)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


@dataclass(frozen=True)
class Scores:
    """What a gallery of N says of P photos of its people and S of strangers; higher is more alike.

    `own` [P]: similarity with one's own template; `other` [P]: the best with anybody else's; `stranger` [S]: the best
    of a stranger. `owners` [P]: whose photo it is. `between` has all similarities of two people, sorted upwards.
    """

    own: Array
    other: Array
    owners: Labels
    stranger: Array
    between: Array

    @classmethod
    def of(cls, probes: Array, strangers: Array, owners: Labels) -> Scores:
        """From similarities [P, N] and [S, N] with the gallery's templates."""
        rows = np.arange(len(probes))
        mine = np.zeros(probes.shape, bool)
        mine[rows, owners] = True
        others = np.where(mine, -np.inf, probes)
        between = np.concatenate([probes[~mine], strangers.ravel()])
        return cls(
            own=probes[rows, owners],
            other=others.max(axis=1),
            owners=owners,
            stranger=strangers.max(axis=1) if strangers.size else np.empty(0),
            between=np.sort(between),
        )

    @property
    def identified(self) -> Array:
        """[P]: the similarity up to which a threshold still names this photo rightly; -inf where another is nearer."""
        return np.where(self.own > self.other, self.own, -np.inf)

    def fnir(self, threshold: float) -> float:
        """False negative identification rate: photos of enrolled people that are not named rightly."""
        return float(np.mean(self.identified < threshold))

    def fpir(self, threshold: float) -> float:
        """False positive identification rate: strangers' photos that are given somebody's name."""
        return float(np.mean(self.stranger >= threshold))


def score_trial(vectors: Array, trial: Trial) -> Scores:
    """By cosine with the templates: one matrix product, as on the device."""
    gallery = templates(vectors, trial.enrolled).T
    return Scores.of(vectors[trial.probes] @ gallery, vectors[trial.strangers] @ gallery, trial.owners)
