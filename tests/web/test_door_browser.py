"""A door's pages in a real Chromium with a fake camera: what people see, and what they can do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.access.galleryrecords import LEAST_PHOTOS
from device.datatypes import AccessDecision, Box, FaceSeen, Frame, Image, Liveness, LockMoved, Observation
from device.web.server import WebServer
from tests.chromium import DESKTOP, PHONE, Chromium, Page, fake_camera
from tests.web import drawnvisitor
from tests.web.conftest import PASSWORD, Site
from tests.web.doorhouse import DoorHouse, side_by_side
from tests.web.house import START

OVERFLOW_PX = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
LOADED = "document.readyState === 'complete'"
"""The scripts have run: what is clicked before is lost. (A page with a live picture is never complete.)"""
FILM_S = 2
CAMERA_RUNS = "document.querySelector('#webcam').videoWidth > 0 && !document.querySelector('#recognise').disabled"
Known = dict[str, list[Image]]


@pytest.fixture(scope="module")
def scene(known: Known, stranger: list[Image]) -> Image:
    """Somebody who is known, large, and a stranger beside."""
    name = next(iter(known))
    picture = side_by_side(known[name][3], stranger[0], heights=(400, 290))
    return cv2.copyMakeBorder(picture, 40, 40, 20, 20, cv2.BORDER_CONSTANT, value=(90, 90, 90))


@pytest.fixture(scope="module")
def film(scene: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the fake camera shows, as Motion JPEG: JPEGs one after the other."""
    path = tmp_path_factory.mktemp("film") / "scene.mjpeg"
    bgr = cv2.cvtColor(cv2.resize(scene, (640, 480)), cv2.COLOR_RGB2BGR)
    jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    path.write_bytes(jpeg * 10 * FILM_S)
    return path


