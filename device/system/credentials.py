"""Where systemd puts the secrets that it hands over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CREDENTIALS = Path("/etc/sereno/credentials")
"""Where systemd takes them from; read directly where a person runs a command."""


def places(name: str, environment: Mapping[str, str]) -> tuple[Path, Path]:
    """The files that may hold the credential `name`: given alone, or with its whole folder under the name `sereno`.

    Args:
        name: as in `LoadCredentialEncrypted=NAME:…`, or of a file in `/etc/sereno/credentials`.
        environment: where `CREDENTIALS_DIRECTORY` is read.
    """
    given = environment.get("CREDENTIALS_DIRECTORY")
    folder = CREDENTIALS if given is None else Path(given)
    return folder / name, folder / f"sereno_{name}"
