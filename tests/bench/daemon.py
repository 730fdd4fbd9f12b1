"""The whole daemon as a process: its memory at work, and its start."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench import footage
from tests.bench.rows import Row, row
from tests.mosquitto import Mosquitto, free_port

RUNS = 5
WORK_S = 20.0


def rows() -> Iterator[Row]:
    """Start it `RUNS` times on a real clip with Mosquitto and the page; let the last one work for a while."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder) / "mosquitto").start()
        try:
            starts, memory = [], 0.0
            for number in range(RUNS):
                last = number == RUNS - 1
                started, peak = _run(Path(folder), broker.port, WORK_S if last else 0.0)
                starts.append(started)
                memory = max(memory, peak)
        finally:
            broker.stop()
    detail = f"slowest of {RUNS} starts; fastest {min(starts):.2f} s"
    yield row("start to first detection", max(starts), "s", "<= 3", detail)
    yield row(
        "memory at work, peak resident", memory, "MB", "<= 180", f"{WORK_S:.0f} s of a busy street, MQTT and page on"
    )


def _run(folder: Path, port: int, work_s: float) -> tuple[float, float]:
    """Seconds from the start of the process to its word of the first detection, and its peak resident MB."""
    config = folder / "bench.yaml"
    config.write_text(
        "device: {id: bench, role: camera}\n"
        f"cameras: [{{id: street, source: {footage.clip()}, loop: true, objects: [person, car, bicycle]}}]\n"
        "model: {threads: 1}\n"
        f"mqtt: {{port: {port}}}\nweb: {{port: {free_port()}}}\nstorage: {{path: {folder / 'state'}}}\n",
        encoding="utf-8",
    )
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "device", "run", "--config", str(config)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=footage.ROOT,
    )
    assert process.stderr is not None
    seen: list[str] = []
    for line in process.stderr:
        seen.append(line)
        if "first look" in line:
            break
    else:
        raise RuntimeError("the daemon ended before its first detection:\n" + "".join(seen))
    took = time.perf_counter() - started
    time.sleep(work_s)
    peak = peak_resident_mb(process.pid)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    return took, peak


def peak_resident_mb(pid: int) -> float:
    """The most memory that a process ever had resident, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024  # type: ignore[union-attr]