@pytest.fixture(scope="module")
def chromium(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser with a camera."""
    with Chromium(tmp_path_factory.mktemp("chromium"), flags=fake_camera(film)) as browser:
        yield browser


@pytest.fixture(scope="module")
def spanish(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One of somebody in Madrid."""
    with Chromium(tmp_path_factory.mktemp("chromium"), language="es", flags=fake_camera(film)) as browser:
        yield browser


@pytest.fixture
def url(door: Site) -> Iterator[str]:
    """The page on a real server."""
    failures: list[str] = []
    server = WebServer(door.app, "127.0.0.1", 0, lambda name, error: failures.append(f"{name}: {error}"))
    server.start()
    yield server.url
    server.stop()
    assert not failures


def visit(browser: Chromium, url: str, path: str, size: tuple[int, int] = DESKTOP, user: str = "ana") -> Page:
    page = browser.page(size, timezone="Europe/Madrid")
    page.log_in(url, user, PASSWORD)
    if path != "/":
        page.open(url + path)
        page.wait_for(LOADED)
    return page


def picture(page: Page, tmp_path: Path, name: str) -> None:
    """Keep a screenshot, to be looked at where `SERENO_SCREENSHOTS` names a folder; nothing may be wider than it."""
    folder = Path(os.environ.get("SERENO_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(folder / f"{name}.png", whole="phone" in name)
    assert page.evaluate(OVERFLOW_PX) == 0, f"{name} is wider than the screen"
    assert [said for said in page.complaints() if "422" not in said] == []  # Too few photos were sent on purpose.


class AtTheDoor:
    """Somebody stands before the door: what the loop tells the page."""

    def __init__(self, site: Site, house: DoorHouse, image: Image, face: Box | None = None) -> None:
        """`face`: where it is, in pixels; somewhere on the left where None."""
        self.site, self.house, self.image = site, house, image
        height, width = image.shape[:2]
        self.box = face or (0.2 * width, 0.2 * height, 0.5 * width, 0.8 * height)
        self.index = 0

    def stand(self, name: str = "", outcome: str = "", reason: str = "", prompt: str = "") -> None:
        """One frame with a face."""
        face = FaceSeen(
            track=1,
            xyxy=self.box,
            confidence=0.9,
            in_zone=True,
            quality=(),
            person=self.house.ids.get(name, ""),
            name=name,
            similarity=0.71,
            liveness=Liveness("live", 0.9, ""),
            outcome=outcome,  # type: ignore[arg-type]
            reason=reason,
            prompt=prompt,
        )
        self._see((face,))

    def leave(self) -> None:
        """An empty frame."""
        self._see(())

    def _see(self, faces: tuple[FaceSeen, ...]) -> None:
        self.index += 1
        frame = Frame("front", self.index, self.image, self.index / 10, START + self.index / 10)
        seen = Observation(frame, (), moving=True, detected=True, faces=faces)
        self.site.live.show(seen)
        self.house.board.show(seen)

    def decide(self, granted: bool, reason: str, name: str = "") -> None:
        """A decision, on record and told."""
        record = self.house.decide(granted, reason, name, similarity=0.71)
        told = AccessDecision(
            id=f"d{record}",
            wall=START,
            camera="front",
            granted=granted,
            reason=reason,
            person=self.house.ids.get(name, ""),
            name=name,
            similarity=0.71,
            liveness=0.9,
            frames=3,
            lock_ms=None,
            record=record,
        )
        self.house.board.accept(told)
        if granted:
            self.house.board.accept(LockMoved(unlocked=True, wall=START))


@pytest.fixture
def visitor_at_door(door: Site, house: DoorHouse, scene: Image) -> AtTheDoor:
    return AtTheDoor(door, house, scene)


@pytest.mark.parametrize("language", ["en", "es"])
def test_ok__door_says_granted_and_denied(
    visitor_at_door: AtTheDoor,
    url: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    known: Known,
    language: str,
) -> None:
    browser = request.getfixturevalue("chromium" if language == "en" else "spanish")
    words = {
        "en": (
            "Access granted",
            "Access denied",
            "Outside the permitted hours",
            "Nobody is at the door",
            "Please look to the left",
        ),
        "es": (
            "Acceso permitido",
            "Acceso denegado",
            "Fuera del horario permitido",
            "No hay nadie",
            "Mire a la izquierda",
        ),
    }[language]
    granted, denied, why, nobody, asked = words
    first, second, _ = known
    page = visit(browser, url, "/", PHONE if language == "es" else DESKTOP)
    page.wait_for(f"document.querySelector('#verdict').innerText.includes('{nobody}')")
    visitor_at_door.stand(prompt="look left")
    page.wait_for(f"document.querySelector('.asking').innerText.includes('{asked}')")
    visitor_at_door.decide(True, "recognised", first)
    visitor_at_door.stand(first, "granted", "recognised")
    page.wait_for("document.querySelector('.verdict.granted')")
    assert page.text("#verdict").split() == f"{granted} {first}".split()
    page.wait_for("document.querySelectorAll('.decision.granted').length === 1")
    page.wait_for("document.querySelector('#live').naturalWidth > 0")
    assert first in page.text("#list")
    picture(page, tmp_path, f"door-granted-{'phone-' if language == 'es' else ''}{language}")
    visitor_at_door.house.board.accept(LockMoved(unlocked=False, wall=START))
    visitor_at_door.decide(False, "schedule", second)
    page.wait_for("document.querySelector('.verdict.denied')")
    assert page.text("#verdict").split() == f"{denied} {second} {why}".split()
    page.wait_for("document.querySelectorAll('.decision').length === 2")
    picture(page, tmp_path, f"door-denied-{'phone-' if language == 'es' else ''}{language}")
    visitor_at_door.leave()
    page.wait_for("document.querySelector('.verdict.idle')", 20)
    page.close()


def test_ok__the_picture_of_the_readme(
    door: Site, house: DoorHouse, url: str, chromium: Chromium, tmp_path: Path, known: Known
) -> None:
    """Drawn, and with other names: docs/images/door.png."""
    for person, name in zip(house.gallery.people(), ("Ana", "Begoña", "Chen"), strict=True):
        house.gallery.update(replace(person, name=name))
        house.ids[name] = person.id
    visitor = AtTheDoor(door, house, drawnvisitor.visitor(), drawnvisitor.FACE)
    for granted, reason, name in ((False, "unknown", ""), (False, "schedule", "Chen"), (True, "recognised", "Begoña")):
        house.decide(granted, reason, name, similarity=0.71)
    page = visit(chromium, url, "/", (1280, 760))
    visitor.stand(prompt="look left")
    page.wait_for("document.querySelector('.asking')")
    visitor.decide(True, "recognised", "Ana")
    visitor.stand("Ana", "granted", "recognised")
    page.wait_for("document.querySelector('.verdict.granted')")
    page.wait_for("document.querySelectorAll('.decision').length === 4")
    page.wait_for("document.querySelector('#live').naturalWidth > 0")
    for _ in range(3):  # A browser shows a live picture when the next one comes.
        visitor.stand("Ana", "granted", "recognised")
        shown = page.evaluate("performance.now()")
        page.wait_for(f"performance.now() > {shown + 150}")
    assert page.text("#verdict").split() == ["Access", "granted", "Ana"]
    assert not any(name in page.text("body") for name in known)
    picture(page, tmp_path, "readme-door")
    page.close()


def test_ok__off_liveness_is_said_on_the_door(door: Site, url: str, chromium: Chromium) -> None:
    door.status.said["door"].update(liveness="off", fault="cannot write the access log: disk full")
    page = visit(chromium, url, "/")
    page.wait_for("!document.querySelector('#warning').hidden")
    assert "Liveness is off" in page.text("#warning")
    assert "disk full" in page.text("#warning")
    assert page.text("#health") == "The door has a fault"
    page.close()


@pytest.mark.parametrize(("language", "stranger_is"), [("en", "Unknown"), ("es", "Desconocido")])
def test_ok__webcam_button_names(
    url: str, request: pytest.FixtureRequest, tmp_path: Path, known: Known, language: str, stranger_is: str
) -> None:
    """The textbook's page: the browser's camera, a button, two faces, two names."""
    phone = language == "es"
    browser = request.getfixturevalue("spanish" if phone else "chromium")
    page = visit(browser, url, "/reconocer", PHONE if phone else DESKTOP, user="vera")
    page.wait_for(CAMERA_RUNS)
    page.click("#recognise")
    page.wait_for("document.querySelectorAll('.names li').length > 0")
    names = page.evaluate("[...document.querySelectorAll('.names li')].map(item => item.textContent)")
    assert names == [next(iter(known)), stranger_is]
    assert [request for request in page.requests() if not request.startswith((url, "data:", "about:"))] == []
    picture(page, tmp_path, f"reconocer-{'phone-' if phone else ''}{language}")
    page.click("#recognise")
    page.wait_for("document.querySelector('#still').hidden")
    page.close()


def test_fail__webcam_page_says_what_is_wrong(house: DoorHouse, url: str, chromium: Chromium) -> None:
    page = visit(chromium, url, "/reconocer")
    page.wait_for(CAMERA_RUNS)
    house.path.rename(house.path.with_name("elsewhere.db"))
    page.click("#recognise")
    page.wait_for("document.querySelector('#results .notice.bad')")
    assert "gallery" in page.text("#results")
    page.close()


def test_ok__no_camera_is_said(url: str, tmp_path: Path) -> None:
    with Chromium(tmp_path / "without") as browser:
        page = visit(browser, url, "/reconocer")
        page.wait_for("document.querySelector('#veil').innerText.includes('no camera')")
        assert page.evaluate("document.querySelector('#recognise').disabled")


@pytest.mark.parametrize("language", ["en", "es"])
def test_ok__log(
    house: DoorHouse, url: str, request: pytest.FixtureRequest, tmp_path: Path, known: Known, language: str
) -> None:
    phone = language == "es"
    browser = request.getfixturevalue("spanish" if phone else "chromium")
    first, second, _ = known
    house.decide(True, "recognised", first, similarity=0.7123)
    house.decide(False, "unknown", similarity=0.12, summed=7)
    house.decide(False, "schedule", second, similarity=0.66)
    page = visit(browser, url, "/access", PHONE if phone else DESKTOP)
    page.wait_for("document.querySelectorAll('tbody tr').length === 3")
    said = page.text("table")
    assert ("Acceso permitido" if phone else "Access granted") in said
    assert ("7 veces" if phone else "7 times") in said
    picture(page, tmp_path, f"access-{'phone-' if phone else ''}{language}")
    page.close()


def test_ok__enrol_by_the_camera_and_forget(
    house: DoorHouse, url: str, chromium: Chromium, spanish: Chromium, tmp_path: Path, stranger: list[Image]
) -> None:
    """Three photos of a stranger out of files, given to the page as a browser's file field has them."""
    page = visit(chromium, url, "/people")
    page.click("#open")
    page.wait_for("!document.querySelector('#shoot').disabled")
    page.click("#shoot")
    page.wait_for("document.querySelectorAll('#photos li').length === 1")
    page.fill("#name", "Begoña Ñíguez")
    assert "Begoña Ñíguez knows and agrees" in page.text("#consent-text")
    page.click("#consent")
    page.click("#send")
    page.wait_for("document.querySelector('#outcome .bad')", 30)
    assert "at least 3 are needed" in page.text("#outcome")
    page.click("#photos li button")
    choose(page, "#files", tmp_path, stranger[:LEAST_PHOTOS])
    page.wait_for(f"document.querySelectorAll('#photos li').length === {LEAST_PHOTOS}")
    picture(page, tmp_path, "people-en")
    page.click("#send")
    page.wait_for("document.querySelector('#outcome .good')", 30)
    assert len(house.gallery.people()) == 4
    page.click("#outcome a")
    page.wait_for(f"{LOADED} && document.querySelector('.danger')")
    assert "Begoña Ñíguez" in page.text("h1")
    picture(page, tmp_path, "person-en")
    page.close()
    page = visit(spanish, url, "/people", PHONE)
    page.wait_for("document.querySelectorAll('tbody tr').length === 4")
    picture(page, tmp_path, "people-phone-es")
    page.evaluate("[...document.querySelectorAll('td a')].find(a => a.textContent.startsWith('Begoña')).click()")
    page.wait_for(f"{LOADED} && document.querySelector('#sure')")
    picture(page, tmp_path, "person-phone-es")
    page.click("#sure")
    page.click(".dangerous")
    page.wait_for("document.querySelectorAll('tbody tr').length === 3")
    assert len(house.gallery.people()) == 3
    assert house.erased == ["Begoña Ñíguez"]
    page.close()


def test_ok__hours_are_set_in_spanish(house: DoorHouse, url: str, spanish: Chromium, tmp_path: Path) -> None:
    person = next(iter(house.ids.values()))
    page = visit(spanish, url, f"/people/{person}", PHONE)
    page.evaluate("document.querySelector('#may').value = 'weekly'")
    page.evaluate("document.querySelector('#until').value = '2027-06-30T00:00'")
    page.fill("#windows", "lun mar mié jue vie 08:00-18:30")
    page.fill("#timezone", "Europe/Madrid")
    page.click("[aria-labelledby=permit-title] .primary")
    page.wait_for(f"{LOADED} && document.querySelector('.notice.good')")
    picture(page, tmp_path, "permit-phone-es")
    assert page.evaluate("document.querySelector('#windows').value") == "lun mar mié jue vie 08:00-18:30"
    saved = house.gallery.find(person)
    assert saved.schedule.as_data() == {
        "timezone": "Europe/Madrid",
        "windows": [{"days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "18:30"}],
        "holidays": [],
    }
    assert saved.valid_until is not None
    page.close()


def choose(page: Page, selector: str, folder: Path, images: list[Image]) -> None:
    """Choose files in a field, as a person does."""
    paths = []
    for number, image in enumerate(images):
        paths.append(str(folder / f"photo{number}.jpg"))
        cv2.imwrite(paths[-1], cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR))
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    node = page.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
    page.call("DOM.setFileInputFiles", nodeId=node, files=paths)


def test_fail__people_are_for_administrators(url: str, chromium: Chromium) -> None:
    page = visit(chromium, url, "/people", user="vera")
    assert "administrators" in page.text("main")
    page.open(url)
    page.wait_for_selector("#verdict")
    assert page.evaluate("document.querySelector('.places a[href=\"/people\"]')") is None
    page.close()


def test_ok__every_page_has_names_for_screen_readers(house: DoorHouse, url: str, chromium: Chromium) -> None:
    house.decide(False, "unknown", similarity=0.1)
    page = visit(chromium, url, "/")
    page.call("Accessibility.enable")
    for path in ("/", "/access", "/people", f"/people/{next(iter(house.ids.values()))}", "/reconocer"):
        page.open(url + path)
        nodes = page.call("Accessibility.getFullAXTree")["nodes"]
        nameless = [
            node["role"]["value"]
            for node in nodes
            if not node.get("ignored")
            and node["role"]["value"] in ("button", "link", "combobox", "textbox", "image", "checkbox", "Video")
            and not node.get("name", {}).get("value")
        ]
        assert nameless == [], f"{path}: {nameless}"
    page.close()
