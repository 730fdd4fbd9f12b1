"""A real broker, a real subscriber, a publisher on a folder of its own; and made-up events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from device.config import Config
from device.publish.publisher import Publisher
from tests.mosquitto import Mosquitto, Subscriber


@pytest.fixture
def subscribe(broker: Mosquitto) -> Iterator[Callable[..., Subscriber]]:
    """Subscribers of `broker`."""
    subscribers: list[Subscriber] = []

    def make(*filters: str, **options: str) -> Subscriber:
        subscribers.append(Subscriber(broker.port, *(filters or ("sereno/#",)), **options))
        return subscribers[-1]

    yield make
    for subscriber in subscribers:
        subscriber.close()


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Callable[..., Publisher]]:
    """Publishers, started; a thread of theirs that died fails the test."""
    made: list[Publisher] = []
    deaths: list[tuple[str, BaseException]] = []

    def make(
        folder: str = "state",
        start: bool = True,
        storage: dict[str, Any] | None = None,
        privacy: dict[str, Any] | None = None,
        base: Path | None = None,
        **mqtt: Any,
    ) -> Publisher:
        config = Config.model_validate(
            {
                "device": {"id": "porch", "role": "camera"},
                "mqtt": mqtt,
                "storage": {"min_free_mb": 0, **(storage or {})},
                "privacy": privacy or {},
            }
        )
        one = Publisher(
            config,
            tmp_path / folder,
            on_failure=lambda name, error: deaths.append((name, error)),
            base=base,
            status=lambda: {"fps": 9.5},
            clock=lambda: 1607124000.0,  # The day of the samples: they are not old.
            backoff_s=(0.05, 0.2),
        )
        if start:
            one.start()
            made.append(one)
        return one

    yield make
    for one in made:
        one.stop(drain_s=1)
    assert not deaths
