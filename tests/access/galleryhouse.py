"""A small gallery, of people whose embeddings are made up."""

from __future__ import annotations

import numpy as np

from device.access.gallery import Gallery, new_id
from device.access.galleryrecords import Consent, Person
from device.access.recognizer import Embedding

KEY = bytes(range(32))
MODEL = "a" * 64


def unit(seed: int, near: Embedding | None = None, apart: float = 0.0) -> Embedding:
    """A random direction, or one that is `apart` from another."""
    vector = np.random.default_rng(seed).standard_normal(128).astype(np.float32)
    vector /= np.linalg.norm(vector)
    if near is not None:
        vector = near + np.float32(apart) * vector
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def photos(seed: int) -> list[Embedding]:
    """Three photos of the person of that seed."""
    return [unit(1000 * seed + photo, unit(seed), 0.4) for photo in range(3)]


def add(gallery: Gallery, name: str, seed: int, crops: tuple[bytes, ...] = ()) -> Person:
    consent = Consent("agreed", 1.0, "--yes", bool(crops))
    return gallery.add(Person(new_id(), name, 1.0, consents=(consent,)), photos(seed), crops)
