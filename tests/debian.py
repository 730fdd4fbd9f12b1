"""What the tests that make a Debian of their own share."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
"""The releases that Raspberry Pi OS is made of, with their Python."""


def mirror() -> str:
    """The Debian mirror that this machine uses."""
    found = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in found if path.is_file())
    match = re.search(r"(?m)^(?:URIs:|deb(?: \[[^]]*\])?)\s+(\S+/debian)/?(?:\s|$)", text)
    assert match, "no Debian mirror in this machine's apt sources: these tests need a Debian"
    return match[1]


def copy_checkout(target: Path, revision: str) -> None:
    """What git knows of in a revision or, of the working tree, what it does not ignore."""
    target.mkdir()
    if revision:
        archive = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", target], input=archive, check=True)
        return
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def place_model(models: Path) -> str:
    """The name of the bundle in `models`; where the checkout ships none yet, the first of the cache's is put there."""
    shipped = models / "sereno-coco-320"
    if (shipped / "manifest.json").exists():
        return shipped.name
    bundle = next(path for path in sorted((CACHE / "bundles").iterdir()) if (path / "model.tflite").exists())
    shutil.copytree(bundle, models / bundle.name, dirs_exist_ok=True)
    return bundle.name
