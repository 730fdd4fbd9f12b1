"""From a mode of liveness to the chain that checks it, with the models it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from device.access.liveness.border import Border
from device.access.liveness.chain import LivenessChain
from device.access.liveness.challenge import Challenge
from device.access.liveness.frozen import Frozen
from device.access.liveness.mesh import FaceMesh
from device.access.liveness.minifasnet import LivenessNetwork, MiniFASNet
from device.access.liveness.motion import Motion
from device.access.liveness.verdict import Check, Verdict, View
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import find_bundle, load_bundle

Mode = Literal["passive", "challenge", "off"]

NETWORKS = ("minifasnet-v2", "minifasnet-v1se")
MESH = "face-mesh"


class Missing:
    """In the place of a check whose model cannot be had: it says no."""

    def look(self, _view: View) -> Verdict:
        """See `Check`."""
        return Verdict("no", 0.0)

    def forget(self) -> None:
        """See `Check`."""


def open_liveness(mode: Mode, threads: int = 1) -> LivenessChain:
    """The chain for a mode.

    Args:
        mode: `passive` looks only; `challenge` also asks the person to look to one side; `off` checks
            nothing.
        threads: of each model.
    Returns:
        A chain, always. Where a model is missing or damaged every face is refused, by the check that needs it, and
        `faults` says why.
    """
    if mode == "off":
        return LivenessChain(None)
    faults: list[str] = []
    networks = _networks(threads, faults)
    mesh = _mesh(threads, faults) if mode == "challenge" else None

    def checks() -> Mapping[str, Check]:
        made: dict[str, Check] = {
            "frozen": Frozen(),
            "border": Border(),
            "motion": Motion(),
            "minifasnet": MiniFASNet(networks) if networks else Missing(),
        }
        if mode == "challenge":
            made["challenge"] = Challenge(mesh) if mesh else Missing()
        return made

    return LivenessChain(checks, faults)


def _networks(threads: int, faults: list[str]) -> list[LivenessNetwork]:
    """Both of them; none where one is missing: half the evidence is none."""
    opened = []
    for name in NETWORKS:
        try:
            bundle = load_bundle(find_bundle(name))
            opened.append(LivenessNetwork(bundle, open_interpreter(bundle, threads=threads)))
        except InputError as error:
            faults.append(f"liveness: {error}; until then every face is refused")
    return opened if len(opened) == len(NETWORKS) else []


def _mesh(threads: int, faults: list[str]) -> FaceMesh | None:
    try:
        bundle = load_bundle(find_bundle(MESH))
        return FaceMesh(bundle, open_interpreter(bundle, threads=threads))
    except InputError as error:
        faults.append(f"liveness: {error}; until then every face is refused")
        return None
