"""How the machine and this process are doing, read from /proc and /sys."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

UNDER_VOLTAGE_NOW = 1 << 0
CAPPED_NOW = 1 << 1
THROTTLED_NOW = 1 << 2
"""Bits of the Pi firmware's `get_throttled`."""


@dataclass(frozen=True, slots=True)
class MachineHealth:
    """One reading. None stands for what this machine cannot tell.

    `memory_bytes` is this process's resident memory, `cpu_percent` its use of one core since the last reading (may
    exceed 100 with several threads), `uptime_s` the process's own.
    """

    temperature_c: float | None
    under_voltage: bool | None
    throttled: bool | None
    memory_bytes: int
    cpu_percent: float
    disk_free_bytes: int | None
    uptime_s: float
    machine_uptime_s: float | None


class HealthReader:
    """Reads the machine's health.

    Args:
        storage: folder whose disk is watched.
        root: where /proc and /sys hang; another folder in tests.
    """

    def __init__(self, storage: Path, root: Path = Path("/")) -> None:
        self._storage = storage
        self._root = root
        self._started = time.monotonic()
        self._last = (self._started, time.process_time())

    def read(self) -> MachineHealth:
        """A reading now; a few files, well under a millisecond."""
        flags = throttle_flags(self._root)
        return MachineHealth(
            temperature_c=temperature_c(self._root),
            under_voltage=_under_voltage(self._root, flags),
            throttled=None if flags is None else bool(flags & (CAPPED_NOW | THROTTLED_NOW)),
            memory_bytes=memory_bytes(self._root),
            cpu_percent=self._cpu_percent(),
            disk_free_bytes=disk_free_bytes(self._storage),
            uptime_s=time.monotonic() - self._started,
            machine_uptime_s=_machine_uptime_s(self._root),
        )

    def _cpu_percent(self) -> float:
        now, used = time.monotonic(), time.process_time()
        before, used_before = self._last
        self._last = (now, used)
        return 100.0 * (used - used_before) / (now - before) if now > before else 0.0


def temperature_c(root: Path = Path("/")) -> float | None:
    """The processor's temperature in °C; of the hottest zone where none is called cpu; None without sensors."""
    zones: dict[str, float] = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        value = _integer(zone / "temp")
        if value is not None:
            kind = _text(zone / "type") or zone.name
            zones[kind] = max(value / 1000, zones.get(kind, -274.0))
    cpu = [value for kind, value in zones.items() if "cpu" in kind.lower()]
    return max(cpu or zones.values(), default=None)


def throttle_flags(root: Path = Path("/")) -> int | None:
    """The Pi firmware's throttling bits; None on other machines, and where the kernel does not show them."""
    for path in sorted((root / "sys/devices/platform").glob("soc*/soc*:firmware/get_throttled")):
        text = _text(path)
        try:
            return int(text, 16) if text else None
        except ValueError:
            return None
    return None


def _under_voltage(root: Path, flags: int | None) -> bool | None:
    """Newer kernels tell it by the hwmon driver `rpi_volt`, older ones by the firmware's bits."""
    for sensor in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if _text(sensor / "name") == "rpi_volt":
            alarm = _integer(sensor / "in0_lcrit_alarm")
            if alarm is not None:
                return alarm != 0
    return None if flags is None else bool(flags & UNDER_VOLTAGE_NOW)


def memory_bytes(root: Path = Path("/")) -> int:
    """This process's resident memory; 0 where /proc does not tell."""
    fields = (_text(root / "proc/self/statm") or "").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 1 and fields[1].isdigit() else 0


def disk_free_bytes(folder: Path) -> int | None:
    """Free space for ordinary users on the disk that holds `folder`; None where it cannot be reached."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _machine_uptime_s(root: Path) -> float | None:
    fields = (_text(root / "proc/uptime") or "").split()
    try:
        return float(fields[0])
    except (IndexError, ValueError):
        return None


def _text(path: Path) -> str | None:
    """A small file's text; None where it is not there or the driver refuses (a sensor may go while it is read)."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def _integer(path: Path) -> int | None:
    text = _text(path)
    try:
        return int(text) if text else None
    except ValueError:
        return None
