"""What a run ran on: versions, processor, commit, command line."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from device import __version__
from export import ROOT

PACKAGES = (
    "numpy",
    "opencv-python-headless",
    "tensorflow-cpu",
    "tensorflow",
    "keras",
    "torch",
    "torchvision",
    "ultralytics",
    "ai-edge-litert",
    "ai-edge-quantizer",
    "litert-torch",
    "onnx",
    "onnxruntime",
    "scikit-learn",
    "pillow",
    "imagehash",
)
"""Those whose versions can change a result."""
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OPENBLAS_NUM_THREADS")


def environment(seed: int | None = None) -> dict[str, Any]:
    """Facts of this process, for environment.json; nothing that names a person or the machine."""
    return {
        "begun": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "command": command_line(),
        "seed": seed,
        "sereno": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": processor(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": {name: os.environ[name] for name in THREADS if name in os.environ},
        "packages": versions(),
    }


def versions() -> dict[str, str]:
    """The installed of `PACKAGES`, without importing them."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def command_line() -> str:
    """As typed, with the program's name for its path."""
    module = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = str(module.name).removesuffix(".__main__") if module else ""
    program = f"python -m {name}" if name else Path(sys.argv[0]).name
    return shlex.join([*program.split(), *sys.argv[1:]])


def commit() -> str | None:
    """The checkout's commit, with `+changes` where files differ from it; None outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+changes"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def processor() -> str:
    """The processor's model name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "Model")):  # The latter is how a Raspberry Pi calls itself.
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
