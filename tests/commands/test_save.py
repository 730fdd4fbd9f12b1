"""`detect --save`: nothing of the user's is replaced, nothing half-written is left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.commands.inputs import Picture, pictures
from device.commands.save import Saver, targets
from device.errors import InputError
from tests.daemon import sereno


def photo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8))
    return path


def frame(path: Path, index: int | None, width: int = 160) -> Picture:
    return Picture(path, index, np.full((120, width, 3), 90, np.uint8))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twelve frames."""
    path = tmp_path / "clips" / "clip.mp4"
    path.parent.mkdir()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (160, 120))
    for shade in range(12):
        writer.write(np.full((120, 160, 3), 10 * shade, np.uint8))
    writer.release()
    return path


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_fail__the_inputs_own_folder_keeps_the_originals(tmp_path: Path) -> None:
    original = photo(tmp_path / "photos" / "x.jpg")
    before = original.read_bytes()
    done = sereno("detect", tmp_path / "photos", "--save", tmp_path / "photos")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("sereno: --save would replace ")
    assert original.read_bytes() == before
    assert everything(tmp_path) == ["photos/x.jpg"]


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_fail__a_link_to_an_original_is_the_original(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    original = photo(tmp_path / "photos" / "x.jpg")
    (tmp_path / "drawn").mkdir()
    link(tmp_path / "drawn" / "x.jpg", original)
    with pytest.raises(InputError, match="would replace"):
        Saver(tmp_path / "drawn", [original])


def test_ok__names_that_differ_in_the_suffix_keep_it(tmp_path: Path) -> None:
    names = ["x.jpg", "x.png", "y.webp", "c.mp4", "c.avi"]
    chosen = targets(Path("out"), [tmp_path / name for name in names])
    assert [str(path) for path in chosen.values()] == [
        "out/x.jpg",
        "out/x.png.jpg",
        "out/y.jpg",
        "out/c.mp4",
        "out/c.avi.mp4",
    ]


def test_ok__a_file_given_twice_is_one_result(tmp_path: Path) -> None:
    assert list(targets(Path("out"), [tmp_path / "x.png", tmp_path / "x.png"]).values()) == [Path("out/x.jpg")]


def test_fail__two_results_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="would both be"):
        targets(Path("out"), [tmp_path / name for name in ("x.jpg", "x.png", "x.png.jpg")])


def test_ok__folders_stay_apart(tmp_path: Path) -> None:
    files = [photo(tmp_path / "in" / name) for name in ("a/x.jpg", "b/x.jpg", "b/x.png")]
    assert sereno("detect", tmp_path / "in", "--save", tmp_path / "out").returncode == 0
    assert everything(tmp_path / "out") == ["a/x.jpg", "b/x.jpg", "b/x.png.jpg"]
    assert len(files) == 3


def test_ok__video_is_whole(tmp_path: Path, clip: Path) -> None:
    done = sereno("detect", clip, "--save", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert everything(tmp_path / "out") == ["clip.mp4"]
    assert sum(1 for _ in pictures(tmp_path / "out" / "clip.mp4")) == 12


def test_fail__video_that_lost_pictures(tmp_path: Path, clip: Path) -> None:
    """OpenCV drops what it cannot write without a word; a picture of another size is such a one."""
    saver = Saver(tmp_path / "out", [clip])
    for index, width in enumerate([160, 160, 320]):
        saver.add(frame(clip, index, width), [])
    with pytest.raises(InputError, match="only 2 of 3 pictures"):
        saver.close()
    assert everything(tmp_path / "out") == []


def test_fail__interrupted_in_a_video(tmp_path: Path, clip: Path) -> None:
    def interrupted() -> None:
        with Saver(tmp_path / "out", [clip]) as saver:
            saver.add(frame(clip, 0), [])
            assert everything(tmp_path / "out") == [".clip.part.mp4"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert everything(tmp_path / "out") == []


def test_fail__picture_that_cannot_be_written(tmp_path: Path) -> None:
    original = photo(tmp_path / "photos" / "x.jpg")
    saver = Saver(tmp_path / "out", [original])
    (tmp_path / "out" / "x.jpg").mkdir()
    with pytest.raises(InputError, match=r"x\.jpg: cannot be written"):
        saver.add(frame(original, None), [])
    assert everything(tmp_path / "out") == []
