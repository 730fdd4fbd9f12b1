"""How close an exported file's heads are to the float network's: says more than one figure of mAP, which is noisy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.datatypes import Image
from device.errors import InputError
from device.inference.tensors import Interpreter
from export.calibration import CLASS_FLOOR
from export.reference import real_heads

Heads = Sequence[npt.NDArray[np.float32]]

FLOAT_TOLERANCE = 2e-2
"""Largest difference of a logit between two float runtimes. They add in another order; logits reach 50."""


@dataclass(frozen=True)
class Parity:
    """`largest`: of all differences of logits. `class_kl`: Bernoulli KL divergence of the class scores, summed and
    divided by the summed confidence (best class) of the float network: 0 for the same scores."""

    largest: float
    class_kl: float


def parity(reference: Interpreter, candidate: Interpreter, squares: Sequence[Image]) -> Parity:
    """Compare two interpreters of the same heads on letterboxed pictures.

    Raises:
        ValueError: no pictures were given.
    """
    if not squares:
        raise ValueError("parity needs at least one picture")
    largest, divergence, confidence = 0.0, 0.0, 0.0
    for square in squares:
        expected, found = real_heads(reference, square), real_heads(candidate, square)
        largest = max(largest, *(float(np.abs(a - b).max()) for a, b in zip(expected, found, strict=True)))
        kl, mass = _class_divergence(expected[1::2], found[1::2])
        divergence, confidence = divergence + kl, confidence + mass
    return Parity(largest, divergence / max(confidence, 1e-9))


def require_same(found: Parity, what: str) -> None:
    """Refuse a float file that does not compute what the network does. Raises InputError."""
    if found.largest > FLOAT_TOLERANCE:
        raise InputError(
            f"{what}: a logit differs by {found.largest:.3g} from the float network's, at most {FLOAT_TOLERANCE} is "
            "rounding; the converter got it wrong"
        )


def _class_divergence(expected: Heads, found: Heads) -> tuple[float, float]:
    """Summed Bernoulli KL of the scores, and the summed best score of each cell."""
    divergence = confidence = 0.0
    for reference, candidate in zip(expected, found, strict=True):
        logits = [np.maximum(head, CLASS_FLOOR).astype(np.float64) for head in (reference, candidate)]
        p = 1 / (1 + np.exp(-logits[0]))
        softplus = [np.logaddexp(0, values) for values in logits]
        # KL(p || q) = softplus(b) - softplus(a) + p (a - b), for logits a and b.
        divergence += float((softplus[1] - softplus[0] + p * (logits[0] - logits[1])).sum())
        confidence += float(p.max(axis=-1).sum())
    return divergence, confidence
