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
    """

    def __init__(self) -> None:
        empty = np.zeros((0, 4))
        self.place, self.speed = empty, empty
        self._pp, self._pv, self._vv = empty, empty, empty

    def __len__(self) -> int:
        return len(self.place)

    def _size2(self) -> Array:
        """Nx1 areas in square pixels: the unit of every variance here."""
        area: Array = np.maximum(self.place[:, 2:3], 1.0) * np.maximum(self.place[:, 3:4], 1.0)
        return area

    def predict(self, dt: float) -> None:
        """Move all boxes on by `dt` seconds. White noise on the acceleration: two half steps add up to a whole one."""
        noise = ACCELERATION**2 * self._size2()
        self.place = self.place + self.speed * dt
        self.place[:, 2:] = np.maximum(self.place[:, 2:], 1.0)
        self._pp = self._pp + self._pv * (2 * dt) + self._vv * dt**2 + noise * (dt**3 / 3)
        self._pv = self._pv + self._vv * dt + noise * (dt**2 / 2)
        self._vv = self._vv + noise * dt

    def update(self, rows: npt.NDArray[np.intp], boxes: Array) -> None:
        """Correct the filters `rows` by what was measured: Kx4 boxes as centre and size."""
        pp, pv = self._pp[rows], self._pv[rows]
        spread = pp + MEASUREMENT_STD**2 * self._size2()[rows]
        gain, speed_gain = pp / spread, pv / spread
        surprise = boxes - self.place[rows]
        self.place[rows] += gain * surprise
        self.speed[rows] += speed_gain * surprise
        self._pp[rows] = pp * (1 - gain)
        self._pv[rows] = pv * (1 - gain)
        self._vv[rows] -= speed_gain * pv

    def add(self, boxes: Array) -> None:
        """Start filters at Kx4 boxes (centre and size), their velocity unknown."""
        size2 = boxes[:, 2:3] * boxes[:, 3:4] * np.ones((1, 4))
        self.place = np.concatenate((self.place, boxes))
        self.speed = np.concatenate((self.speed, np.zeros_like(boxes)))
        self._pp = np.concatenate((self._pp, MEASUREMENT_STD**2 * size2))
        self._pv = np.concatenate((self._pv, np.zeros_like(boxes)))
        self._vv = np.concatenate((self._vv, START_SPEED_STD**2 * size2))

    def keep(self, rows: npt.NDArray[np.intp]) -> None:
        """Forget all filters but `rows`."""
        self.place, self.speed = self.place[rows], self.speed[rows]
        self._pp, self._pv, self._vv = self._pp[rows], self._pv[rows], self._vv[rows]

    def hold_size(self, rows: npt.NDArray[np.intp]) -> None:
        """Objects out of sight keep their size (ByteTrack does so): what grew or shrank was the occlusion."""
        self.speed[rows, 2:] = 0.0

    def boxes(self) -> Array:
        """Nx4 boxes as corners."""
        half = self.place[:, 2:] * 0.5
        return np.concatenate((self.place[:, :2] - half, self.place[:, :2] + half), axis=1)

    def distance2(self, boxes: Array) -> Array:
        """Squared Mahalanobis distances, N x K, of measured boxes (centre and size) from the predictions."""
        spread = self._pp + MEASUREMENT_STD**2 * self._size2()
        surprise = boxes[None, :, :] - self.place[:, None, :]
        distance: Array = (surprise**2 / spread[:, None, :]).sum(axis=2)
        return distance
