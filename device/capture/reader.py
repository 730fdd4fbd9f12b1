"""A camera at work: one source, driven by its own thread, the newest frame in a mailbox, and how it is doing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Literal, TypeVar

from device import config
from device.capture.camera import EndOfSource, Source
from device.capture.mailbox import Mailbox
from device.capture.pacing import Backoff, Clock, Decimator, FreezeWatch, Punctuality, Timeline
from device.capture.pixels import to_image
from device.capture.vitals import Vitals
from device.datatypes import CameraHealth, Frame
from device.errors import InputError
from device.system.threads import Worker

log = logging.getLogger(__name__)

T = TypeVar("T")

GRACE_S = 5.0
"""A call that hangs so much longer than it may is not coming back: the time-outs inside the sources come first."""
CATCH_UP = 3.0
"""What gathered on the network while a source was opened has come after so many times as long, if it comes a third
faster than it was taken."""
OPENING_S = 20.0
"""Opening may take so long before it counts as a hang: a camera on the network is given 8 s, and a first picture."""


class _Session:
    """One thread's work on one source. One that hangs for good is left behind, with its thread."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.stop = threading.Event()
        self.worker: Worker | None = None
        self.left = False
        self.call: Literal["", "opening it", "waiting for a picture"] = ""
        """The call into the source that is under way."""
        self.since = 0.0
        """When the call began that is under way or was the last one."""
        self.took_s = 0.0
        """How long the last call took."""


