"""A lock and its keeper as real processes, the pins gpiozero's mock: what tests of both ask of them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from device.access.keeper.journal import entries

ROOT = Path(__file__).parents[2]
PIN = 17


def record(name: str) -> str:
    """A hash, as of an audit record."""
    return hashlib.sha256(name.encode()).hexdigest()


def until(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Wait for another process."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def journal(path: Path, *actions: str) -> list[dict[str, Any]]:
    """The journal's entries of some actions."""
    return [entry for entry in entries(path) if entry["action"] in actions] if path.exists() else []


def levels(path: Path, pin: int = PIN) -> list[int]:
    """The levels that a mock pin had, one after the other."""
    return [entry["level"] for entry in journal(path, "pin") if entry["pin"] == pin]
