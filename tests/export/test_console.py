"""How commands end."""

from __future__ import annotations

import sys

import click
import pytest

from device.errors import ConfigError, InputError
from export import console


class Said(KeyboardInterrupt):
    """A stop that has told of itself."""


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (InputError("the disk is full"), 1, "error: the disk is full"),
        (ConfigError("no such flag"), 2, "error: no such flag"),
        (click.UsageError("what?"), 2, "Error: what?"),
        (KeyboardInterrupt(), 130, "stopped"),
        (Said(), 130, ""),
    ],
)
def test_ok__ends_with_a_sentence_and_a_code(
    raised: BaseException,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @click.command()
    def command() -> None:
        raise raised

    monkeypatch.setattr(sys, "argv", ["command"])
    assert console.run(command, "stopped", told=Said) == code
    said = capsys.readouterr().err.strip()
    assert said.endswith(words)
    assert words or not said
