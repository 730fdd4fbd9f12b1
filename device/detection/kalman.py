"""Where boxes will be: Kalman filters of constant velocity, many at once, in seconds rather than in frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# All noise is relative to the object's size (the root of its area), as in DeepSORT and ByteTrack, whose figures these
# are, turned from "a frame at 30 a second" into seconds, so that they hold at any frame rate.
MEASUREMENT_STD = 0.05
"""Spread of a detected centre or side, in sizes (ByteTrack: std_weight_position = 1/20)."""
ACCELERATION = 0.35
"""Spread that a velocity gains within a second, in sizes a second: people keep their pace to a third of a metre per
second. ByteTrack's 1/160 a frame would be 1.0 at 30 frames; at 5 to 10 that takes the jitter of boxes for changes of
speed."""
START_SPEED_STD = 2.0
"""Spread of an unknown velocity, in sizes a second (ByteTrack: 10/160 a frame = 1.9 a second at 30 fps)."""
GATE = 9.4877
"""Squared Mahalanobis distance that holds 95 % of true pairs: chi-square of 4 dimensions, as in DeepSORT."""


def centred(xyxy: Array) -> Array:
    """Nx4 corner boxes (x1, y1, x2, y2) as centre x, centre y, width, height."""
    return np.concatenate(((xyxy[:, :2] + xyxy[:, 2:]) * 0.5, xyxy[:, 2:] - xyxy[:, :2]), axis=1)


class BoxFilter:
    """Kalman filters of N boxes.

    Centre x, centre y, width and height are filtered apart, each with its velocity: with diagonal noise the textbook's
    8x8 covariance falls into four 2x2 blocks, so that everything is arithmetic on Nx4 arrays and nothing is inverted.
    They lie in one array, since for a few boxes it is the number of calls that costs: `PLACE`, `SPEED`, and the
    variances and covariance of the two.
    """

    def __init__(self) -> None:
        self._state: Array = np.zeros((5, 0, 4))

    def __len__(self) -> int:
        return len(self._state[PLACE])

    def predict(self, dt: float) -> None:
        """Move all boxes on by `dt` seconds. White noise on the acceleration: two half steps add up to a whole one."""
        place, speed, pp, pv, vv = self._state
        noise = ACCELERATION**2 * _size2(place)
        place += speed * dt
        np.maximum(place[:, 2:], 1.0, out=place[:, 2:])
        pp += (2 * dt) * pv
        pp += dt**2 * vv + dt**3 / 3 * noise
        pv += dt * vv + dt**2 / 2 * noise
        vv += dt * noise

    def update(self, rows: list[int], boxes: Array) -> None:
        """Correct the filters `rows` by what was measured: Kx4 boxes as centre and size."""
        state = self._state[:, rows]
        gains = state[PP:VV] / (state[PP] + MEASUREMENT_STD**2 * _size2(state[PLACE]))
        state[:PP] += gains * (boxes - state[PLACE])
        state[VV] -= gains[1] * state[PV]
        state[PP:VV] *= 1 - gains[0]
        self._state[:, rows] = state

    def add(self, boxes: Array) -> None:
        """Start filters at Kx4 boxes (centre and size), their velocity unknown."""
        state = np.zeros((5, *boxes.shape))
        state[PLACE] = boxes
        size2 = boxes[:, 2:3] * boxes[:, 3:4]
        state[PP], state[VV] = MEASUREMENT_STD**2 * size2, START_SPEED_STD**2 * size2
        self._state = np.concatenate((self._state, state), axis=1)

    def keep(self, rows: list[int]) -> None:
        """Forget all filters but `rows`."""
        self._state = self._state[:, np.array(rows, dtype=np.intp)]

    def hold_size(self, rows: list[int]) -> None:
        """Objects out of sight keep their size (ByteTrack does so): what grew or shrank was the occlusion."""
        if rows:
            self._state[SPEED, rows, 2:] = 0.0

    def boxes(self) -> Array:
        """Nx4 boxes as corners."""
        place = self._state[PLACE]
        half = place[:, 2:] * 0.5
        return np.concatenate((place[:, :2] - half, place[:, :2] + half), axis=1)

    def distance2(self, boxes: Array) -> Array:
        """Squared Mahalanobis distances, N x K, of measured boxes (centre and size) from the predictions."""
        place = self._state[PLACE]
        spread = self._state[PP] + MEASUREMENT_STD**2 * _size2(place)
        surprise = boxes[None, :, :] - place[:, None, :]
        distance: Array = (surprise**2 / spread[:, None, :]).sum(axis=2)
        return distance


PLACE, SPEED, PP, PV, VV = range(5)


def _size2(place: Array) -> Array:
    """Nx1 areas in square pixels: the unit of every variance here."""
    sides = np.maximum(place[:, 2:], 1.0)
    area: Array = sides[:, :1] * sides[:, 1:]
    return area
