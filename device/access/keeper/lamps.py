"""Lamps and buzzer: which are on, and until when, after a word to the people at the door."""

from __future__ import annotations

from collections.abc import Mapping

LAMP_S = {"granted": 3.0, "denied": 2.0, "look": 10.0}
"""How long each lamp stays on, unless another word comes."""
BEEPS = {"granted": ((0.0, 0.25),), "denied": ((0.0, 0.1), (0.2, 0.3), (0.4, 0.5))}
"""When the buzzer is on, in seconds after the word: once for granted, three short ones for denied."""


def sequence(word: str, outputs: Mapping[str, int]) -> list[tuple[float, int, int]]:
    """What happens on the pins after a word: (seconds from now, pin, level), in order of time.

    Args:
        word: granted, denied, look, or off.
        outputs: pin of each lamp and of the buzzer, see `KeeperSettings.outputs`.
    """
    steps = [(0.0, pin, int(name == word)) for name, pin in outputs.items()]
    if word in outputs and word in LAMP_S:
        steps.append((LAMP_S[word], outputs[word], 0))
    if "buzzer" in outputs:
        for start_s, end_s in BEEPS.get(word, ()):
            steps += [(start_s, outputs["buzzer"], 1), (end_s, outputs["buzzer"], 0)]
    return sorted(steps, key=lambda step: step[0])
