"""The two kinds of failure that a person can mend; `device.__main__` prints the sentence and exits with its code."""

from __future__ import annotations


class SerenoError(Exception):
    """A foreseeable failure. Its text is one sentence: what was wrong, where, and what would be right."""

    exit_code = 1


class InputError(SerenoError):
    """An input or the machine failed: a file, a camera, a model, a disk. Exit code 1."""


class ConfigError(SerenoError):
    """The command line or the configuration is wrong. Exit code 2."""

    exit_code = 2
