"""Is it a person who stands there, or a picture of one? A chain of checks of which each can say no."""

from device.access.liveness.chain import LivenessChain
from device.access.liveness.opening import open_liveness

__all__ = ["LivenessChain", "open_liveness"]
