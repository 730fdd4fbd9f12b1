"""How often a login may be tried."""

from __future__ import annotations

from device.web.throttle import FORGET_S, FREE_TRIES, FREE_TRIES_ADDRESS, LONGEST_WAIT_S, LoginThrottle
from tests.web.conftest import Clock


def test_ok__waits_double_up_to_a_bound() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    for _ in range(FREE_TRIES):
        assert throttle.begin("10.0.0.7", "ana") == 0
    waits = []
    for _ in range(12):
        assert throttle.begin("10.0.0.7", "ana") == 0
        waits.append(throttle.begin("10.0.0.7", "ana"))
        clock.now += waits[-1]
    assert waits[:4] == [2, 4, 8, 16]
    assert waits[-1] == LONGEST_WAIT_S


def test_ok__waiting_tries_do_not_lengthen_the_wait() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    for _ in range(FREE_TRIES + 1):
        throttle.begin("10.0.0.7", "ana")
    assert [throttle.begin("10.0.0.7", "ana") for _ in range(50)] == [2.0] * 50


def test_ok__others_are_not_locked_out() -> None:
    throttle = LoginThrottle(Clock())
    for _ in range(FREE_TRIES + 1):
        throttle.begin("10.0.0.7", "ana")
    assert throttle.begin("10.0.0.7", "ana") > 0
    assert throttle.begin("10.0.0.8", "ana") == 0
    assert throttle.begin("10.0.0.7", "eva") == 0


def test_ok__many_names_from_one_address() -> None:
    throttle = LoginThrottle(Clock())
    for number in range(FREE_TRIES_ADDRESS + 1):
        assert throttle.begin("10.0.0.7", f"user{number}") == 0
    assert throttle.begin("10.0.0.7", "another") > 0
    assert throttle.begin("10.0.0.8", "another") == 0


def test_ok__addresses_of_one_ipv6_network_are_one() -> None:
    throttle = LoginThrottle(Clock())
    for number in range(FREE_TRIES + 1):
        assert throttle.begin(f"2001:db8::{number:x}", "ana") == 0
    assert throttle.begin("2001:db8::ffff", "ana") > 0
    assert throttle.begin("2001:db8:0:1::1", "ana") == 0
    assert throttle.begin("::ffff:10.0.0.1", "ana") == 0
    assert throttle.begin("fe80::1%eth0", "ana") == 0


def test_ok__success_clears_and_time_heals() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    for _ in range(50):
        assert throttle.begin("10.0.0.7", "ana") == 0
        throttle.succeeded("10.0.0.7", "ana")
    for _ in range(FREE_TRIES + 1):
        throttle.begin("10.0.0.7", "eva")
    clock.now += FORGET_S + 10
    for _ in range(FREE_TRIES):
        assert throttle.begin("10.0.0.7", "eva") == 0
    assert throttle.begin("10.0.0.7", "eva") == 0


def test_ok__an_own_account_does_not_free_the_address() -> None:
    throttle = LoginThrottle(Clock())
    for number in range(FREE_TRIES_ADDRESS):
        throttle.begin("10.0.0.7", f"user{number}")
        throttle.begin("10.0.0.7", "mallory")
        throttle.succeeded("10.0.0.7", "mallory")
    throttle.begin("10.0.0.7", "one-more")
    assert throttle.begin("10.0.0.7", "another") > 0


def test_ok__memory_is_bounded() -> None:
    throttle = LoginThrottle(Clock(), capacity=100)
    for number in range(1000):
        throttle.begin(f"10.0.{number // 250}.{number % 250}", f"user{number}")
    assert len(throttle) == 200
