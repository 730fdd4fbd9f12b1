"""Asking for something that a picture cannot do: to look to one side, chosen by chance, within a time."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from device.access.liveness.mesh import FaceMesh
from device.access.liveness.verdict import OPEN, Verdict, View

Task = Literal["look left", "look right"]
TASKS: tuple[Task, ...] = ("look left", "look right")
"""Left and right are the person's own."""

LIMIT_S = 6.0
"""From the asking on."""
REACTION_S = 0.15
"""What is done sooner was not done because of the asking."""
BASELINE, BASELINE_S = 5, 0.4
"""Frames, and the seconds they span, that show how the face looks when nothing is asked."""
AHEAD_DEG = 15.0
"""Nothing is asked of somebody who looks elsewhere."""
TURN_DEG = 20.0
"""Against where the person looked before. Pictures that were tilted by up to 30 degrees, bent or turned seemed to turn
by 9 at most; a speaker who looks from one side of the room to the other turns by 40."""
TURNED = 2
"""Frames in a row."""
HOLD_S = 3.0
"""Somebody who has done it is believed for so long, then asked anew."""

Choose = Callable[[Sequence[Task]], Task]


class Challenge:
    """The check of one track."""

    def __init__(self, mesh: FaceMesh, choose: Choose | None = None) -> None:
        """`choose`: which task it shall be; None chooses so that nobody can foretell it."""
        self._mesh = mesh
        self._choose: Choose = choose or random.SystemRandom().choice
        self._before: deque[tuple[float, float]] = deque(maxlen=16)
        self._task: Task | None = None
        self._asked_at = 0.0
        self._done_at: float | None = None
        self._turned = 0

    @property
    def prompt(self) -> str:
        """What is asked now: one of `TASKS`, or nothing."""
        return self._task if self._task is not None and self._done_at is None else ""

    def forget(self) -> None:
        """See `Check`. What was asked stays asked, and its time goes on: jumping about gains no time."""
        self._turned, self._done_at = 0, None

    def look(self, view: View) -> Verdict:
        """See `Check`."""
        now = view.now
        if self._done_at is not None:
            if now - self._done_at <= HOLD_S:
                return Verdict("yes", 1.0)
            self._begin()
        if self._task is not None and now - self._asked_at > LIMIT_S:
            return Verdict("no", 0.0)
        yaw = self._mesh.yaw(view.frame.image, view.face)
        if yaw is None:
            return OPEN
        if self._task is None:
            self._wait(now, yaw)
        elif now - self._asked_at >= REACTION_S and self._has_turned(yaw):
            self._done_at = now
            return Verdict("yes", 1.0)
        return OPEN

    def _begin(self) -> None:
        self._before.clear()
        self._task = self._done_at = None
        self._turned = 0

    def _wait(self, now: float, yaw: float) -> None:
        """Until it is known where the person looks when nothing is asked; then ask."""
        if abs(yaw) > AHEAD_DEG:
            self._before.clear()
            return
        self._before.append((now, yaw))
        if len(self._before) >= BASELINE and now - self._before[0][0] >= BASELINE_S - 1e-6:
            self._task, self._asked_at = self._choose(TASKS), now

    def _has_turned(self, yaw: float) -> bool:
        before = float(np.median([yaw for _, yaw in self._before]))
        # The person's own left is the right of the picture.
        side = 1 if self._task == "look left" else -1
        self._turned = self._turned + 1 if side * (yaw - before) >= TURN_DEG else 0
        return self._turned >= TURNED
