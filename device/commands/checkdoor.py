"""What `sereno check` asks of a door."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from device.commands.check import Finding
from device.errors import SerenoError

if TYPE_CHECKING:
    from device.access.recognizer import Recognizer
    from device.config import Config


def door_findings(config: Config, base: Path, running: str | None) -> Iterator[Finding]:
    """Models, liveness, gallery, thresholds, access log, lock, its pin and clock, one after the other.

    Args:
        config: of the role `door`.
        base: folder that its relative paths are relative to.
        running: the process that holds the state folder; None where none does.
    """
    from device.configfile import storage_path

    folder = storage_path(config, base)
    recognizer: Recognizer | None = None
    try:
        recognizer, models = _models(config, base)
        yield Finding("models", True, models)
    except SerenoError as error:
        yield Finding("models", False, str(error))
    yield from _liveness(config)
    if recognizer is not None:
        yield from people(config, folder, recognizer)
    yield access_log(folder)
    yield _lock(config, running)
    yield from _recording(config)
    yield from _killed_keeper(config)
    yield from _trusted_clock(config)


def _models(config: Config, base: Path) -> tuple[Recognizer, str]:
    import numpy as np

    from device import door
    from device.access.facemodels import open_detector

    detector = open_detector(door.place_of(config.door.detector, base), config.door.threads)
    bundle, recognizer = door.open_embedder(config.door, base)
    door.rules_of(config.door, recognizer)
    detector.detect(np.zeros((480, 640, 3), np.uint8))
    recognizer.embed(np.zeros((112, 112, 3), np.uint8))
    return recognizer, f"{detector.name}, {door.version_of(bundle)}"


def _liveness(config: Config) -> Iterator[Finding]:
    from device.access.liveness import open_liveness
    from device.door import LIVENESS_OFF

    mode = config.door.liveness
    if mode == "off":
        yield Finding("liveness", None, LIVENESS_OFF)
        return
    faults = open_liveness(mode, config.door.threads).faults
    yield from (Finding("liveness", False, sentence) for sentence in faults)
    if not faults:
        yield Finding("liveness", True, mode)


def people(config: Config, folder: Path, recognizer: Recognizer) -> Iterator[Finding]:
    """As a start would find the gallery, and whether its size asks for more than was measured of the model."""
    from device.access.gallery import Gallery
    from device.access.gallerykey import find_key, key_file
    from device.access.policy.thresholds import threshold
    from device.door import GALLERY

    path = folder / GALLERY
    if not path.exists() and key_file(path).exists():
        gone = (
            f"{path} is gone, but its key {key_file(path)} is there: put it back from a copy, or `sereno people "
            "import` an export; a start makes an empty one, and nobody is let in"
        )
        yield Finding("gallery", False, gone)
        return
    if not path.exists():
        yield Finding("gallery", None, f"{path} is not there yet: `sereno enrol` makes it; nobody is known")
        return
    try:
        gallery = Gallery.open(path, find_key(path), recognizer.model_sha256)
        count = len(gallery.people())
        gallery.close()
    except SerenoError as error:
        yield Finding("gallery", False, str(error))
        return
    if not count:
        yield Finding("gallery", None, f"nobody is in {path}, so nobody is let in: `sereno enrol` adds people")
        return
    needed = threshold(recognizer.thresholds, config.door.target_fmr, count)
    yield Finding("gallery", True, f"{count} people, recognised from a similarity of {needed.cosine:.3f} on")
    if not needed.measured:
        lowest = recognizer.thresholds[-1][0]
        yield Finding(
            "threshold",
            None,
            f"{count} people and door.target_fmr {config.door.target_fmr:g} ask for one false match in "
            f"{1 / needed.fmr:,.0f} comparisons; {recognizer.name} was measured to one in {1 / lowest:,.0f}: the rest "
            "is an extrapolation",
        )


def access_log(folder: Path) -> Finding:
    """As a start would find the log, and all of its records."""
    from device.access import auditkey
    from device.access.audit import FILE, read
    from device.access.auditmemory import BEGIN, AuditMemory
    from device.access.auditverify import verify
    from device.door import AUDIT

    log = folder / AUDIT
    try:
        memory = AuditMemory(log)
        if not (log / FILE).exists():
            lost = memory.lost(log)
            return Finding(
                "access log", False if lost else None, lost or f"{log} holds none yet: the first start makes it"
            )
        key = auditkey.credential() or auditkey.read_key(log)
        if key is None:
            lacking = f"its key {log / auditkey.KEY_FILE} is missing, so nobody is let in: put it back, or {BEGIN}"
            return Finding("access log", False, lacking)
        kept = memory.head()
        verdict = verify(lambda: read(log / FILE), key.public_key(), [kept] if kept else [])
    except SerenoError as error:
        return Finding("access log", False, str(error))
    if verdict.finding is not None:
        bad = verdict.finding
        return Finding("access log", False, f"record {bad.seq} was {bad.how}: {bad.detail}; {BEGIN}")
    return Finding("access log", True, f"{verdict.records} records, each signed and in its place")


def _lock(config: Config, running: str | None) -> Finding:
    """Claims the pins at their rest level and lets them go again; nothing moves."""
    from device.access.keeperlink import KeeperLink
    from device.door import NO_LOCK, keeper_settings

    if config.door.lock.driver == "mock":
        return Finding("lock", None, NO_LOCK)
    if running is not None:
        return Finding("lock", None, f"process {running} has its pins now: `systemctl status` says how it is")
    # In a folder of its own: what root makes in the state folder the service could not write to.
    with tempfile.TemporaryDirectory() as scratch:
        try:
            link = KeeperLink(keeper_settings(config.door.lock, Path(scratch)))
        except SerenoError as error:
            return Finding("lock", False, str(error))
        fault, seen = link.fault, dict(link.inputs)
        link.close()
    if fault:
        return Finding("lock", False, fault)
    inputs = ", ".join(f"{name} {'open' if level else 'closed'}" for name, level in seen.items())
    return Finding("lock", True, f"GPIO {config.door.lock.pin} at rest{', ' + inputs if inputs else ''}")


def _recording(config: Config) -> Iterator[Finding]:
    from device.door import RECORDING, moves_by_recording

    if moves_by_recording(config.door, config.cameras[0]):
        yield Finding("lock's source", None, RECORDING)


def _killed_keeper(config: Config) -> Iterator[Finding]:
    """A lock that a killed keeper would leave released."""
    from device.access.lock import outlives_its_keeper

    if config.door.lock.driver == "gpio" and outlives_its_keeper():
        yield Finding(
            "lock's pin",
            None,
            "this kernel keeps a pin's level when the program that held it is killed, also that of a released lock: "
            "put `dtparam=strict_gpiod` into /boot/firmware/config.txt and restart the machine",
        )


def _trusted_clock(config: Config) -> Iterator[Finding]:
    from device.system.clock import SystemClock
    from device.system.clocktrust import ClockTrust

    if ClockTrust(SystemClock()).trusted():
        return
    then = {
        "deny": "people with a schedule or an end of validity are denied (door.policy.without_clock)",
        "ignore": "schedules and validity are ignored meanwhile (door.policy.without_clock)",
    }
    yield Finding(
        "door's clock",
        None,
        f"neither a time server nor a clock with a battery vouches for it: {then[config.door.policy.without_clock]}",
    )
