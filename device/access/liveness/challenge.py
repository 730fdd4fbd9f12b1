"""Asking for something that a picture cannot do: to blink, or to look to one side, within a time."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from device.access.liveness.mesh import Expression, FaceMesh
from device.access.liveness.verdict import OPEN, Verdict, View

Task = Literal["blink", "look left", "look right"]
TASKS: tuple[Task, ...] = ("blink", "look left", "look right")
"""Left and right are the person's own."""

LIMIT_S = 6.0
"""From the asking on."""
REACTION_S = 0.15
"""What is done sooner was not done because of the asking."""
BASELINE, BASELINE_S = 5, 0.4
"""Frames, and the seconds they span, that show how the face looks when nothing is asked."""
AHEAD_DEG = 15.0
"""Nothing is asked of somebody who looks elsewhere."""
SHUT, OPENED = 0.65, 0.85
"""Of the openness before: below the first the eyes are shut, above the second open again."""
LONGEST_BLINK_S = 0.8
TURN_DEG = 20.0
"""Against where the person looked before."""
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
        self._before: deque[tuple[float, Expression]] = deque(maxlen=16)
        self._task: Task | None = None
        self._asked_at = 0.0
        self._done_at: float | None = None
        self._shut_at: float | None = None
        self._turned = 0

    @property
    def prompt(self) -> str:
        """What is asked now: one of `TASKS`, or nothing."""
        return self._task if self._task is not None and self._done_at is None else ""

    def forget(self) -> None:
        """See `Check`. What was asked stays asked, and its time goes on: jumping about gains no time."""
        self._shut_at, self._turned, self._done_at = None, 0, None

    def look(self, view: View) -> Verdict:
        """See `Check`."""
        now = view.now
        if self._done_at is not None:
            if now - self._done_at <= HOLD_S:
                return Verdict("yes", 1.0)
            self._begin()
        if self._task is not None and now - self._asked_at > LIMIT_S:
            return Verdict("no", 0.0)
        seen = self._mesh.read(view.frame.image, view.face)
        if seen is None:
            return OPEN
        if self._task is None:
            self._wait(now, seen)
        elif now - self._asked_at >= REACTION_S and self._has_done(now, seen):
            self._done_at = now
            return Verdict("yes", 1.0)
        return OPEN

    def _begin(self) -> None:
        self._before.clear()
        self._task = self._done_at = self._shut_at = None
        self._turned = 0

    def _wait(self, now: float, seen: Expression) -> None:
        """Until it is known how the face looks at rest; then ask."""
        if abs(seen.yaw) > AHEAD_DEG:
            self._before.clear()
            return
        self._before.append((now, seen))
        if len(self._before) >= BASELINE and now - self._before[0][0] >= BASELINE_S - 1e-6:
            self._task, self._asked_at = self._choose(TASKS), now

    def _has_done(self, now: float, seen: Expression) -> bool:
        openness, yaw = (
            float(np.median(values)) for values in zip(*((e.openness, e.yaw) for _, e in self._before), strict=True)
        )
        if self._task == "blink":
            return self._has_blinked(now, seen.openness / max(openness, 1e-6))
        # The person's own left is the right of the picture.
        side = 1 if self._task == "look left" else -1
        self._turned = self._turned + 1 if side * (seen.yaw - yaw) >= TURN_DEG else 0
        return self._turned >= TURNED

    def _has_blinked(self, now: float, openness: float) -> bool:
        if openness < SHUT:
            self._shut_at = now if self._shut_at is None else self._shut_at
            return False
        if self._shut_at is None or openness < OPENED:
            return False
        took = now - self._shut_at
        self._shut_at = None
        return took <= LONGEST_BLINK_S
