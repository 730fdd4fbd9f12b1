"""The pins: by lgpio on a Pi, by gpiozero's mock elsewhere. Imported when chosen."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

HEADER_CHIPS = ("pinctrl-bcm", "pinctrl-rp1")
"""Labels of the chip behind the 40-pin header: Pi 0 to 4, and Pi 5."""


class LinesError(Exception):
    """A pin is absent, in use or refused; the text is one sentence."""


class Lines(Protocol):
    """Some pins of one chip. Each method raises LinesError."""

    def claim_output(self, pin: int, level: int, what: str) -> None:
        """Take a pin as an output that never has another level than `level` (0 or 1) on the way; `what` hangs on it."""

    def claim_input(self, pin: int, well: int, what: str) -> None:
        """Take a pin as an input with the pull-up on; `well` is its level while all is well."""

    def write(self, pin: int, level: int) -> None:
        """Set an output."""

    def read(self, pin: int) -> int:
        """The level of an input, 0 or 1."""


class LgpioLines:
    """The kernel's GPIO character device by lgpio.

    gpiozero is passed by: its lgpio pins (2.0 and 2.0.1) are claimed as inputs first, then as outputs at level 0, and
    get their level only after that, so that an active-low relay clicks at each start. `gpio_claim_output` hands the
    level to the kernel in the one request that makes the pin an output.
    """

    def __init__(self, lgpio: Any, chip: int | None) -> None:
        """`lgpio` is the module, `chip` N of /dev/gpiochipN or None for the header's. Raises LinesError."""
        self._lgpio = lgpio
        self._handle = self._open(chip)

    def _open(self, chip: int | None) -> int:
        tried = [chip] if chip is not None else _chips()
        for number in tried:
            try:
                handle: int = self._lgpio.gpiochip_open(number)
            except self._lgpio.error as error:
                if chip is not None:
                    raise LinesError(f"/dev/gpiochip{number} cannot be opened: {_said(error)}") from error
                continue
            label = str(self._lgpio.gpio_get_chip_info(handle)[3])
            if chip is not None or label.startswith(HEADER_CHIPS):
                return handle
            self._lgpio.gpiochip_close(handle)
        raise LinesError(
            "no GPIO chip of a Raspberry Pi's header was found among /dev/gpiochip*: this is no Pi, or its user is "
            "not in the group gpio"
        )

    def claim_output(self, pin: int, level: int, what: str) -> None:
        """See Lines."""
        try:
            self._lgpio.gpio_claim_output(self._handle, pin, level)
        except self._lgpio.error as error:
            raise self._refused(pin, what, error) from error

    def claim_input(self, pin: int, well: int, what: str) -> None:
        """See Lines."""
        del well
        try:
            self._lgpio.gpio_claim_input(self._handle, pin, self._lgpio.SET_PULL_UP)
        except self._lgpio.error as error:
            raise self._refused(pin, what, error) from error

    def _refused(self, pin: int, what: str, error: Exception) -> LinesError:
        try:
            user = str(self._lgpio.gpio_get_line_info(self._handle, pin)[4])
        except (self._lgpio.error, IndexError):
            user = ""
        by = f" (by {user})" if user else ""
        return LinesError(f"GPIO {pin} for the {what} cannot be had: {_said(error)}{by}")

    def write(self, pin: int, level: int) -> None:
        """See Lines."""
        try:
            self._lgpio.gpio_write(self._handle, pin, level)
        except self._lgpio.error as error:
            raise LinesError(f"GPIO {pin} cannot be set: {error}") from error

    def read(self, pin: int) -> int:
        """See Lines."""
        try:
            return int(self._lgpio.gpio_read(self._handle, pin))
        except self._lgpio.error as error:
            raise LinesError(f"GPIO {pin} cannot be read: {error}") from error


class MockLines:
    """gpiozero's MockFactory: pins that only remember. Each new level is told to `moved`."""

    def __init__(self, moved: Callable[[int, int], None]) -> None:
        """`moved` is called with the pin and its level. Raises LinesError: gpiozero is not installed."""
        try:
            mock = importlib.import_module("gpiozero.pins.mock")
        except ImportError as error:
            raise LinesError("the package gpiozero is not installed: pip install gpiozero") from error
        self._refusal: Any = importlib.import_module("gpiozero.exc").GPIOZeroError
        self.factory: Any = mock.MockFactory()
        self._moved = moved

    def _pin(self, pin: int, what: str) -> Any:
        try:
            return self.factory.pin(pin)
        except (self._refusal, ValueError) as error:
            raise LinesError(f"GPIO {pin} for the {what} cannot be had: {error}") from error

    def claim_output(self, pin: int, level: int, what: str) -> None:
        """See Lines."""
        self._pin(pin, what).output_with_state(bool(level))
        self._moved(pin, level)

    def claim_input(self, pin: int, well: int, what: str) -> None:
        """See Lines. What is wired to a mock pin is well until it is driven."""
        self._pin(pin, what).input_with_pull("up")
        self.drive(pin, well)

    def write(self, pin: int, level: int) -> None:
        """See Lines."""
        self.factory.pin(pin).state = bool(level)
        self._moved(pin, level)

    def read(self, pin: int) -> int:
        """See Lines."""
        return int(self.factory.pin(pin).state)

    def drive(self, pin: int, level: int) -> None:
        """What a contact or a switch does to an input."""
        mock = self.factory.pin(pin)
        if level:
            mock.drive_high()
        else:
            mock.drive_low()


def open_lgpio(chip: int | None, scratch: Path) -> LgpioLines:
    """Import lgpio and open the chip; `scratch` is a folder for the pipe that lgpio makes in the working directory.

    Raises:
        LinesError: lgpio is not installed, or there is no such chip.
    """
    os.chdir(scratch)
    try:
        lgpio = importlib.import_module("lgpio")
    except ImportError as error:
        raise LinesError(
            "the package lgpio is not installed, without which no pin can be moved: pip install 'sereno[pi]'"
        ) from error
    return LgpioLines(lgpio, chip)


def _said(error: Exception) -> str:
    """lgpio puts its words in quotes."""
    return str(error).strip("'")


def _chips() -> list[int]:
    numbers = (path.name.removeprefix("gpiochip") for path in Path("/dev").glob("gpiochip*"))
    return sorted(int(number) for number in numbers if number.isdigit())
