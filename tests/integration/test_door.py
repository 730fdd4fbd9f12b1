"""The door as a whole: real footage through the real camera loop, a real broker, and gpiozero's mock of the pins.

Grants are for live footage alone; a scene that was made from a photo is an attack, and is denied. Where a rule needs a
photo, `liveness` is off, and the door says so wherever it is asked.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from device.access.audit import read
from device.access.keeper.journal import entries
from device.datatypes import Image
from device.errors import InputError
from device.inference.manifest import find_bundle
from tests import facemodels
from tests.access.house import held
from tests.daemon import DEV, Daemon, sereno, write_config
from tests.mosquitto import Mosquitto, Subscriber, eventually, free_port

ROOT = "sereno/test"
ACCESS = f"{ROOT}/door/access"
LOCK = f"{ROOT}/door/lock/state"


def make_config(folder: Path, source: Path, port: int | None, **door: Any) -> Path:
    return write_config(
        folder,
        source,
        device={"role": "door"},
        camera={"pace": "real"},
        door={"lock": {"driver": "mock"}, "min_face_px": 40, **door},
        mqtt={"enabled": port is not None, "port": port or 1883},
    )


def write_video(path: Path, images: list[Image], fps: float = 10.0) -> Path:
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    for image in images:
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def write_photos(folder: Path, images: list[Image]) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{number}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return folder


def enrol(config: Path, name: str, photos: Path) -> None:
    done = sereno("enrol", name, photos, "--config", config, "--yes", program=DEV)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def _models() -> None:
    for name in ("yunet", "minifasnet-v2", "minifasnet-v1se"):
        try:
            find_bundle(name)
        except InputError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def car(_models: None) -> Path:
    """A man who talks in a car, 4 s, 176x144: his face is 45 pixels wide."""
    return facemodels.clip()


@pytest.fixture(scope="module")
def driver(car: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other frames of him than those a door sees at 10 a second, which takes every third."""
    frames = [image for index, image in enumerate(facemodels.frames(car)) if index % 12 == 7]
    return write_photos(tmp_path_factory.mktemp("driver") / "photos", frames)


@pytest.fixture(scope="module")
def talk(shared_data: Path, _models: None) -> Path:
    """A man who gives a talk, 4 s, 844x614, re-encoded more than once."""
    return shared_data / "videos" / "obama.mp4"


