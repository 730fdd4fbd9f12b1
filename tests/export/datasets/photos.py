"""Small photos that differ from one another as photos do: soft random shapes, by a seed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def a_photo(seed: int, width: int = 160, height: int = 128) -> np.ndarray:
    """HxWx3 uint8 RGB: noise in octaves, the coarse the strongest, as in photos."""
    rng, image = np.random.default_rng(seed), np.full((height, width, 3), 127.0)
    for cells, strength in ((2, 90), (4, 60), (8, 30), (16, 15)):
        coarse = rng.uniform(-strength, strength, (cells, cells, 3))
        image += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return image.clip(0, 255).astype(np.uint8)


def write(path: Path, image: np.ndarray, quality: int = 92) -> Path:
    """Write RGB as the file's ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, content = cv2.imencode(path.suffix, image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    path.write_bytes(content.tobytes())
    return path


def a_folder(root: Path, counts: dict[str, int], start: int = 0) -> Path:
    """`CLASS/NN.jpg`, all different."""
    seed = start
    for name, count in counts.items():
        for index in range(count):
            write(root / name / f"{index:02d}.jpg", a_photo(seed))
            seed += 1
    return root


def a_detection_set(root: Path, count: int, *, classes: int = 3, folder: str = "", start: int = 0) -> Path:
    """`images/NN.jpg` and `labels/NN.txt`, one box each, of classes in turn."""
    for index in range(count):
        write(root / "images" / folder / f"{index:02d}.jpg", a_photo(start + index))
        label = root / "labels" / folder / f"{index:02d}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(f"{index % classes} 0.5 0.5 0.4 0.6\n")
    return root
