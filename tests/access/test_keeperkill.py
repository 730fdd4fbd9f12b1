"""kill -9 at random points around decisions: what the log, the keeper's journal and the pin say afterwards.

20 kills; `SERENO_KILLS=200` makes it as many. Every fourth kill takes the keeper along, in the same moment.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from device.access.audit import read
from device.access.auditkey import read_public
from device.access.auditrecord import AuditRecord, Head
from device.access.auditverify import verify
from device.access.keeper.journal import entries
from device.access.keeper.settings import KeeperSettings
from device.access.keeperlink import KeeperLink
from device.access.policymemory import PolicyMemory

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("SERENO_KILLS", "20"))
BOUND_S = 0.2
"""What the keeper is told as `max_unlock_s`."""
SLACK_S = 1.0
"""How much later a busy machine may wake the keeper; its own arithmetic is tried to the moment in test_keeper.py."""


def ended(journal: Path, pid: int, seconds: float = 10.0) -> bool:
    """Whether the keeper has written that it stopped, or is gone."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(entry["action"] == "stop" and entry["pid"] == pid for entry in entries(journal)):
            return True
        time.sleep(0.01)
    return False


def life(folder: Path, seed: int) -> bool:
    """One start and its kill. Returns whether the keeper was killed, too."""
    dice = random.Random(seed)
    journal = folder / "lock" / "journal.jsonl"
    command = [sys.executable, "-m", "tests.access.killeddoor", str(folder), str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout
        assert daemon.stdout.readline() == "ready\n", "a grant was replayed, or it did not start"
        keeper = [int(entry["pid"]) for entry in entries(journal) if entry["action"] == "start"][-1]
        time.sleep(dice.uniform(0, 0.35))
        both = seed % 4 == 3
        if both:
            os.kill(keeper, signal.SIGKILL)
        daemon.kill()
    if not both:
        assert ended(journal, keeper), "the keeper outlived its daemon"
    return both


def releases(journal: Path) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Each release with the rest that ended it."""
    found: list[tuple[dict[str, Any], dict[str, Any] | None]] = []
    for entry in entries(journal):
        if entry["action"] == "unlock":
            found.append((entry, None))
        elif entry["action"] == "rest":
            assert found[-1][1] is None, "at rest twice"
            assert found[-1][0]["authorisation"] == entry["authorisation"]
            found[-1] = (found[-1][0], entry)
    return found


def check_authorised(journal: Path, log: list[AuditRecord]) -> int:
    """No movement without its earlier record of a grant, and none twice. Returns how many releases there were."""
    granted = {record.hash.hex(): record for record in log if record.content.get("decision") == "granted"}
    used = [entry for entry in entries(journal) if entry["action"] in ("unlock", "extend")]
    for entry in used:
        assert granted[entry["authorisation"]].monotonic_us / 1e6 <= entry["monotonic"]
    assert len({entry["authorisation"] for entry in used}) == len(used)
    return len(used)


def check_kept(folder: Path, log: list[AuditRecord]) -> int:
    """No strike that is on record is forgotten, by a half-written file neither. Returns how many there are."""
    kept = int((PolicyMemory(folder).load() or {"strikes": 0})["strikes"])
    known = 0
    for record in log:
        if record.kind == "start":
            # The kill may have come between the memory and the record.
            assert known <= record.content["strikes"] <= known + 1
        known = record.content.get("strikes", known)
    assert known <= kept <= known + 1
    return kept


def test_ok__killed_again_and_again(tmp_path: Path) -> None:
    journal = tmp_path / "lock" / "journal.jsonl"
    anchors: list[Head] = []
    struck = 0
    for seed in range(KILLS):
        struck += life(tmp_path, seed)
        log = list(read(tmp_path / "audit" / "audit.db"))
        key = read_public(tmp_path / "audit" / "audit.pub")
        verdict = verify(lambda: log, key, anchors[-1:])  # noqa: B023 (called at once)
        assert verdict.finding is None, verdict
        raw = key.public_bytes_raw()
        anchors.append(Head(log[0].content["log"], log[-1].seq, log[-1].hash, log[-1].signature, raw))
        check_authorised(journal, log)
        strikes = check_kept(tmp_path, log)
    # The next start ends what a killed keeper could not.
    KeeperLink(KeeperSettings(journal=journal, driver="mock")).close()
    count = check_authorised(journal, log)
    pairs = releases(journal)
    assert all(rest is not None for _, rest in pairs)
    over = [
        rest["monotonic"] - entry["monotonic"] - min(entry["seconds"], BOUND_S)
        for entry, rest in pairs
        if rest is not None and rest["cause"] != "keeper-restarted"
    ]
    causes: dict[str, int] = {}
    for _, rest in pairs:
        assert rest is not None
        causes[rest["cause"]] = causes.get(rest["cause"], 0) + 1
    levels = [entry["level"] for entry in entries(journal) if entry["action"] == "pin"]
    assert levels[-1] == 0
    assert max(over) < SLACK_S
    assert count >= KILLS // 2
    assert strikes >= KILLS // 4
    print(
        f"\n{KILLS} kills ({struck} with the keeper): {count} releases and extensions, {len(log)} records, "
        f"{strikes} strikes, ends {causes}, latest rest {1000 * max(over):.0f} ms after its bound"
    )
