"""Who is let in, and why not: a pure function, specified in docs/access-policy.md."""

from device.access.policy.decision import REASONS, Decision, Reason
from device.access.policy.machine import close, decide
from device.access.policy.observation import (
    DoorFacts,
    FaceView,
    FrameFacts,
    GalleryFacts,
    Now,
    Observation,
    PersonRules,
)
from device.access.policy.rules import Rules
from device.access.policy.schedule import ALWAYS, NEVER, Schedule
from device.access.policy.state import State
from device.access.policy.thresholds import Threshold, corrected_fmr, measured_points, threshold

__all__ = [
    "ALWAYS",
    "NEVER",
    "REASONS",
    "Decision",
    "DoorFacts",
    "FaceView",
    "FrameFacts",
    "GalleryFacts",
    "Now",
    "Observation",
    "PersonRules",
    "Reason",
    "Rules",
    "Schedule",
    "State",
    "Threshold",
    "close",
    "corrected_fmr",
    "decide",
    "measured_points",
    "threshold",
]