@pytest.fixture(scope="module")
def speaker(talk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every fourth frame, from the second on."""
    frames = [image for index, image in enumerate(facemodels.frames(talk)) if index % 4 == 1]
    return write_photos(tmp_path_factory.mktemp("speaker") / "photos", frames)


def heard(subscriber: Subscriber) -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in subscriber.on(ACCESS)]


def pulses(config: Path) -> list[dict[str, Any]]:
    """The releases of the lock that its keeper has written down."""
    journal = config.parent / "state" / "lock" / "journal.jsonl"
    return [entry for entry in entries(journal) if entry["action"] in ("unlock", "extend")]


def run_to_the_end(config: Path, *arguments: str, pace: str = "fast") -> str:
    with Daemon(config, "--pace", pace, *arguments, program=DEV) as daemon:
        assert daemon.end(timeout_s=60) == 0, daemon.said
        return daemon.said


def test_ok__live_footage_of_somebody_who_is_known(tmp_path: Path, broker: Mosquitto, car: Path, driver: Path) -> None:
    config = make_config(tmp_path, car, broker.port)
    enrol(config, "Driver", driver)
    subscriber = Subscriber(broker.port, f"{ROOT}/#")
    said = run_to_the_end(config, pace="real")
    assert eventually(lambda: subscriber.on(f"{ROOT}/availability")[-1:] == [b"offline"])
    subscriber.close()

    [decision] = heard(subscriber)
    assert (decision["decision"], decision["reason"]) == ("granted", "recognised")
    assert set(decision) == {
        *("seq", "id", "time", "camera", "decision", "person", "reason", "similarity", "liveness", "frames", "lock_ms"),
        "summed",
    }
    assert decision["liveness"] > 0.5
    assert decision["lock_ms"] < 500
    assert "access granted" in said
    assert b"Driver" not in b"".join(payload for _, payload, _ in subscriber.heard)
    # Of a state the broker hears the newest: where the connection stood only after the grant, not what was before it.
    assert subscriber.on(LOCK)[-2:] == [b"UNLOCKED", b"LOCKED"]
    assert subscriber.on(LOCK)[:-2] in ([], [b"LOCKED"])

    [pulse] = pulses(config)
    audit = config.parent / "state" / "audit"
    records = list(read(audit / "audit.db"))
    [granted] = [record for record in records if record.kind == "decision"]
    assert pulse["authorisation"] == granted.hash.hex()
    assert pulse["wall"] >= granted.wall
    # Within a second of the first good frame, which is about the first there is.
    [start] = [record for record in records if record.kind == "start"]
    assert granted.wall - start.wall < 1.0 + 1.5
    # The broker keeps the head of the log.
    anchor = subscriber.on(f"{ROOT}/door/audit")[-1]
    assert json.loads(anchor)["seq"] == records[-1].seq
    (tmp_path / "anchor.json").write_bytes(anchor)
    verified = sereno("audit", "verify", "--config", config, "--anchor", tmp_path / "anchor.json", program=DEV)
    assert verified.returncode == 0, verified.stderr


def test_ok__a_grant_comes_within_a_second_of_good_frames(tmp_path: Path, car: Path, driver: Path) -> None:
    """In the frames' own time, however slow this machine is: as fast as it goes, and no frame left out."""
    config = make_config(tmp_path, car, None)
    enrol(config, "Driver", driver)
    run_to_the_end(config, "--max-frames", "11")
    assert len(pulses(config)) == 1


def test_fail__a_photo_of_somebody_who_is_known(tmp_path: Path, broker: Mosquitto, talk: Path, speaker: Path) -> None:
    """Held still before the camera."""
    photo = next(itertools.islice(facemodels.frames(talk), 2, None))[80:400, 280:600]
    video = write_video(tmp_path / "photo.mp4", held((photo, 160, 80), frames=50))
    config = make_config(tmp_path, video, broker.port)
    enrol(config, "Speaker", speaker)
    subscriber = Subscriber(broker.port, ACCESS)
    run_to_the_end(config)
    subscriber.close()
    assert {(told["decision"], told["reason"]) for told in heard(subscriber)} == {("denied", "liveness")}
    assert pulses(config) == []


def test_fail__a_stranger_in_live_footage(tmp_path: Path, broker: Mosquitto, car: Path, speaker: Path) -> None:
    config = make_config(tmp_path, car, broker.port)
    enrol(config, "Speaker", speaker)
    subscriber = Subscriber(broker.port, ACCESS)
    run_to_the_end(config)
    subscriber.close()
    assert {(told["decision"], told["reason"], told["person"]) for told in heard(subscriber)} == {
        ("denied", "unknown", None)
    }
    assert pulses(config) == []


def test_ok__a_recording_before_a_real_lock_is_told(tmp_path: Path, car: Path) -> None:
    """No machine has such a chip, so nothing can be moved; it is told all the same, in `check` and at the start."""
    words = "a recording: who is let in there moves the real lock"
    gpio = {"driver": "gpio", "pin": 17, "chip": 64}
    config = make_config(tmp_path, car, None, lock=gpio)
    assert words in sereno("check", "--config", config, program=DEV).stdout
    assert words in sereno("run", "--config", config, program=DEV).stderr
    camera = make_config(tmp_path, Path("/dev/video99"), None, lock=gpio)
    assert words not in sereno("check", "--config", camera, program=DEV).stdout
    mock = make_config(tmp_path, car, None)
    assert words not in sereno("check", "--config", mock, program=DEV).stdout


def test_ok__liveness_off_says_so_wherever_it_is_asked(tmp_path: Path, talk: Path, speaker: Path) -> None:
    config = make_config(tmp_path, talk, None, liveness="off")
    enrol(config, "Speaker", speaker)
    said = run_to_the_end(config)
    assert "access granted" in said
    assert "a photo of somebody who may come in opens this door" in said
    checked = sereno("check", "--config", config, program=DEV).stdout
    assert "a photo of somebody who may come in opens this door" in checked
    assert len(pulses(config)) == 1


def test_ok__what_a_broker_that_was_away_missed_is_told_once_after_a_kill(
    tmp_path: Path, talk: Path, speaker: Path
) -> None:
    """Granted and on record, then killed: the lock rests, and the decision is told at the next start."""
    broker = Mosquitto(tmp_path / "broker")
    config = make_config(tmp_path, talk, broker.port, liveness="off")
    enrol(config, "Speaker", speaker)
    with Daemon(config, program=DEV) as daemon:
        daemon.wait_for("access granted")
        daemon.end(signal.SIGKILL)
    journal = config.parent / "state" / "lock" / "journal.jsonl"
    assert eventually(lambda: [e["action"] for e in entries(journal)][-1] == "stop")
    assert [e["action"] for e in entries(journal) if e["action"] in ("unlock", "rest")] == ["unlock", "rest"]
    broker.start()
    try:
        subscriber = Subscriber(broker.port, f"{ROOT}/door/#")
        with Daemon(config, "--max-frames", "1", program=DEV) as daemon:
            assert daemon.end() == 0
        with Daemon(config, "--max-frames", "1", program=DEV) as daemon:
            assert daemon.end() == 0
        subscriber.close()
    finally:
        broker.stop()
    granted = [told for told in heard(subscriber) if told["decision"] == "granted"]
    assert len(granted) == 1
    assert subscriber.on(LOCK)[0] == b"LOCKED"
    assert len(pulses(config)) == 1, "no grant is replayed"


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 4 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_fail__a_full_disk_lets_nobody_in_without_a_record(
    full: Path, tmp_path: Path, talk: Path, speaker: Path
) -> None:
    config = make_config(tmp_path, talk, None, liveness="off")
    text = config.read_text().replace(str(tmp_path / "state"), str(full / "state"))
    config.write_text(text)
    enrol(config, "Speaker", speaker)
    with Daemon(config, "--max-frames", "1", program=DEV) as daemon:
        assert daemon.end() == 0, daemon.said
    with contextlib.suppress(OSError), (full / "rest").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    done = sereno("run", "--config", config, program=DEV)
    assert "Traceback" not in done.stderr
    (full / "rest").unlink()  # Reading a log takes a few bytes, too.
    # What fits into pages that were allocated before may still be written: then it is on record first.
    granted = {
        r.hash.hex() for r in read(full / "state" / "audit" / "audit.db") if r.content.get("decision") == "granted"
    }
    released = [e for e in entries(full / "state" / "lock" / "journal.jsonl") if e["action"] == "unlock"]
    assert {entry["authorisation"] for entry in released} <= granted
    if "No space left" in done.stderr or "disk is full" in done.stderr:
        assert not released
    assert done.returncode == 0 or "sereno: " in done.stderr


def test_fail__a_log_that_was_taken_away_while_the_door_was_stopped(tmp_path: Path, talk: Path) -> None:
    """It begins no new one in silence; with a new one, begun on record, it is a door again."""
    config = make_config(tmp_path, talk, None, liveness="off")
    once = ("run", "--config", config, "--max-frames", "1")
    assert sereno(*once, program=DEV).returncode == 0
    audit = tmp_path / "state" / "audit"
    audit.rename(tmp_path / "loot")
    for command in (once, ("check", "--config", config)):
        done = sereno(*command, program=DEV)
        assert done.returncode == 1
        assert "the access log in" in done.stderr + done.stdout
        assert "`sereno audit begin` begins a new one, on record" in done.stderr + done.stdout
        assert not audit.exists()
    assert sereno("audit", "begin", "--why", "stolen", "--config", config, program=DEV).returncode == 0
    assert sereno(*once, program=DEV).returncode == 0
    first, second, *_ = read(audit / "audit.db")
    assert (first.content["detail"], first.content["after_seq"]) == ("stolen", 3)
    door, rules = second.content["door"], second.content["rules"]
    assert (second.kind, door["min_face_px"], rules["liveness_required"]) == ("start", 40, False)


def test_fail__the_whole_state_folder_was_put_back(tmp_path: Path, broker: Mosquitto, talk: Path) -> None:
    """The broker's anchor is not replaced before a new log is begun on record, and tells whoever verifies with it."""
    config = make_config(tmp_path, talk, broker.port, liveness="off")
    once = ("run", "--config", config, "--max-frames", "1")
    verify = ("audit", "verify", "--anchor", "mqtt", "--config", config)
    assert sereno(*once, program=DEV).returncode == 0
    state, copy = tmp_path / "state", tmp_path / "copy"
    shutil.copytree(state, copy)
    for _ in range(2):
        assert sereno(*once, program=DEV).returncode == 0
    assert sereno(*verify, program=DEV).returncode == 0
    shutil.rmtree(state)
    shutil.copytree(copy, state)
    for _ in range(3):
        said = sereno(*once, program=DEV).stderr
        assert "the broker keeps an anchor of record 7, which the access log lacks" in said
        assert sereno(*verify, program=DEV).returncode == 1
    assert [r.content["state"] for r in read(state / "audit" / "audit.db") if r.kind == "anchor"] == ["missing"] * 3
    assert sereno("audit", "begin", "--why", "put back", "--config", config, program=DEV).returncode == 0
    assert "the broker keeps" not in sereno(*once, program=DEV).stderr
    assert sereno(*verify, program=DEV).returncode == 0


def test_ok__the_first_password_at_a_terminal_is_an_act_on_record(tmp_path: Path, talk: Path) -> None:
    config = make_config(tmp_path, talk, None, liveness="off")
    settings = yaml.safe_load(config.read_text()) | {"web": {"enabled": True, "port": free_port()}}
    config.write_text(yaml.safe_dump(settings))
    ours, theirs = pty.openpty()
    command = [*map(str, DEV), "run", "--config", config, "--max-frames", "1"]
    process = subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL)
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # The other end was closed.
        while piece := os.read(ours, 4096):
            seen += piece
    assert process.wait(60) == 0
    password = seen.split(b"admin with the password  ")[1].split()[0]
    log = tmp_path / "state" / "audit" / "audit.db"
    [act] = [record.content for record in read(log) if record.kind == "admin"]
    assert act == {"act": "users.add", "person": "", "user": "admin", "admin": True}
    assert password not in log.read_bytes()


