"""Keeping a process of many threads small."""

from __future__ import annotations

import ctypes

M_ARENA_MAX = -8
"""See mallopt(3)."""
ARENAS = 2


def bound_heaps() -> bool:
    """Let glibc keep two heaps instead of up to eight a processor: memory that one thread freed serves the others.

    Call before threads are started. False where the C library has no such setting, which is harmless.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS))
    except (OSError, AttributeError):
        return False
