"""Downloads what a lock file wants for another Python or another processor, each file checked by its hash.

    python -m tests.wheelhouse --python 3.13 --machine aarch64 --lock requirements/device.txt FOLDER

pip evaluates a lock file's markers for the Python it runs on, whatever `--python-version` says; so that is done here.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.markers import Marker, default_environment

GLIBC_MINORS = (36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 24, 17)
"""manylinux tags that Debian bookworm (glibc 2.36) can run."""


def wanted(lock: str, python: str, machine: str) -> dict[str, str]:
    """What a lock file wants for a Python and a machine: name -> requirement with its hashes, without its marker."""
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.0"}
    environment |= {"platform_machine": machine, "sys_platform": "linux"}
    entries = {}
    for line in lock.replace("\\\n", " ").splitlines():
        requirement, *hashes = re.split(r"\s+(?=--hash=)", line.partition(" #")[0].strip())
        pinned, _, marker = requirement.partition(";")
        if "==" not in pinned or pinned.startswith("#"):
            continue
        if not marker.strip() or Marker(marker.strip()).evaluate({k: str(v) for k, v in environment.items()}):
            entries[pinned.split("==")[0].strip()] = " ".join([pinned.strip(), *hashes])
    return entries


def fill(folder: Path, lock: Path, python: str, machine: str) -> None:
    """Download everything into `folder`; what is there already is kept.

    Raises:
        subprocess.CalledProcessError: pip failed; it has said why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = wanted(lock.read_text(encoding="utf-8"), python, machine)
    tags = [f"--platform=manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS] + [f"--platform=linux_{machine}"]
    abi = f"cp{python.replace('.', '')}"
    requirements = list(entries.values())
    _download(folder, requirements, ["--only-binary=:all:", *tags, f"--python-version={python}", "--implementation=cp",
                               f"--abi={abi}", "--abi=abi3", "--abi=none"])  # fmt: skip


def _download(folder: Path, entries: list[str], options: list[str]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(entries) + "\n")
        file.flush()
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", f"--dest={folder}", f"--find-links={folder}", *options, "-r", file.name]
        subprocess.run(command, check=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="3.11")
    parser.add_argument("--machine", default="aarch64")
    parser.add_argument("--lock", type=Path, default=Path("requirements/device.txt"))
    given = parser.parse_args()
    fill(given.folder, given.lock, given.python, given.machine)


if __name__ == "__main__":
    main()
