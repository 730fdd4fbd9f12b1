"""A real model for the tests that need one."""

from __future__ import annotations

import pytest

from device.inference.manifest import Bundle, find_bundle, load_bundle


@pytest.fixture(scope="session")
def real_bundle() -> Bundle:
    """The detector that ships."""
    return load_bundle(find_bundle("sereno-coco-320"))
