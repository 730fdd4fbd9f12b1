"""The outbox to a real Mosquitto at QoS 1."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from device.config import Config
from device.publish.publisher import Publisher
from tests.bench.rows import Row, absent, row
from tests.mosquitto import Mosquitto, Subscriber, eventually
from tests.publish.samples import life

COUNT = 5000


def rows() -> Iterator[Row]:
    """Events accepted until a subscriber has them all; the clock runs from the first `accept` to the last arrival."""
    name, budget = "outbox to Mosquitto, QoS 1", ">= 500"
    if not (shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")):
        yield absent(name, "events/s", budget, "mosquitto is not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder) / "mosquitto").start()
        subscriber = Subscriber(broker.port, "sereno/bench/events")
        config = Config.model_validate({"device": {"id": "bench", "role": "camera"}, "mqtt": {"port": broker.port}})
        publisher = Publisher(config, Path(folder) / "state", on_failure=_fail)
        publisher.start()
        try:
            started = time.perf_counter()
            for event in (event for number in range(COUNT // 2) for event in life(number)):
                publisher.accept(event)
            assert eventually(lambda: len(subscriber.heard) >= COUNT, 60), f"{len(subscriber.heard)} of {COUNT} came"
            took = time.perf_counter() - started
            assert subscriber.seqs() == sorted(subscriber.seqs()), "out of order"
        finally:
            publisher.stop()
            subscriber.close()
            broker.stop()
    yield row(name, COUNT / took, "events/s", budget, f"{COUNT} sent, {COUNT} received, none lost, in order")


def _fail(name: str, error: BaseException) -> None:
    raise RuntimeError(f"the thread {name} died") from error
