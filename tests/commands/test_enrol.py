"""`sereno enrol`, as a person runs it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests import facemodels
from tests.commands.enrolling import ALI, ANA, EVA, acts, enrol, listed, photos
from tests.daemon import PROGRAM, sereno, write_config
from tests.mosquitto import eventually


def test_ok__three_photos_make_a_person(db: Path, lfw: Path) -> None:
    done = enrol(db, "Ana María", *photos(lfw, ANA, 3))
    assert done.returncode == 0, done.stderr
    assert "Ana María: 3 photos accepted, 0 refused; 3 in all" in done.stdout
    assert "must know this and agree" in done.stderr
    assert db.stat().st_mode & 0o777 == 0o600
    assert db.with_name("gallery.db.key").stat().st_mode & 0o777 == 0o400
    done = sereno("people", "list", "--gallery", db, "--json")
    [ana] = map(json.loads, done.stdout.splitlines())
    assert set(ana) == {"id", "name", "photos", "groups", "valid_from", "valid_until", "schedule", "created"}
    assert ana["photos"] == 3
    assert ana["schedule"] == "always"
    more = enrol(db, "ana maría", *photos(lfw, ANA, 5)[3:])
    assert more.returncode == 0, more.stderr
    assert listed(db)["Ana María"]["photos"] == 5


def test_ok__on_record_before_the_doors_first_start(db: Path, lfw: Path) -> None:
    assert enrol(db, "Ana", *photos(lfw, ANA, 3)).returncode == 0
    assert acts(db.parent) == [{"act": "enrol", "person": listed(db)["Ana"]["id"], "photos": 3}]


def test_fail__what_is_refused_is_listed_with_its_reason(db: Path, lfw: Path, tmp_path: Path) -> None:
    first = cv2.imread(str(photos(lfw, ANA, 1)[0]))
    odd = tmp_path / "odd"
    odd.mkdir()
    (odd / "half.jpg").write_bytes(photos(lfw, ANA, 1)[0].read_bytes()[:3000])
    (odd / "text.jpg").write_text("no picture")
    pictures = {
        "wall": np.full((200, 200, 3), 120, np.uint8),
        "tiny": cv2.resize(first, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA),
        "two": np.hstack([first, first]),
        "forty": np.tile(cv2.resize(first, (125, 125)), (5, 8, 1)),
        "burnt": np.clip(first.astype(int) * 3 + 120, 0, 255).astype(np.uint8),
        "dark": (first * 0.12).astype(np.uint8),
        "blurred": cv2.GaussianBlur(first, (0, 0), 6),
        "rotated": cv2.rotate(first, cv2.ROTATE_90_CLOCKWISE),
        "cut": first[:, 125:],
        "grey": cv2.cvtColor(cv2.cvtColor(first, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR),
    }
    for name, picture in pictures.items():
        cv2.imwrite(str(odd / f"{name}.png"), picture)
    stranger = photos(lfw, EVA, 1)[0]
    shutil.copy(photos(lfw, ANA, 2)[1], odd / "again.jpg")
    done = enrol(db, "Ana", *photos(lfw, ANA, 4), stranger, odd)
    assert done.returncode == 0, done.stderr
    assert "Ana: 5 photos accepted" in done.stdout, "the four, and the grey one"
    refused = [line for line in done.stderr.splitlines() if line.startswith("refused: ")]
    told = {Path(line.split(": ")[1]).stem: line.split(": ", 2)[2] for line in refused}
    assert set(told) == (set(pictures) | {"half", "text", "again", stranger.stem}) - {"grey"}
    assert told[stranger.stem].startswith("looks like another person than the others (similarity")
    assert told["again"].startswith("the same picture as ")
    assert told["wall"] == "no face was found"
    assert told["two"] == told["forty"] == "more than one face: one must be clearly the largest"
    assert "too small" in told["tiny"] or "no face" in told["tiny"]
    assert "too bright" in told["burnt"]
    assert "blurred" in told["blurred"] or "flat" in told["blurred"]


def test_fail__two_photos_are_not_enough(db: Path, lfw: Path) -> None:
    done = enrol(db, "Ana", *photos(lfw, ANA, 2))
    assert done.returncode == 1
    assert "Ana: not enrolled: 2 photos are good, 3 or more are needed" in done.stderr
    assert listed(db) == {}
    assert "The gallery is empty" in sereno("people", "list", "--gallery", db).stdout


def test_fail__photos_of_several_people(db: Path, lfw: Path) -> None:
    done = enrol(db, "Ana", *photos(lfw, ANA, 3), *photos(lfw, EVA, 3))
    assert done.returncode == 1
    assert "the photos show different people: only 3 of 6 agree" in done.stderr
    assert listed(db) == {}


def test_fail__somebody_who_is_enrolled_already(enrolled: Path, lfw: Path) -> None:
    db = enrolled
    again = enrol(db, "Ada", *photos(lfw, ANA, 9)[4:])
    assert again.returncode == 1
    assert "looks like Ana, who is enrolled" in again.stderr
    other = enrol(db, "Ana", *photos(lfw, EVA, 4))
    assert other.returncode == 1
    assert other.stderr.count("looks like another person") == 4
    twins = sereno("enrol", "Ada", *photos(lfw, ANA, 9)[4:], "--gallery", db, "--yes", "--despite-alike")
    assert twins.returncode == 0, twins.stderr
    assert {name: row["photos"] for name, row in listed(db).items()} == {"Ada": 5, "Ana": 3, "Eva": 3}


def test_ok__a_folder_for_each_person(db: Path, lfw: Path, tmp_path: Path) -> None:
    known = tmp_path / "known"
    for name in (ANA, EVA, ALI):
        shutil.copytree(lfw / name, known / name)
    (known / "Nobody").mkdir()
    done = sereno("enrol", "--people", known, "--gallery", db, "--yes")
    assert done.returncode == 1
    assert "Nobody: not enrolled: " in done.stderr
    assert set(listed(db)) == {ANA, EVA, ALI}
    (known / "Nobody").rmdir()
    assert sereno("enrol", "--people", known, "--gallery", tmp_path / "new.db", "--yes").returncode == 0


def test_ok__a_video_and_a_source(db: Path, tmp_path: Path) -> None:
    clip = facemodels.clip()
    done = enrol(db, "Carl", clip)
    assert done.returncode == 0, done.stderr
    assert "Carl: " in done.stdout
    assert 5 <= listed(db)["Carl"]["photos"] <= 20
    second = tmp_path / "second.db"
    live = sereno("enrol", "Carl", "--source", clip, "--gallery", second, "--yes")
    assert live.returncode == 0, live.stderr
    assert "Carl" in listed(second)


def test_ok__many_people_ask_for_more_than_was_measured(db: Path, lfw: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, "demo", door={"target_fmr": 1e-6, "lock": {"driver": "mock"}})
    done = sereno("enrol", "Ana", *photos(lfw, ANA, 3), "--gallery", db, "--config", config, "--yes")
    assert done.returncode == 0, done.stderr
    assert "one false match in 1,000,000 comparisons; sereno-arcface was measured to one in 100,000" in done.stderr
    assert "measured" not in enrol(tmp_path / "other.db", "Ana", *photos(lfw, ANA, 3)).stderr


@pytest.mark.parametrize("after_people", [0, 1, 2])
def test_ok__killed_while_enrolling(db: Path, lfw: Path, tmp_path: Path, after_people: int) -> None:
    """Who was told is there, nobody is there by half, and the same command goes on."""
    known = tmp_path / "known"
    for name in (ANA, EVA, ALI):
        (known / name).mkdir(parents=True)
        for path in photos(lfw, name, 4):
            shutil.copy(path, known / name)
    command = [PROGRAM, "enrol", "--people", known, "--gallery", db, "--yes", "--keep-crops"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    told = [process.stdout.readline().split(":")[0] for _ in range(after_people)]
    if not told:
        # In the middle of making the gallery.
        eventually(db.with_name("gallery.db.key").exists)
    process.kill()
    process.wait()
    if db.exists():
        there = listed(db)
        assert set(told) <= set(there)
        assert {row["photos"] for row in there.values()} <= {4}
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert {name: row["photos"] for name, row in listed(db).items()} == {ANA: 4, EVA: 4, ALI: 4}


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["Ana"], 2, "whom, and from what"),
        (["Ana", "gone.jpg"], 1, "gone.jpg"),
        (["A\nna", "x.jpg"], 2, "cannot be a person's name"),
        (["--people", "nowhere"], 1, "nowhere cannot be read"),
        (["Ana", "--people", "."], 2, "goes without NAME"),
    ],
)
def test_fail__what_cannot_be_enrolled(db: Path, arguments: list[str], code: int, reason: str) -> None:
    done = sereno("enrol", *arguments, "--gallery", db, "--yes")
    assert done.returncode == code
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_fail__without_consent(db: Path, lfw: Path) -> None:
    done = sereno("enrol", "Ana", *photos(lfw, ANA, 3), "--gallery", db)
    assert done.returncode == 2
    assert "--yes states consent" in done.stderr
    assert not db.exists()
