"""Certificates made by openssl: an authority, what it signed for 127.0.0.1, and a stranger's authority."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def openssl(folder: Path, *arguments: str) -> None:
    """Run it in `folder`."""
    assert shutil.which("openssl"), "openssl is not installed: `apt install openssl`, or `make test`, which does"
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def authority(folder: Path, name: str) -> None:
    """`<name>.pem` and `<name>.key`."""
    openssl(
        folder,
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
        *("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    )


def signed(folder: Path, name: str, by: str, address: str) -> None:
    """`<name>.pem` and `<name>.key`, signed by an authority, for an IP address."""
    openssl(
        folder,
        *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}"),
        *("-keyout", f"{name}.key", "-out", f"{name}.csr"),
    )
    (folder / f"{name}.ext").write_text(f"subjectAltName=IP:{address}\nbasicConstraints=CA:FALSE\n")
    openssl(
        folder,
        *("x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial"),
        *("-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem"),
    )
