"""Pictures, folders of pictures, folders of clips."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.capture.camera import EndOfSource, Source
from device.capture.pixels import to_image
from device.capture.replay import replay
from device.errors import InputError
from tests.capture.conftest import MakeClip, MakeReader
from tests.capture.doubles import PATIENCE_S


def play(source: Source) -> tuple[list[float], list[int]]:
    """Times, and the mean level of each picture."""
    source.open()
    times, levels = [], []
    try:
        while True:
            time_s = source.grab()
            assert time_s is not None
            times.append(time_s)
            levels.append(round(float(to_image(source.retrieve()).mean())))
    except EndOfSource:
        return times, levels
    finally:
        source.close()


def write_stills(folder: Path, levels: list[int], suffix: str = ".png") -> None:
    folder.mkdir(exist_ok=True)
    for number, level in enumerate(levels):
        cv2.imwrite(str(folder / f"{number:03}{suffix}"), np.full((24, 32, 3), level, np.uint8))


def test_ok__a_folder_of_pictures_plays_in_order(tmp_path: Path) -> None:
    write_stills(tmp_path / "walk", [10, 90, 50, 200])
    times, levels = play(replay(tmp_path / "walk", fps=5))
    assert levels == [10, 90, 50, 200]
    assert times == pytest.approx([0, 0.2, 0.4, 0.6])


def test_ok__every_picture_is_looked_at_also_in_a_loop(tmp_path: Path, make_reader: MakeReader) -> None:
    write_stills(tmp_path / "walk", [10, 90, 50])
    reader = make_reader(replay(tmp_path / "walk", fps=7, loop=True), pace="fast", fps=7)
    reader.start()
    taken = [reader.take(PATIENCE_S) for _ in range(7)]
    assert [int(frame.image[0, 0, 0]) for frame in taken if frame is not None] == [10, 90, 50, 10, 90, 50, 10]


def test_ok__a_single_picture_plays_once(tmp_path: Path) -> None:
    write_stills(tmp_path, [77])
    assert play(replay(tmp_path / "000.png", fps=10)) == ([0.0], [77])


def test_ok__a_picture_that_cannot_be_read_is_told_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_stills(tmp_path / "walk", [10, 90, 50])
    (tmp_path / "walk" / "001.png").write_text("not a picture")
    with caplog.at_level(logging.WARNING):
        assert play(replay(tmp_path / "walk", fps=10))[1] == [10, 50]
    assert "001.png" in caplog.text
    assert "left out" in caplog.text


def test_fail__a_folder_of_nothing_but_broken_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("text")
    (tmp_path / "b.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.jpg is no picture"):
        replay(tmp_path, fps=10).open()


def test_ok__a_folder_of_clips_plays_them_as_one(tmp_path: Path, make_clip: MakeClip) -> None:
    make_clip("a.mp4", frames=10, fps=10)
    make_clip("b.avi", frames=20, fps=20)
    times, _ = play(replay(tmp_path, fps=10))
    assert len(times) == 30
    assert times == pytest.approx(
        [index / 10 for index in range(10)] + [1.0 + index / 20 for index in range(20)], abs=0.01
    )


def test_ok__pictures_win_over_clips_and_it_is_said(
    tmp_path: Path, make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    make_clip("a.mp4", frames=10)
    write_stills(tmp_path, [5, 6])
    with caplog.at_level(logging.WARNING):
        assert play(replay(tmp_path, fps=10))[1] == [5, 6]
    assert "the videos are not" in caplog.text


def test_fail__an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no picture .* and no video"):
        replay(tmp_path, fps=10)


def test_fail__one_clip_of_the_folder_is_broken(tmp_path: Path, make_clip: MakeClip) -> None:
    make_clip("a.mp4", frames=10)
    (tmp_path / "b.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match=r"b\.mp4 is no video"):
        replay(tmp_path, fps=10).open()
