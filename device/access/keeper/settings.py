"""What the keeper is told at its start: pins, polarity, bounds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from device.jsontext import parsed


@dataclass(frozen=True, slots=True)
class KeeperSettings:
    """Pins are GPIO numbers (GPIO 17, not the header's pin 11); None where nothing is wired.

    `driver` is `lgpio`, or `mock` (gpiozero's MockFactory, whose history goes to the journal). `chip` is N of
    /dev/gpiochipN; None looks for the header's. `strike` is what power does: `fail-secure` unlocks by it,
    `fail-safe` is held locked by it. Lamps and buzzer are on while their pin is high. A contact or tamper switch
    closes its pin to ground while all is well: a cut wire reads as open.
    """

    journal: Path
    pin: int = 17
    driver: str = "lgpio"
    chip: int | None = None
    active_high: bool = True
    strike: str = "fail-secure"
    max_unlock_s: float = 10.0
    heartbeat_s: float = 2.0
    contact_pin: int | None = None
    tamper_pin: int | None = None
    exit_pin: int | None = None
    granted_pin: int | None = None
    denied_pin: int | None = None
    look_pin: int | None = None
    buzzer_pin: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError: a value is out of range, or two things are on one pin."""
        if self.driver not in ("lgpio", "mock"):
            raise ValueError(f"there is no driver {self.driver!r}: lgpio or mock")
        if self.strike not in ("fail-secure", "fail-safe"):
            raise ValueError(f"a strike is fail-secure or fail-safe, not {self.strike!r}")
        if not 0 < self.max_unlock_s <= 60 or not 0 < self.heartbeat_s <= 60:
            raise ValueError("max_unlock_s and heartbeat_s are seconds, above 0 and up to 60")
        pins = [self.pin, *self.inputs.values(), *self.outputs.values()]
        for pin in pins:
            if pins.count(pin) > 1:
                raise ValueError(f"two things are wired to GPIO {pin}: each needs a pin of its own")

    @property
    def rest_level(self) -> int:
        """The level at which the lock is locked: without power for a fail-secure strike, with it for a fail-safe."""
        return int((self.strike == "fail-safe") == self.active_high)

    @property
    def inputs(self) -> dict[str, int]:
        """The pins that are read: contact, tamper, exit."""
        wired = {"contact": self.contact_pin, "tamper": self.tamper_pin, "exit": self.exit_pin}
        return {name: pin for name, pin in wired.items() if pin is not None}

    @property
    def outputs(self) -> dict[str, int]:
        """The lamps' and the buzzer's pins: granted, denied, look, buzzer."""
        wired = {"granted": self.granted_pin, "denied": self.denied_pin, "look": self.look_pin}
        return {name: pin for name, pin in {**wired, "buzzer": self.buzzer_pin}.items() if pin is not None}

    def to_json(self) -> str:
        """One line."""
        return json.dumps({**asdict(self), "journal": str(self.journal)})

    @classmethod
    def from_json(cls, text: str) -> KeeperSettings:
        """Read what `to_json` wrote. Raises ValueError."""
        values: Any = parsed(text)
        known = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or not values.keys() <= known or "journal" not in values:
            raise ValueError("not the settings of a keeper")
        try:
            return cls(**{**values, "journal": Path(values["journal"])})
        except TypeError as error:
            raise ValueError(f"not the settings of a keeper: {error}") from error
