"""Metrics, as Prometheus reads them."""

from __future__ import annotations

import math
import threading

import pytest

from device.system.metrics import Registry


def test_ok__text_format() -> None:
    registry = Registry()
    frames = registry.counter("sereno_frames_total", "Frames taken.")
    frames.inc(camera="front")
    frames.inc(2, camera='a"b\\c\nd')
    registry.gauge("sereno_temperature_celsius", "Of the\nprocessor.").set(51.5)
    latency = registry.latency("sereno_inference_seconds", "Inference.")
    for count in range(1, 101):
        latency.observe(count / 8)
    assert registry.render() == (
        "# HELP sereno_frames_total Frames taken.\n"
        "# TYPE sereno_frames_total counter\n"
        'sereno_frames_total{camera="a\\"b\\\\c\\nd"} 2\n'
        'sereno_frames_total{camera="front"} 1\n'
        "# HELP sereno_inference_seconds Inference.\n"
        "# TYPE sereno_inference_seconds summary\n"
        'sereno_inference_seconds{quantile="0.5"} 6.25\n'
        'sereno_inference_seconds{quantile="0.95"} 11.875\n'
        'sereno_inference_seconds{quantile="0.99"} 12.375\n'
        "sereno_inference_seconds_sum 631.25\n"
        "sereno_inference_seconds_count 100\n"
        "# HELP sereno_temperature_celsius Of the\\nprocessor.\n"
        "# TYPE sereno_temperature_celsius gauge\n"
        "sereno_temperature_celsius 51.5\n"
    )


def test_ok__an_empty_registry_renders_nothing() -> None:
    assert Registry().render() == ""


def test_ok__quantiles_look_at_the_last_ones_only() -> None:
    latency = Registry().latency("x_seconds", "", size=4)
    assert math.isnan(latency.quantile(0.5))
    for value in (9, 9, 9, 1, 2, 3, 4):
        latency.observe(value)
    assert [latency.quantile(part) for part in (0, 0.5, 0.75, 1)] == [1, 2, 3, 4]


def test_ok__the_same_name_is_the_same_metric() -> None:
    registry = Registry()
    registry.counter("a_total", "").inc()
    assert registry.counter("a_total", "").value() == 1
    with pytest.raises(ValueError, match="already a counter"):
        registry.gauge("a_total", "")
    with pytest.raises(ValueError, match="already a counter"):
        registry.latency("a_total", "")


def test_fail__a_counter_does_not_fall() -> None:
    with pytest.raises(ValueError, match="cannot fall"):
        Registry().counter("a_total", "").inc(-1)


def test_ok__a_label_can_be_forgotten_and_odd_numbers_are_written_as_prometheus_wants() -> None:
    gauge = Registry().gauge("a", "")
    gauge.set(1, camera="x")
    gauge.remove(camera="x")
    gauge.remove(camera="never")
    gauge.set(math.inf)
    gauge.set(math.nan, b="1")
    assert list(gauge.lines()) == ["a +Inf", 'a{b="1"} NaN']


def test_ok__threads_lose_no_count() -> None:
    registry = Registry()
    counter = registry.counter("a_total", "")

    def count() -> None:
        for _ in range(2000):
            counter.inc(camera="x")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.value(camera="x") == 8000
