"""The chain: every check must say yes, each for itself; any one's no is the chain's, and it says whose."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from device.access.alignment import FloatArray
from device.access.liveness.verdict import Check, Prompting, Verdict, View, alike
from device.datatypes import Face, Frame, Liveness
from device.inference.boxes import iou

log = logging.getLogger(__name__)

MakeChecks = Callable[[], Mapping[str, Check]]
"""New checks for a new track, by name, the cheapest first."""

MOST_TRACKS = 32
"""The one not seen for longest is forgotten for a new one."""
LEAST_ALIKE = 0.5
"""Correlation of a face with that of the frame before: below, another is in its place, or it has moved too fast to be
followed. Of 2,556 pairs of different faces 75 % lie below, of 78 pairs of frames of two talking faces none."""
LONGEST_GAP_S = 1.0
"""A track that was not looked at for so long begins anew."""
CROWDED = 0.1
"""IoU with another face from which on it isn't sure whose frame it is."""

OFF = Liveness("off", 0.0, "off")


@dataclass
class _Track:
    """What is known of one track. `refused`: the first no; nothing that comes later takes it back."""

    checks: Mapping[str, Check]
    refused: Liveness | None = None
    last: tuple[float, int, FloatArray] | None = None
    said: Liveness = field(default=Liveness("pending", 0.0, "start"))


class LivenessChain:
    """All checks over all tracks. One thread calls it. Built by `open_liveness`."""

    def __init__(self, make: MakeChecks | None, faults: Sequence[str] = ()) -> None:
        """Put the parts together.

        Args:
            make: the checks of a track; None asks for none (`off`).
            faults: sentences that say why nothing can ever be called live, empty where all is well.
        """
        self._make = make
        self._tracks: OrderedDict[int, _Track] = OrderedDict()
        self.faults = tuple(faults)
        """Sentences for people: a model that is missing, say. With one, every face is refused."""

    def checks(self) -> Mapping[str, Check]:
        """The checks that a new track gets, by name: to measure each for itself. None where liveness is off."""
        return self._make() if self._make is not None else {}

    @property
    def off(self) -> bool:
        """Whether no check is made at all."""
        return self._make is None

    def look(self, frame: Frame, track: int, face: Face, others: Sequence[Face] = ()) -> Liveness:
        """Take one frame of a track into account.

        Args:
            frame: the whole picture, with its time.
            track: whose face it is; its frames come in their order.
            face: where it is.
            others: the other faces of the frame.
        Returns:
            `live` only where every check says yes by now; `spoof` with the name of the check that says no, from then
            on for good, until the track is forgotten; else `pending`, with the first check that has not seen enough.
            An exception of a check is a no of that check.
        """
        if self._make is None:
            return OFF
        state = self._state(track)
        if state.refused is not None:
            return state.refused
        if state.last is not None and frame.index == state.last[1]:
            return state.said  # The same frame again is no further evidence.
        if _crowded(face, others):
            return Liveness("pending", 0.0, "crowded")
        state.said = self._judge(state, View(frame, face))
        if state.said.state == "spoof":
            state.refused = state.said
        return state.said

    def forget(self, track: int) -> None:
        """The track is over."""
        self._tracks.pop(track, None)

    def prompt(self, track: int) -> str:
        """What the person is to be asked to do: `look left` or `look right`; empty where nothing is asked."""
        state = self._tracks.get(track)
        if state is None or state.refused is not None:
            return ""
        return next((check.prompt for check in state.checks.values() if isinstance(check, Prompting)), "")

    def _state(self, track: int) -> _Track:
        assert self._make is not None
        if track not in self._tracks:
            while len(self._tracks) >= MOST_TRACKS:
                self._tracks.popitem(last=False)
            self._tracks[track] = _Track(self._make())
        self._tracks.move_to_end(track)
        return self._tracks[track]

    def _judge(self, state: _Track, view: View) -> Liveness:
        try:
            self._begin_anew_after_a_jump(state, view)
        except Exception:
            log.exception("a face could not be cut out: it is refused")
            return Liveness("spoof", 0.0, "face")
        verdicts: dict[str, Verdict] = {}
        for name, check in state.checks.items():
            try:
                verdicts[name] = check.look(view)
            except Exception:
                log.exception("the liveness check %s failed: the face is refused", name)
                verdicts[name] = Verdict("no", 0.0)
            if verdicts[name].answer == "no":
                return Liveness("spoof", verdicts[name].score, name)
        return _combined(verdicts)

    def _begin_anew_after_a_jump(self, state: _Track, view: View) -> None:
        """What was seen of one face says nothing of the next one in its place."""
        now = view.now
        if state.last is not None:
            then, _, thumbnail = state.last
            if not 0 <= now - then <= LONGEST_GAP_S or alike(thumbnail, view.thumbnail) < LEAST_ALIKE:
                for check in state.checks.values():
                    check.forget()
        state.last = (now, view.frame.index, view.thumbnail)


def _combined(verdicts: Mapping[str, Verdict]) -> Liveness:
    """Of checks of which none says no."""
    if not verdicts:
        return Liveness("spoof", 0.0, "no checks")
    for name, verdict in verdicts.items():
        if verdict.answer != "yes":
            return Liveness("pending", verdict.score, name)
    name, verdict = min(verdicts.items(), key=lambda item: item[1].score)
    return Liveness("live", verdict.score, name)


def _crowded(face: Face, others: Sequence[Face]) -> bool:
    if not others:
        return False
    boxes = np.array([other.xyxy for other in others], np.float32)
    return bool(iou(np.array([face.xyxy], np.float32), boxes).max() > CROWDED)
