"""The device's letterbox against ultralytics' own, pixel by pixel. Needs the workstation environment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device.inference.letterbox import Letterbox


@pytest.mark.parametrize("size", [320, 640])
def test_ok__the_letterbox_is_ultralytics_own(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    monkeypatch.setenv("YOLO_AUTOINSTALL", "false")
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    augment = pytest.importorskip("ultralytics.data.augment", reason="needs the workstation environment")
    theirs, ours = augment.LetterBox((size, size), auto=False), Letterbox(size, size)
    rng = np.random.default_rng(size)
    for _ in range(60):
        height, width = rng.integers(20, 1400, 2).tolist()
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        ours.put(image)
        np.testing.assert_array_equal(ours.square, theirs(image=image), err_msg=f"{width}x{height}")
