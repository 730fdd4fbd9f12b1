"""The real `sereno` of the device's own environment, as a process, for tests."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.mosquitto import eventually

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / ".venv" / "bin" / "sereno"


DEV = (sys.executable, "-m", "device")
"""The same out of the tests' own environment, which has gpiozero's mock of the door's pins."""


def sereno(
    *arguments: object, timeout_s: float = 60.0, stdin: str = "", program: Sequence[object] = (PROGRAM,)
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    assert Path(str(program[0])).exists(), "the device's environment is not set up: `make test` does"
    return subprocess.run(
        [*map(str, program), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        input=stdin,
        check=False,
    )


def write_config(folder: Path, source: object, **sections: Any) -> Path:
    """A configuration for one camera that `camera=` and other sections add to. No page, no broker unless asked for."""
    camera = {"id": "front", "source": str(source), "pace": "fast"} | sections.pop("camera", {})
    config: dict[str, Any] = {
        "device": {"id": "test", "role": "camera"},
        "cameras": [camera],
        "model": {"threads": 1},
        "mqtt": {"enabled": False},
        "web": {"enabled": False},
        "storage": {"path": str(folder / "state")},
    }
    for name, settings in sections.items():
        config[name] = config.get(name, {}) | settings
    path = folder / "sereno.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


class Daemon:
    """`sereno run`, with its stderr kept. A context manager: it is stopped with the block."""

    def __init__(self, config: Path, *arguments: str, program: Sequence[object] = (PROGRAM,)) -> None:
        self._lines: list[str] = []
        self.process = subprocess.Popen(
            [*map(str, program), "run", "--config", str(config), *arguments],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            text=True,
            # As a shell does for `command &`: an interrupt is then ignored unless it is asked for.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.append(line)

    @property
    def said(self) -> str:
        """Its stderr so far."""
        return "".join(self._lines)

    def wait_for(self, words: str, timeout_s: float = 60.0) -> None:
        """Wait until it says something."""
        assert eventually(lambda: words in self.said or self.process.poll() is not None, timeout_s), self.said
        assert words in self.said, self.said

    def end(self, how: signal.Signals | None = None, timeout_s: float = 90.0) -> int:
        """Wait for its end, after a signal where one is given; its exit code."""
        if how is not None:
            self.process.send_signal(how)
        code = self.process.wait(timeout_s)
        self._reader.join(5)
        return code
