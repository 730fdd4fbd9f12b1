"""Which face of this frame is which of the last: an identity belongs to a track, and a track that jumps is a new one.

Unlike the camera box's tracker this one would rather lose a face than mistake one for another: a person who has to look
at the door for a moment longer is served, one who takes over another's track is let in. So there is no prediction, and
whatever is doubtful begins anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from device.access.recognizer import Embedding
from device.datatypes import Face

LOST_S = 0.5
"""A face that was not seen for so long has left; the next one there is another."""
SHIFT = 0.3
SHIFT_PER_S = 2.0
SHIFT_MOST = 0.75
"""A face's middle may move by so much of its side between two frames, plus so much a second, but never by more: at 10
frames a second half a face's width, or a head at an arm's length that moves at 0.8 m/s."""
GROWTH = 1.25
GROWTH_PER_S = 1.0
"""Its side may change by this factor, plus so much a second."""
BEND = 0.09
BEND_PER_S = 0.6
BEND_MOST = 0.25
"""Its five landmarks may move against each other by so much of its side, in the mean: turning the head does that."""
DOUBT = 0.6
"""A second candidate whose distance is less than the best one's over this makes the choice doubtful."""
KIN = 0.4
"""An embedding whose cosine with the mean of the track's earlier ones is less is of another face: of two people one
pair in 5,000 reaches it; a man who gives a talk, ten frames a second, never fell below 0.45."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceTrack:
    """One face followed over frames. `id` is never used twice; times are of `Frame.monotonic`."""

    id: int
    face: Face
    start: float
    seen: float
    hits: int


@dataclass(slots=True)
class _Followed:
    track: FaceTrack
    total: Embedding | None = None


class FaceTracker:
    """Follows the faces before one camera."""

    def __init__(self, first_id: int = 1) -> None:
        """`first_id`: the number of the first track."""
        self._next = first_id
        self._followed: dict[int, _Followed] = {}
        self.ended: tuple[int, ...] = ()
        """Tracks that the last call ended."""

    @property
    def following(self) -> bool:
        """Whether some face was seen a moment ago."""
        return bool(self._followed)

    @property
    def faces(self) -> list[Face]:
        """Those that are followed, as they were last seen."""
        return [one.track.face for one in self._followed.values()]

    def update(self, faces: Sequence[Face], now: float) -> list[FaceTrack]:
        """Take in the faces of one frame.

        Args:
            faces: all of them.
            now: the frame's time in seconds; does not decrease.
        Returns:
            A track for each face, in their order.
        """
        lost = [known for known, one in self._followed.items() if now - one.track.seen > LOST_S]
        for known in lost:
            del self._followed[known]
        chosen, doubted = self._choose(faces, now)
        for known in doubted:
            del self._followed[known]
        self.ended = (*lost, *doubted)
        return [self._take(face, chosen.get(index), now) for index, face in enumerate(faces)]

    def recognise(self, track: FaceTrack, embedding: Embedding) -> FaceTrack:
        """Compare a face with what its track has shown so far.

        Args:
            track: as given by the last `update`.
            embedding: of its face in that frame, unit length.
        Returns:
            The same track, or a new one for the same face where another was swapped in; then `ended` names the old.
        """
        one = self._followed[track.id]
        self.ended = ()
        if one.total is not None:
            length = float(np.linalg.norm(one.total))
            if not float(np.dot(one.total, embedding)) >= KIN * length:
                del self._followed[track.id]
                self.ended = (track.id,)
                track = self._begin(track.face, track.seen)
                one = self._followed[track.id]
        one.total = embedding.copy() if one.total is None else one.total + embedding
        return track

    def reset(self) -> tuple[int, ...]:
        """The camera was lost: nobody is followed any more. The tracks that ended; their numbers stay used."""
        gone = tuple(self._followed)
        self._followed.clear()
        return gone

    def _choose(self, faces: Sequence[Face], now: float) -> tuple[dict[int, int], list[int]]:
        """The track of each face, by the face's index, where there is just one that it can be; and the tracks that
        were in the running for some face and got none beyond doubt."""
        distances = {
            (known, index): distance
            for known, one in self._followed.items()
            for index, face in enumerate(faces)
            if (distance := step(one.track.face, face, now - one.track.seen)) is not None
        }
        chosen: dict[int, int] = {}
        for (known, index), distance in distances.items():
            rivals = [d for (k, i), d in distances.items() if (k == known) != (i == index)]
            if not rivals or distance < DOUBT * min(rivals):
                chosen[index] = known
        return chosen, sorted({known for known, _ in distances} - set(chosen.values()))

    def _take(self, face: Face, known: int | None, now: float) -> FaceTrack:
        if known is None:
            return self._begin(face, now)
        one = self._followed[known]
        one.track = replace(one.track, face=face, seen=now, hits=one.track.hits + 1)
        return one.track

    def _begin(self, face: Face, now: float) -> FaceTrack:
        track = FaceTrack(self._next, face, now, now, 1)
        self._followed[self._next] = _Followed(track)
        self._next += 1
        return track


def step(before: Face, after: Face, passed_s: float) -> float | None:
    """How far a face has moved between two frames, in its own sides; None where that is a jump.

    Args:
        before: the face.
        after: where it may be now.
        passed_s: time between the two.
    """
    side, side_after = _side(before), _side(after)
    if side <= 0 or side_after <= 0:
        return None
    shift = float(np.linalg.norm(_middle(after) - _middle(before))) / math.sqrt(side * side_after)
    growth = max(side, side_after) / min(side, side_after)
    bend = float(np.linalg.norm(_shape(after) - _shape(before), axis=1).mean())
    if (
        shift > min(SHIFT + SHIFT_PER_S * passed_s, SHIFT_MOST)
        or growth > GROWTH + GROWTH_PER_S * passed_s
        or bend > min(BEND + BEND_PER_S * passed_s, BEND_MOST)
    ):
        return None
    return shift + math.log(growth) + bend


def _side(face: Face) -> float:
    x1, y1, x2, y2 = face.xyxy
    return math.sqrt(max(0.0, x2 - x1) * max(0.0, y2 - y1))


def _middle(face: Face) -> npt.NDArray[np.float64]:
    x1, y1, x2, y2 = face.xyxy
    return np.array([(x1 + x2) / 2, (y1 + y2) / 2])


def _shape(face: Face) -> npt.NDArray[np.float64]:
    """The landmarks about their own middle, in sides of the box: 5x2."""
    points = np.asarray(face.landmarks, np.float64)
    shape: npt.NDArray[np.float64] = (points - points.mean(axis=0)) / max(_side(face), 1e-6)
    return shape
