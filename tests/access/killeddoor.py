"""A door's daemon reduced to what must survive a kill: strike, record, release, record; over and over, and fast."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from device.access.audit import Audit
from device.access.keeper.journal import entries
from device.access.keeper.settings import KeeperSettings
from device.access.keeperlink import KeeperLink
from device.access.lock import KeeperLock, LockError
from device.access.policymemory import PolicyMemory


def replay(lock: KeeperLock, journal: Path) -> None:
    """What a daemon that came back must not be able to do: release the lock by a grant of its former life."""
    used = [entry["authorisation"] for entry in entries(journal) if entry["action"] in ("unlock", "extend")]
    for authorisation in used[-2:]:
        try:
            lock.unlock(1.0, authorisation)
        except LockError:
            continue
        print("REPLAYED", flush=True)


def main(folder: Path, seed: int) -> None:
    """Until somebody ends it."""
    dice = random.Random(seed)
    audit = Audit.open(folder / "audit")
    journal = folder / "lock" / "journal.jsonl"
    lock = KeeperLock(KeeperLink(KeeperSettings(journal=journal, driver="mock", max_unlock_s=0.2, heartbeat_s=0.5)))
    assert lock.state == "locked", lock.fault
    replay(lock, journal)
    memory = PolicyMemory(folder)
    strikes = int((memory.load() or {"strikes": 0})["strikes"])
    audit.append("start", {"strikes": strikes})
    print("ready", flush=True)
    while True:
        if dice.random() < 0.3:
            strikes += 1
            memory.keep({"strikes": strikes})
            audit.append("decision", {"decision": "denied", "reason": "unknown", "strikes": strikes})
        record = audit.append("decision", {"decision": "granted", "reason": "match"})
        lock.unlock(dice.choice((0.01, 0.05, 5.0)), record.hash.hex())
        audit.append("lock", {"state": "unlocked", "decision": record.seq})
        until = time.monotonic() + dice.uniform(0, 0.1)
        while time.monotonic() < until:
            for movement in lock.poll():
                if not movement.unlocked:
                    audit.append("lock", {"state": "locked", "cause": movement.cause})
            time.sleep(0.005)


main(Path(sys.argv[1]), int(sys.argv[2]))
