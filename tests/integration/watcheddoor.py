"""`sereno`, unchanged, but that it writes down when it looked at which frame: the access log knows times, not frames.

`SERENO_TIMELINE` names the file: a line for each frame, its number and when it was taken up, in seconds since 1970.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from device.__main__ import main
from device.access.unit import DoorUnit
from device.datatypes import Frame, Step

process = DoorUnit.process
timeline = Path(os.environ["SERENO_TIMELINE"]).open("w", buffering=1, encoding="ascii")  # noqa: SIM115 - until the end


def watched(unit: DoorUnit, frame: Frame) -> Step:
    """Note the time, then do as the door does."""
    timeline.write(f"{frame.index} {time.time():.6f}\n")
    return process(unit, frame)


DoorUnit.process = watched  # type: ignore[method-assign]
main()
