"""Ultralytics' own weights to begin with: yolov8n with the others' weights, the larger ones fetched when asked for."""

from __future__ import annotations

from pathlib import Path

from device.system.fetch import Asset, fetch
from export.weights import CACHE, weights

MODELS = ("n", "s", "m", "l", "x")

_RELEASE = "https://github.com/ultralytics/assets/releases/download/v8.3.0/"


def _asset(letter: str, size: int, sha256: str) -> Asset:
    name = f"yolov8{letter}.pt"
    about = f"YOLOv8{letter} detector, 80 COCO classes (Ultralytics assets, release v8.3.0)"
    return Asset(name, sha256, size, "AGPL-3.0", about, (f"{_RELEASE}{name}",))


LARGER = {
    "s": _asset("s", 22_588_772, "1f47a78bf100391c2a140b7ac73a1caae18c32779be7d310658112f7ac9aa78a"),
    "m": _asset("m", 52_136_884, "5d4a90cdc7a21786cc59cd19778e9eafff836df9e2da32524737c7ee6efe4fe5"),
    "l": _asset("l", 87_792_836, "64c9115303f6a25575f82200d1b22ec409fa6bd7d08d0313884fc20d919478cd"),
    "x": _asset("x", 136_890_692, "3df4ada6b4dad6d657868f2fdf7faecfb34dcfccf3a25c4b82079064718524c8"),
}
"""Not part of `make models`: 300 MB that few want."""


def official(letter: str, cache: Path = CACHE) -> Path:
    """The weights of yolov8n, s, m, l or x, checked by sha256.

    Raises:
        InputError: no source has the file; the sentence says which were tried and where to put it.
    """
    return weights("yolov8n.pt", cache) if letter == "n" else fetch(LARGER[letter], cache)
