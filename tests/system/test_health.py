"""Readings of the machine, from made-up and from real files."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.system.health import HealthReader, memory_bytes, temperature_c, throttle_flags


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_ok__a_pi_under_stress(tmp_path: Path) -> None:
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", "61234\n")
    put(tmp_path, "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
    put(tmp_path, "sys/class/thermal/thermal_zone1/temp", "70000\n")
    put(tmp_path, "sys/class/thermal/thermal_zone1/type", "rp1_adc\n")
    put(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    put(tmp_path, "sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    put(tmp_path, "sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n")
    put(tmp_path, "proc/uptime", "350735.47 234388.90\n")
    health = HealthReader(tmp_path, tmp_path).read()
    assert health.temperature_c == pytest.approx(61.234)
    assert health.throttled is True
    assert health.under_voltage is False, "the hwmon driver is the newer word"
    assert health.machine_uptime_s == pytest.approx(350735.47)
    assert health.disk_free_bytes is not None


def test_ok__a_machine_without_sensors(tmp_path: Path) -> None:
    health = HealthReader(tmp_path / "not-there", tmp_path).read()
    readings = (health.temperature_c, health.under_voltage, health.throttled, health.machine_uptime_s)
    assert readings == (None, None, None, None)
    assert health.disk_free_bytes is None
    assert health.memory_bytes == 0


def test_ok__without_the_driver_the_firmware_tells_of_the_voltage(tmp_path: Path) -> None:
    put(tmp_path, "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled", "1\n")
    assert throttle_flags(tmp_path) == 1
    assert HealthReader(tmp_path, tmp_path).read().under_voltage is True


def test_ok__broken_sensors_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", "\n")
    put(tmp_path, "sys/class/thermal/thermal_zone1/temp", "abc\n")
    put(tmp_path, "sys/class/thermal/thermal_zone2/temp", "40000\n")
    put(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", "?\n")
    assert temperature_c(tmp_path) == 40.0
    assert throttle_flags(tmp_path) is None


def test_ok__the_process_sees_its_own_memory_and_work(tmp_path: Path) -> None:
    reader = HealthReader(tmp_path)
    block = bytes(40_000_000)
    before = memory_bytes()
    sum(range(1_000_000))
    health = reader.read()
    assert len(block) == 40_000_000
    assert 10_000_000 < before < 4_000_000_000
    assert health.cpu_percent > 1
    assert health.uptime_s > 0
