"""What `--augment` takes."""

from __future__ import annotations

import pytest

from device.errors import ConfigError
from training.classifiers.augmentation import Augmentation
from training.classifiers.options import AUGMENTATIONS, read_techniques


def test_ok__preset_then_changes() -> None:
    assert read_techniques("") == Augmentation()
    assert read_techniques("light") == AUGMENTATIONS["light"]
    chosen = read_techniques("light, cutout=0.3 smallest-area=0.4 flip=no")
    assert (chosen.cutout, chosen.smallest_area, chosen.flip) == (0.3, 0.4, False)
    assert chosen.rotation == AUGMENTATIONS["light"].rotation
    assert read_techniques("flip=yes mixup=0.2") == Augmentation(flip=True, mixup=0.2)


def test_fail__unknown_or_no_number() -> None:
    with pytest.raises(ConfigError, match="no technique 'blur'; there are none, flip"):
        read_techniques("light blur=1")
    with pytest.raises(ConfigError, match="'zoom' should be zoom=NUMBER"):
        read_techniques("zoom")
