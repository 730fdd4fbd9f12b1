"""What activations span: the pictures to look at, and the rule that makes a range of what was seen."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from device.datatypes import Image
from device.errors import InputError
from device.inference.letterbox import Letterbox
from export import ROOT

Range = tuple[float, float]
Tensor = npt.NDArray[np.float32]
Extremes = tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]
"""Of one tensor: each picture's smallest value [N], and its largest."""

Normalisation = tuple[Sequence[float], Sequence[float]]
"""A manifest's `mean` and `std`, one a channel: the network's number for a pixel is (pixel - mean) / std."""

UNIT: Normalisation = ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
"""Pixels become 0 to 1."""

PERCENTILE = 97.0
"""Of the pictures' own extremes: the few with an outlier do not stretch the range that all share."""
CLASS_FLOOR = -9.0
"""A class logit below this is a probability under 1e-4: no step of an int8 scale is wasted on telling such apart."""

SILU_FLOOR = -6.0
"""Below this SiLU is within 0.015 of 0. Convolutions before a SiLU reach -126 in the first layers: steps spent there
tell apart what becomes 0 all the same, and too few are left for the rest. Chosen by closeness on training photos."""


def data_folder() -> Path:
    """`$SERENO_DATA`, else `../shared/data` beside the checkout."""
    return Path(os.environ.get("SERENO_DATA", ROOT.parent / "shared" / "data"))


def read_picture(path: Path) -> Image:
    """HxWx3 uint8, RGB. Raises InputError."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise InputError(f"{path} is no picture that can be read")
    return np.ascontiguousarray(picture[..., ::-1])


def calibration_files(data: Path) -> list[Path]:
    """The training photos of COCO: never those that the result is measured on.

    Raises:
        InputError: there are none; without, int8 ranges would be guesses.
    """
    folder = data / "coco" / "images" / "train"
    files = sorted(folder.glob("*.jpg"))
    if not files:
        raise InputError(
            f"no calibration photos at {folder}: an int8 export needs some (128 photos of everyday scenes do); put "
            "them there as .jpg, or set SERENO_DATA to a folder that holds coco/images/train"
        )
    return files


def letterboxed(files: Sequence[Path], size: int) -> list[Image]:
    """The pictures as the network sees them: size x size x 3 uint8 RGB each."""
    box = Letterbox(size, size)
    squares = []
    for file in files:
        box.put(read_picture(file))
        squares.append(box.square.copy())
    return squares


def as_input(square: Image, normalisation: Normalisation = UNIT) -> Tensor:
    """SxSx3 uint8 -> [1, S, S, 3] float32, what the network takes: 0 to 1 unless told otherwise."""
    mean, std = (np.array(values, np.float32) for values in normalisation)
    return (square[None].astype(np.float32) - mean) / std


def pixel_span(normalisation: Normalisation = UNIT) -> Range:
    """The smallest and the largest number that a pixel of any channel can become."""
    mean, std = (np.array(values, np.float64) for values in normalisation)
    return float(((0 - mean) / std).min()), float(((255 - mean) / std).max())


def floored(ranges: Mapping[str, Range], floors: Mapping[str, float]) -> dict[str, Range]:
    """The ranges, with those that `floors` names beginning no lower than it says."""
    return dict(ranges) | {name: (max(ranges[name][0], floor), ranges[name][1]) for name, floor in floors.items()}


def percentile_range(
    lows: npt.NDArray[np.floating], highs: npt.NDArray[np.floating], percentile: float = PERCENTILE
) -> Range:
    """The range of a tensor from each picture's smallest and largest value."""
    return float(np.percentile(lows, 100 - percentile)), float(np.percentile(highs, percentile))


def percentile_ranges(observed: Mapping[str, Extremes], percentile: float) -> dict[str, Range]:
    """The range of each tensor."""
    return {name: percentile_range(lows, highs, percentile) for name, (lows, highs) in observed.items()}
