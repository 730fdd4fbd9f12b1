"""A real model for the tests that need one."""

from __future__ import annotations

import pytest

from device.errors import InputError
from device.inference.manifest import Bundle, find_bundle, load_bundle


@pytest.fixture(scope="session")
def real_bundle() -> Bundle:
    """The default detector or, before there is one, an export of others' weights."""
    for name in ("sereno-coco-320", "yolov8n-320"):
        try:
            path = find_bundle(name)
        except InputError:
            continue
        return load_bundle(path)
    pytest.skip("no detector bundle: `make export MODEL=yolov8n` makes one")
