"""The list of recent events, its pictures and its readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import simplejpeg

from device.publish import store as store_module
from device.publish.publisher import Publisher
from device.publish.snapshots import SnapshotFolder
from tests.publish.samples import PERSON, event, life

MakePublisher = Callable[..., Publisher]
DAY = 86_400


@pytest.fixture
def box(publisher: MakePublisher) -> Publisher:
    """A publisher without MQTT."""
    return publisher(enabled=False)


def test_ok__newest_first_each_as_its_last_message_says(box: Publisher) -> None:
    for number in range(3):
        for one in life(number)[: 2 if number < 2 else 1]:
            box.accept(one)
    assert box.flush(5)
    recent = box.store.recent(10)
    assert [(entry["id"], entry["type"]) for entry in recent] == [
        ("1607123957.5-abc2", "new"),
        ("1607123956.5-abc1", "end"),
        ("1607123955.5-abc0", "end"),
    ]
    assert recent[1]["end_time"] is not None


def test_ok__filters_and_pages(box: Publisher) -> None:
    for number in range(6):
        camera, label = ("front", "yard")[number % 2], ("person", "car", "person")[number % 3]
        box.accept(event("new", id=f"1.{number}-a", start_time=100.0 + number, camera=camera, label=label))
    assert box.flush(5)
    ids = [[entry["id"][2] for entry in box.store.recent(*query)] for query in ((2,), (9, "front"), (9, None, "car"))]
    assert ids == [["5", "4"], ["4", "2", "0"], ["4", "1"]]
    assert [entry["id"][2] for entry in box.store.recent(2, before=104.0)] == ["3", "2"]
    assert box.store.recent(0) == []
    assert box.store.recent(5, camera="' OR 1=1 --") == []


def test_ok__snapshot_of_an_event_shows_the_box_and_is_replaced_by_a_better_one(box: Publisher, tmp_path: Path) -> None:
    box.accept(event("new", picture=True))
    assert box.flush(5)
    first = box.store.snapshot(PERSON.id)
    assert first is not None
    image = simplejpeg.decode_jpeg(first)
    assert image.shape == (720, 1280, 3)
    left, top = PERSON.box[0], PERSON.box[1]
    assert image[top + 60, left].astype(int)[0] > 200, "the box is drawn in amber"
    assert image[top + 60, left + 50].astype(int)[0] < 60, "inside it the picture is as it was"
    box.accept(event("end", picture=True, score=0.99))
    assert box.flush(5)
    assert box.store.snapshot(PERSON.id) not in (None, first)
    assert [path.name for path in (tmp_path / "state" / "snapshots").iterdir()] == [f"front-{PERSON.id}.jpg"]
    assert box.store.recent(1)[0]["has_snapshot"] is True


@pytest.mark.parametrize(
    "event_id", ["../../etc/passwd", "/etc/passwd", "", "x" * 9999, "front-1", "\0", "..", "1.5-ñ"]
)
def test_fail__ids_from_outside_never_become_paths(box: Publisher, event_id: str) -> None:
    assert box.store.snapshot(event_id) is None


def test_fail__an_event_whose_id_leads_elsewhere_gets_no_picture(box: Publisher, tmp_path: Path) -> None:
    box.accept(event("new", picture=True, id="../../../escaped"))
    assert box.flush(5)
    assert box.store.recent(1)[0]["has_snapshot"] is False
    assert list(tmp_path.rglob("*escaped*")) == []


def test_ok__no_snapshots_where_privacy_says_so(tmp_path: Path) -> None:
    from device.config import Config

    config = Config.model_validate(
        {"device": {"role": "camera"}, "mqtt": {"enabled": False}, "privacy": {"snapshots": False}}
    )
    box = Publisher(config, tmp_path, on_failure=lambda *_: None)
    box.start()
    box.accept(event("new", picture=True))
    assert box.flush(5)
    box.stop()
    assert list((tmp_path / "snapshots").iterdir()) == []


def test_ok__subscriber_hears_events_in_the_shape_of_recent(box: Publisher) -> None:
    subscription = box.store.subscribe()
    assert subscription.get(0.01) is None
    box.accept(event("new"))
    message = subscription.get(5)
    assert message is not None
    assert [message] == box.store.recent(5)
    assert (message["type"], message["label"]) == ("new", "person")
    subscription.close()
    subscription.close()
    box.accept(event("end"))
    assert box.flush(5)
    assert subscription.get(0.01) is None


def test_fail__subscriber_that_does_not_keep_up_is_dropped_and_delays_nobody(
    box: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "SUBSCRIBER_QUEUE", 2)
    slow = box.store.subscribe()
    monkeypatch.undo()
    quick = box.store.subscribe()
    for one in life(1, updates=3):
        box.accept(one)
    assert box.flush(5)
    assert slow.closed
    assert [message["type"] for message in iter(lambda: quick.get(0.1), None)] == [
        "new",
        "update",
        "update",
        "update",
        "end",
    ]


def test_ok__events_older_than_the_limit_and_beyond_the_bound_go_but_open_ones_stay(
    box: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "EVENTS_MAX", 3)
    for number in range(6):
        for one in life(number):
            box.accept(one)
    box.accept(event("new", id="1.1-open", start_time=1.0))
    assert box.flush(5)
    box.store.prune(now=1607123955 + 14 * DAY + 1.5, max_age_s=14 * DAY)
    kept = [entry["id"] for entry in box.store.recent(99)]
    assert kept == ["1607123960.5-abc5", "1607123959.5-abc4", "1607123958.5-abc3", "1.1-open"]


def folder(path: Path, max_bytes: int = 10**6, min_free: int = 0) -> SnapshotFolder:
    return SnapshotFolder(path, max_bytes=max_bytes, max_age_s=DAY, min_free_bytes=min_free)


def test_ok__oldest_pictures_go_beyond_the_limit(tmp_path: Path) -> None:
    pictures = folder(tmp_path, max_bytes=2500)
    for number in range(4):
        assert pictures.write("front", f"{number}", b"x" * 1000, now=1000.0 + number)
    assert [n for n in range(4) if pictures.exists("front", str(n))] == [2, 3]
    assert pictures.read("front", "0") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["front-2.jpg", "front-3.jpg"]
    # A restart counts what is there.
    again = folder(tmp_path, max_bytes=2500)
    again.write("front", "4", b"x" * 1000, now=1004.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["front-3.jpg", "front-4.jpg"]


def test_ok__pictures_go_after_their_days(tmp_path: Path) -> None:
    pictures = folder(tmp_path)
    pictures.write("front", "1", b"x", now=0.0)
    pictures.write("front", "2", b"x", now=10.0)
    pictures.prune(now=DAY + 5.0)
    assert [path.name for path in tmp_path.iterdir()] == ["front-2.jpg"]


def test_ok__a_better_picture_counts_once_and_is_the_newest(tmp_path: Path) -> None:
    pictures = folder(tmp_path, max_bytes=2500)
    for now, name in enumerate(("1", "2", "1", "3")):
        pictures.write("front", name, b"x" * 1000, now=float(now))
    assert [n for n in "123" if pictures.exists("front", n)] == ["1", "3"]


def test_fail__no_picture_below_the_free_space_that_was_asked_for(tmp_path: Path) -> None:
    pictures = folder(tmp_path, min_free=2**60)
    assert not pictures.write("front", "1", b"x", now=0.0)
    assert "storage.min_free_mb asks for" in pictures.trouble
    assert list(tmp_path.iterdir()) == []


def test_ok__leftovers_of_a_kill_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".front-1.jpg.tmp").write_bytes(b"half")
    folder(tmp_path)
    assert list(tmp_path.iterdir()) == []