@pytest.mark.parametrize(
    ("door", "words"),
    [
        ({"lock": {}}, "door.lock.pin: the lock's GPIO is missing"),
        ({"lock": {"driver": "mock", "pin": 17, "contact_pin": 17}}, "door.lock.contact_pin: GPIO 17 is pin already"),
        ({"lock": {"driver": "mock", "unlock_s": 20}}, "door.lock.unlock_s: 20 is more than max_unlock_s, 10"),
        ({"policy": {"agreeing_frames": 9}}, "door.policy.window_frames"),
        ({"target_fmr": 0.5}, "door.target_fmr"),
        ({"liveness": "sometimes"}, "door.liveness"),
    ],
)
def test_fail__settings_that_cannot_be(tmp_path: Path, door: dict[str, Any], words: str) -> None:
    config = make_config(tmp_path, tmp_path / "none.mp4", None, **door)
    done = sereno("run", "--config", config, program=DEV)
    assert done.returncode == 2
    assert words in done.stderr


def test_fail__a_gallery_with_another_key(tmp_path: Path, car: Path, driver: Path) -> None:
    config = make_config(tmp_path, car, None)
    enrol(config, "Driver", driver)
    key = config.parent / "state" / "gallery.db.key"
    key.chmod(0o600)
    key.write_text("ab" * 32)
    key.chmod(0o400)
    done = sereno("run", "--config", config, program=DEV)
    assert done.returncode == 1
    assert "the key does not open the gallery" in done.stderr
    assert "Traceback" not in done.stderr


def test_fail__no_such_pin_is_a_fault_not_a_crash(tmp_path: Path, car: Path, driver: Path) -> None:
    """This machine has no GPIO: the door denies, and says why."""
    if any(Path("/dev").glob("gpiochip*")):
        pytest.skip("this machine has a GPIO chip")
    config = make_config(tmp_path, car, None, lock={"driver": "gpio", "pin": 17})
    enrol(config, "Driver", driver)
    said = run_to_the_end(config)
    assert "the lock is faulty" in said
    assert "fault" in said
    assert "access granted" not in said
    assert sereno("check", "--config", config, program=DEV).returncode == 1


def test_ok__the_scene_of_a_test_is_new_in_each_frame() -> None:
    """Else the door would rightly call it frozen."""
    images = held((np.zeros((10, 10, 3), np.uint8), 0, 0), frames=3)
    assert not (images[0] == images[1]).all()
