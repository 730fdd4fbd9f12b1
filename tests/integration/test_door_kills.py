"""kill -9 at random moments around decisions: what moved was on record before, nothing moves twice, and all is kept.

`SERENO_KILLS=200` for the long run.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device.access.audit import boot_id, read
from device.access.keeper.journal import entries
from device.access.policymemory import FILE
from tests import facemodels
from tests.daemon import DEV, Daemon, sereno
from tests.integration.test_door import enrol, make_config, write_photos
from tests.mosquitto import eventually

KILLS = int(os.environ.get("SERENO_KILLS", "6"))
UNLOCK_S = 0.4


@pytest.fixture
def config(tmp_path: Path, shared_data: Path) -> Path:
    """A door that lets the man of the talk in again and again; liveness is off, since re-encoded footage fails it."""
    talk = shared_data / "videos" / "obama.mp4"
    made = make_config(
        tmp_path, talk, None, liveness="off", lock={"driver": "mock", "unlock_s": UNLOCK_S, "max_unlock_s": 1.0}
    )
    photos = [image for index, image in enumerate(facemodels.frames(talk)) if index % 4 == 1]
    enrol(made, "Speaker", write_photos(tmp_path / "photos", photos))
    return made


def pulses(journal: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Each release with the rest that ended it."""
    for index, entry in enumerate(journal):
        if entry["action"] == "unlock":
            yield entry, next((later for later in journal[index + 1 :] if later["action"] in ("rest", "unlock")), None)


def test_ok__killed_at_any_moment(config: Path) -> None:
    chance = random.Random(1)
    state = config.parent / "state"
    journal = state / "lock" / "journal.jsonl"
    # As three photos that were held before the door left it, just before: a lockout comes with the fifth.
    kept = {"schema": 1, "strikes": 3, "boot_id": boot_id(), "monotonic_s": time.monotonic(), "wall_s": time.time()}
    memory = state / FILE
    memory.write_text(json.dumps({**kept, "clock_trusted": False, "locked_s": 0.0}))
    before = memory.read_bytes()
    for _ in range(KILLS):
        with Daemon(config, program=DEV) as daemon:
            daemon.wait_for("first look")
            # The grant is due about two tenths of a second later.
            time.sleep(chance.uniform(0.0, 1.2))
            assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
        assert memory.read_bytes() == before, "the strikes are not what they were"
        # The keeper outlives the daemon by a moment: it puts the lock to rest, and says so.
        assert eventually(lambda: list(entries(journal))[-1]["action"] == "stop")
    moved = list(entries(journal))
    granted = {
        record.hash.hex(): record
        for record in read(state / "audit" / "audit.db")
        if record.content.get("decision") == "granted"
    }
    used = [entry["authorisation"] for entry in moved if entry["action"] in ("unlock", "extend")]
    assert used, "not one kill came after a grant: this proves nothing"
    assert len(set(used)) == len(used), "a grant was replayed"
    assert set(used) <= set(granted), "the lock moved without a record"
    for release, rest in pulses(moved):
        assert granted[release["authorisation"]].wall <= release["wall"]
        assert rest is not None
        assert rest["action"] == "rest"
        assert rest["monotonic"] - release["monotonic"] < UNLOCK_S + 0.5
    assert sereno("audit", "verify", "--config", config, program=DEV).returncode == 0
    assert "Speaker" in sereno("people", "list", "--config", config, program=DEV).stdout
    print(f"{KILLS} kills, {len(used)} releases, {len(granted)} grants on record")
