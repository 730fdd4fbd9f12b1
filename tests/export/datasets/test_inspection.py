"""What one look at a file finds, and that it is looked at once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from device.capture.pictures import read_picture
from export.datasets.inspection import inspect_file, inspect_files
from tests.export.datasets.photos import a_photo, write


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("size", [(1000, 700), (700, 1000), (904, 900), (900, 904), (90, 60), (520, 515)])
def test_ok__sizes_are_those_of_the_turned_photo(tmp_path: Path, size: tuple[int, int], orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.jpg"
    PIL.Image.fromarray(a_photo(1, *size)).save(path, exif=exif)
    found = inspect_file(path)
    assert (found.height, found.width) == read_picture(path).shape[:2]
    assert found.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    whole = PIL.Image.fromarray(read_picture(path)).resize((32, 32), PIL.Image.Resampling.BOX)
    assert np.abs(found.thumbnail.astype(int) - np.asarray(whole)).mean() < 4


def test_ok__a_file_is_looked_at_again_only_when_it_changed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jpg", a_photo(1))
    first = inspect_file(path)
    assert inspect_file(path) is first
    write(path, a_photo(2))
    os.utime(path, ns=(1, 1))
    assert inspect_file(path).digest != first.digest


def test_fail__faults_are_told_and_stop_nothing(tmp_path: Path) -> None:
    good = write(tmp_path / "a.jpg", a_photo(1))
    cut = tmp_path / "b.jpg"
    cut.write_bytes(good.read_bytes()[:-30])
    found = inspect_files([good, cut, tmp_path / "nowhere.jpg"])
    assert [look.path.name for look in found] == ["a.jpg", "b.jpg", "nowhere.jpg"]
    assert found[0].fault == ""
    assert "cut short" in found[1].fault
    assert "No such file" in found[2].fault
