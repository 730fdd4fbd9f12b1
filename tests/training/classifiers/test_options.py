"""What `--augment` takes."""

from __future__ import annotations

from typing import Any

import pytest

from device.errors import ConfigError
from training.classifiers.augmentation import Augmentation
from training.classifiers.commands import COMPACT, cnn
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


def settings(*arguments: str) -> dict[str, Any]:
    """What a run of `cnn` would be told, up to where it looks at the photos."""
    with cnn.make_context("cnn", ["--data", "nowhere", *arguments]) as context:
        with pytest.raises(ConfigError, match="no folder nowhere"):
            cnn.invoke(context)
        return context.params


def test_ok__a_compact_network_brings_its_own_defaults() -> None:
    textbook, compact = settings(), settings("--network", "compact", "--size", "96", "--rate", "0.01")
    assert (textbook["size"], textbook["optimizer"], textbook["rate"], textbook["epochs"]) == (150, "adam", 1e-4, 30)
    assert (compact["size"], compact["rate"]) == (96, 0.01), "what is said counts"
    assert {key: compact[key] for key in COMPACT if key not in ("size", "rate")} == {
        key: value for key, value in COMPACT.items() if key not in ("size", "rate")
    }
    assert read_techniques(compact["augment"]).mixup == 0.2