class Reader:
    """Implements `Camera`.

    A live source delivers its newest frame, and is reopened when it is lost. A recording keeps its own times, is played
    at its own pace (`pace: real`) or as fast as frames are taken (`fast`: none is dropped), and ends.

    Args:
        camera: its settings.
        make: makes its source, unopened. Called again only when one has hung for good.
        on_failure: told when the thread dies of a fault of ours.
        clock: the machine's, or a test's.
        changed: one condition for all cameras that one consumer waits for; re-entrant, as `Condition()` is.
        stale_s: a live source whose pictures may be so old when they come is opened anew, for the present: what opens
            a door must be there. None: late pictures are pictures, too.
    """

    def __init__(
        self,
        camera: config.Camera,
        make: Callable[[], Source],
        on_failure: Callable[[str, BaseException], None],
        *,
        clock: Clock | None = None,
        changed: threading.Condition | None = None,
        stale_s: float | None = None,
    ) -> None:
        self.id = camera.id
        self.error: InputError | None = None
        """Why a recording ended early."""
        self.changed = changed or threading.Condition()
        """Notified when there is a frame, or the end."""
        self._camera = camera
        self._make = make
        self._on_failure = on_failure
        self._clock = clock or Clock()
        self._mailbox = Mailbox(self.changed)
        self._vitals = Vitals(camera.id, self._clock)
        self._decimator = Decimator(camera.fps)
        self._timeline = Timeline()
        self._freeze = FreezeWatch()
        self._stale_s = stale_s
        self._punctuality = Punctuality()
        self._present_from = 0.0
        self._backoff = Backoff()
        self._opened: Source | None = None
        self._session: _Session | None = None
        self._left_behind: list[_Session] = []
        self._stopped = False
        self._index = 0

    # The consumer's side.

    @property
    def waiting(self) -> bool:
        """Whether a frame waits to be taken."""
        return self._mailbox.full

    @property
    def ended(self) -> bool:
        """Whether no frame will come any more. One may still wait."""
        return self._stopped or self._vitals.state == "ended"

    def open(self) -> None:
        """Make the source, and open a recording, so that whoever starts hears of a missing file; a live source is
        opened by its thread. Raises as `start`. Harmless when done before."""
        if self._opened is None:
            source = self._make()
            if not source.live:
                source.open()
            self._opened = source

    def start(self) -> None:
        """See `Camera`."""
        self.open()
        source = self._opened
        assert source is not None
        log.info("camera %s: %s", self.id, source.description)
        self._begin(source, opened=not source.live)

    def take(self, timeout_s: float | None = 0.0) -> Frame | None:
        """See `Camera`."""
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.ended, timeout_s)
            return self._mailbox.take()

    def health(self) -> CameraHealth:
        """See `Camera`. Computed from outside, so that a source that never returns is seen, too."""
        with self.changed:
            return self._vitals.health(self._mailbox.dropped, self._hang())

    def supervise(self) -> None:
        """Where the source hangs for good, leave it behind with its thread and open it anew in another. Call about once
        a second."""
        with self.changed:
            session = self._session
            if session is None or self._overdue_s() < GRACE_S:
                return
            self._left_behind = [old for old in self._left_behind if old.worker and old.worker.alive]
            if self._left_behind:
                return  # At most one: a driver that hangs each time would otherwise eat the process up.
            log.error("camera %s: its thread is left behind; opening the camera anew", self.id)
            self._vitals.down(self._hang_fault(session), hung=True)
            session.left = True
            session.stop.set()
            self._left_behind.append(session)
        self._begin(self._make(), opened=False)

    def ask_to_stop(self) -> None:
        """Begin to end, without waiting for it."""
        with self.changed:
            self._stopped = True
            if self._session is not None:
                self._session.stop.set()
            self.changed.notify_all()

    def stop(self, timeout_s: float = 5.0) -> None:
        """See `Camera`. A thread that hangs in its source is left behind after `timeout_s` seconds; the process is
        ending."""
        self.ask_to_stop()
        session = self._session
        if session is None and self._opened is not None:
            self._opened.close()
        if session is not None and session.worker is not None and not session.worker.join(timeout_s):
            log.warning("camera %s does not let go of %s", self.id, session.source.description)

    # The thread's side.

    def _begin(self, source: Source, *, opened: bool) -> None:
        session = _Session(source)
        session.worker = Worker(f"camera-{self.id}", lambda: self._drive(session, opened), self._on_failure)
        self._session = session
        session.worker.start()

    def _over(self, session: _Session) -> bool:
        return self._stopped or session.left

    def _drive(self, session: _Session, opened: bool) -> None:
        """The thread: open and read, after each loss again, until stopped or at the end."""
        try:
            while not self._over(session):
                self._play(session, opened)
                opened = False
        finally:
            session.source.close()

    def _play(self, session: _Session, opened: bool) -> None:
        """From one opening to the next."""
        source = session.source
        try:
            if not opened:
                self._call(session, "opening it", source.open)
                self._freeze.restart(self._clock.monotonic())
                ready = self._clock.monotonic()
                self._punctuality.restart(ready)
                self._present_from = ready + CATCH_UP * session.took_s
            self._pump(session)
        except EndOfSource:
            source.close()
            if not source.loop or not self._timeline.rewind():
                self._finish(session)
        except InputError as error:
            source.close()
            if source.live:
                self._wait_after(session, error)
            else:
                self._finish(session, error)

    def _pump(self, session: _Session) -> None:
        """Grab, choose, convert and deliver, until something ends it."""
        source = session.source
        while not self._over(session):
            presented_s = self._call(session, "waiting for a picture", source.grab)
            if self._over(session):
                return  # Left behind while it hung: another thread goes on with the clocks below.
            index, self._index = self._index, self._index + 1
            time_s, wall = self._clock.monotonic(), self._clock.wall()
            if source.live:
                late_s = self._lateness(source, time_s, presented_s)
                if self._catches_up(source, time_s, presented_s):
                    continue
                time_s, wall = time_s - late_s, wall - late_s
            elif presented_s is not None:
                time_s, wall = self._timeline.place(presented_s, time_s, wall)
            if self._decimator.due(time_s):
                raw = self._call(session, "waiting for a picture", source.retrieve)
                self._deliver(session, Frame(self.id, index, to_image(raw, self._camera.rotate), time_s, wall))

    def _lateness(self, source: Source, now: float, taken: float | None) -> float:
        """By how many seconds a live picture is known to be late. Raises InputError where it may be too old."""
        late_s = self._punctuality.late_s(now, taken)
        if self._stale_s is not None and late_s > self._stale_s:
            raise InputError(
                f"{source.description} sends pictures that may be {late_s:.1f} s old: the network paused, or this "
                "machine does not keep up with its size and rate"
            )
        return late_s if taken is not None and self._stale_s is not None else 0.0

    def _catches_up(self, source: Source, now: float, taken: float | None) -> bool:
        """Whether what comes may have gathered while the source was opened."""
        if self._stale_s is None or not source.queued:
            return False
        return now < self._present_from if taken is None else not self._punctuality.settled

    def _deliver(self, session: _Session, frame: Frame) -> None:
        if self._over(session):
            return
        live, real = session.source.live, self._camera.pace == "real"
        frozen_s = self._freeze.look(frame.image, frame.monotonic) if live else None
        if frozen_s is not None and frozen_s >= self._camera.hang_s:
            raise _FrozenError(f"{session.source.description} has sent the very same picture for {frozen_s:.0f} s")
        if real and not live:
            self._clock.wait(session.stop, frame.monotonic - self._clock.monotonic())
        with self.changed:
            if self._over(session):
                return
            self._vitals.delivered(fresh=frozen_s is None)
            if self._vitals.state != "ok":
                return  # Reopened, and the very same picture again: whoever looked at it would see what is long gone.
            self._backoff.reset()
        if live or real:
            self._mailbox.put(frame)
        else:
            self._mailbox.hand_over(frame, lambda: self._over(session))

    def _wait_after(self, session: _Session, error: InputError) -> None:
        """The live source failed: say so, and wait for the next try."""
        hung = isinstance(error, _FrozenError) or session.took_s >= 0.9 * self._camera.hang_s
        with self.changed:
            if self._over(session):
                return
            self._vitals.down(str(error), hung=hung)
            self.changed.notify_all()
        self._clock.wait(session.stop, self._backoff.delay())

    def _finish(self, session: _Session, error: InputError | None = None) -> None:
        """The recording is over."""
        with self.changed:
            self.error = error
            self._vitals.end(str(error) if error else "")
            session.left = True
            self.changed.notify_all()

    # Calls into the source, which may hang.

    def _call(
        self, session: _Session, name: Literal["opening it", "waiting for a picture"], call: Callable[[], T]
    ) -> T:
        """Call into the source so that others can see for how long."""
        session.since = self._clock.monotonic()
        session.call = name
        try:
            return call()
        finally:
            session.call = ""
            session.took_s = self._clock.monotonic() - session.since

    def _overdue_s(self) -> float:
        """By how many seconds the call under way has taken longer than it may; 0 where all is well."""
        session = self._session
        if session is None or not session.call or self.ended:
            return 0.0
        allowed_s = self._camera.hang_s if session.call != "opening it" else max(OPENING_S, self._camera.hang_s)
        return max(0.0, self._clock.monotonic() - session.since - allowed_s)

    def _hang(self) -> str:
        """What hangs now; empty where nothing does."""
        session = self._session
        return self._hang_fault(session) if session is not None and self._overdue_s() > 0 else ""

    def _hang_fault(self, session: _Session) -> str:
        return (
            f"{session.call} ({session.source.description}) has taken {self._clock.monotonic() - session.since:.0f} s"
        )


class _FrozenError(InputError):
    """The camera shows the very same picture again and again."""
