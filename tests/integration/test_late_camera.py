"""A door whose camera on the network falls behind: what opens the door must be before it now."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from device.errors import InputError
from device.inference.manifest import find_bundle
from tests.capture.latecamera import MjpegCamera
from tests.daemon import DEV, Daemon, write_config
from tests.mosquitto import eventually


@pytest.mark.parametrize(("role", "again"), [("door", True), ("camera", False)])
def test_ok__late_pictures_are_not_looked_at_by_a_door(tmp_path: Path, role: str, again: bool) -> None:
    if role == "door":
        try:
            find_bundle("yunet")
        except InputError as error:
            pytest.skip(str(error))
    camera = MjpegCamera()
    config = write_config(
        tmp_path,
        camera.url,
        device={"role": role},
        camera={"pace": "real"},
        **({"door": {"lock": {"driver": "mock"}}} if role == "door" else {}),
    )
    with Daemon(config, program=DEV) as daemon:
        daemon.wait_for("first look")
        time.sleep(0.5)
        camera.paused.set()
        time.sleep(2.5)
        camera.paused.clear()
        if again:
            daemon.wait_for("s old: the network paused")
            assert eventually(lambda: camera.connections > 1)
        else:
            time.sleep(2.0)
        assert daemon.end(signal.SIGTERM) == 0, daemon.said
    camera.end()
    assert (camera.connections > 1) == again
