"""What the page of a door unit is given, put together of the door's own parts."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from device.access.accessbook import AccessBook
from device.access.audit import Audit
from device.access.face_detector import FaceDetector
from device.access.gallery import Gallery
from device.access.peopledesk import PeopleDesk
from device.access.policy.rules import Rules
from device.access.recognition import Recognition
from device.access.recognizer import Recognizer
from device.erasure import erase
from device.web.doorboard import DoorBoard
from device.web.doorsources import DoorSources


def door_page(
    *, detector: FaceDetector, recognizer: Recognizer, rules: Rules, gallery: Gallery, audit: Audit, folder: Path
) -> DoorSources:
    """Models, rules, gallery and log are shared with the door; `folder` is the state folder.

    Raises:
        InputError: the log cannot be read.
    """
    return DoorSources(
        recognises=Recognition(detector, recognizer, gallery, rules),
        log=AccessBook(audit.path, gallery.names),
        people=PeopleDesk(
            gallery=gallery,
            detector=detector,
            recognizer=recognizer,
            rules=rules,
            record=audit.append,
            erase=partial(erase, folder),
        ),
        board=DoorBoard(gallery.names),
    )
