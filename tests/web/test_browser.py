"""What a person sees, in a real Chromium."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from device.web.server import WebServer
from tests.chromium import DESKTOP, PHONE, Chromium, Page
from tests.web.conftest import PASSWORD, Site
from tests.web.house import START, a_jpeg, a_state, a_street, a_track, an_observation

LIVE_IS_SHOWN = "document.querySelector('#live').naturalWidth === 640 && document.querySelector('#veil').hidden"
# How many pixels of the live picture have the colour of a person's box (255, 196, 87), JPEG's losses allowed for.
BOX_PIXELS = """(() => {
  const live = document.querySelector('#live'), canvas = document.createElement('canvas');
  canvas.width = live.naturalWidth; canvas.height = live.naturalHeight;
  const context = canvas.getContext('2d');
  context.drawImage(live, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4)
    count += Math.abs(data[i] - 255) + Math.abs(data[i + 1] - 196) + Math.abs(data[i + 2] - 87) < 40;
  return count;
})()"""
OVERFLOW_PX = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One browser for all; each page has its own cookies."""
    with Chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


class Walk:
    """A camera in front of which somebody walks, ten pictures a second, and one that sees an empty street."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        index = 0
        while not self._stop.wait(0.1):
            index += 1
            x = 120 + index * 6 % 400
            track = a_track(xyxy=(x - 30.0, 208.0, x + 30.0, 424.0))
            self._site.live.show(an_observation(index, track, image=a_street(x)))
            self._site.live.show(an_observation(index, image=a_street(480), camera="yard"))

    def end(self) -> None:
        """Stop walking."""
        self._stop.set()
        self._thread.join()


@pytest.fixture
def url(site: Site) -> Iterator[str]:
    """The page on a real server, with a walk in front of the camera."""
    failures: list[str] = []
    server = WebServer(site.app, "127.0.0.1", 0, lambda name, error: failures.append(f"{name}: {error}"))
    server.start()
    walk = Walk(site)
    yield server.url
    walk.end()
    server.stop()
    assert not failures


def visit(chromium: Chromium, url: str, size: tuple[int, int] = DESKTOP, **look: object) -> Page:
    """A page on which `ana` has logged in, and that shows a live picture and the status."""
    page = chromium.page(size, **look)  # type: ignore[arg-type]
    page.log_in(url, "ana", PASSWORD)
    page.wait_for(LIVE_IS_SHOWN)
    page.wait_for("document.querySelectorAll('#facts dd').length >= 6")
    return page


def picture(page: Page, tmp_path: Path, name: str) -> None:
    """Keep a screenshot, to be looked at where `SERENO_SCREENSHOTS` names a folder."""
    folder = Path(os.environ.get("SERENO_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(folder / f"{name}.png", whole="phone" in name)
    assert (folder / f"{name}.png").stat().st_size > 10_000


def a_past(site: Site) -> None:
    """Two events that are over, one of them without a picture."""
    site.status.said["cameras"].append({"camera": "yard", "state": "ok", "message": "", "fps": 9.9})
    site.events.happen("end", a_state(1, end_time=START + 73), a_jpeg(a_street(200)))
    site.events.happen("end", a_state(60, label="bicycle", camera="yard", has_snapshot=False, end_time=START + 69))


def test_ok__live_view_shows_boxes(url: str, chromium: Chromium) -> None:
    page = visit(chromium, url)
    assert page.evaluate(BOX_PIXELS) > 300
    page.click("[data-camera=yard]")
    page.wait_for(f"{LIVE_IS_SHOWN} && {BOX_PIXELS} < 50")
    assert page.evaluate("document.querySelector('[aria-pressed=true]').textContent") == "yard"
    page.close()


def test_ok__events_come_without_reload(site: Site, url: str, chromium: Chromium) -> None:
    a_past(site)
    page = visit(chromium, url)
    page.wait_for("document.querySelectorAll('.event').length === 2")
    page.evaluate("window.sameDocument = true")
    site.events.happen("new", a_state(200), a_jpeg(a_street(400)))
    page.wait_for("document.querySelectorAll('.event').length === 3")
    assert "now" in page.text(".event")
    page.wait_for("document.querySelector('.event img').naturalWidth === 640")
    site.events.happen("end", a_state(200, end_time=START + 212, top_score=0.93, entered_zones=("walk",)))
    page.wait_for("document.querySelector('.event .now').hidden")
    assert page.evaluate("document.querySelectorAll('.event').length") == 3
    first = page.text(".event")
    assert "93%" in first
    assert "12 sec" in first
    assert "walk" in first
    assert page.evaluate("window.sameDocument") is True
    page.close()


def test_ok__events_missed_while_the_stream_was_away_are_shown(site: Site, url: str, chromium: Chromium) -> None:
    page = visit(chromium, url)
    page.wait_for("!document.querySelector('#empty').hidden")
    listener = site.events.listeners[0]
    listener.close()
    site.events.happen("new", a_state(5), a_jpeg())
    page.wait_for("document.querySelectorAll('.event').length === 1")
    page.close()


def test_ok__filter_and_close_up(site: Site, url: str, chromium: Chromium) -> None:
    a_past(site)
    page = visit(chromium, url)
    page.wait_for("document.querySelectorAll('.event').length === 2")
    page.evaluate(
        "(() => { const s = document.querySelector('#label'); s.value = 'person';"
        " s.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )
    page.wait_for("document.querySelectorAll('.event').length === 1")
    page.click(".thumb")
    page.wait_for(
        "document.querySelector('#closeup').open && document.querySelector('#closeup-picture').naturalWidth > 0"
    )
    assert "person" in page.text("#closeup-title")
    page.press("Escape")
    page.wait_for("!document.querySelector('#closeup').open")
    page.close()


def test_ok__earlier_events_are_loaded_on_demand(site: Site, url: str, chromium: Chromium) -> None:
    for number in range(30):
        site.events.happen("end", a_state(number, end_time=START + number + 1, has_snapshot=False))
    page = visit(chromium, url)
    page.wait_for("document.querySelectorAll('.event').length === 20")
    page.click("#older")
    page.wait_for("document.querySelectorAll('.event').length === 30 && document.querySelector('#older').hidden")
    starts = page.evaluate("[...document.querySelectorAll('.event')].map(card => Number(card.dataset.start))")
    assert starts == sorted(starts, reverse=True)
    page.close()


def test_ok__nothing_is_refused_and_no_other_host_is_asked(site: Site, url: str, chromium: Chromium) -> None:
    a_past(site)
    page = visit(chromium, url)
    site.events.happen("new", a_state(200), a_jpeg())
    page.wait_for("document.querySelectorAll('.event').length === 3")
    assert page.complaints() == []
    assert {urlsplit(address).netloc for address in page.requests()} == {urlsplit(url).netloc}
    # The policy does forbid what it should.
    page.evaluate(
        "(() => { const s = document.createElement('script'); s.textContent = '1'; document.body.append(s); })()"
    )
    assert any("Content Security Policy" in complaint for complaint in page.complaints())
    page.close()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("dark", [True, False], ids=["dark", "light"])
def test_ok__looks(site: Site, url: str, chromium: Chromium, tmp_path: Path, size: tuple[int, int], dark: bool) -> None:
    a_past(site)
    name = f"{'phone' if size == PHONE else 'desktop'}-{'dark' if dark else 'light'}"
    login = chromium.page(size, dark)
    login.open(url)
    login.wait_for_selector("#password")
    assert login.evaluate(OVERFLOW_PX) == 0
    picture(login, tmp_path, f"login-{name}")
    login.close()
    page = visit(chromium, url, size, dark=dark)
    site.events.happen("new", a_state(200), a_jpeg(a_street(400)))
    page.wait_for("document.querySelectorAll('.event').length === 3")
    page.wait_for("document.querySelector('.event img').naturalWidth > 0")
    assert page.evaluate(OVERFLOW_PX) == 0, "wider than the screen"
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(12, 19, 34)" if dark else "rgb(245, 242, 234)")
    picture(page, tmp_path, f"page-{name}")
    page.close()


def test_ok__spanish_by_the_browsers_wish(site: Site, url: str, tmp_path: Path) -> None:
    a_past(site)
    with Chromium(tmp_path / "es", language="es") as browser:
        page = visit(browser, url, timezone="Europe/Madrid")
        page.wait_for("document.querySelectorAll('.event').length === 2")
        assert page.evaluate("document.documentElement.lang") == "es"
        assert "Todo sereno" in page.text("#health")
        events = page.text("#list")
        assert "bicicleta" in events.casefold()
        assert "persona" in events.casefold()
        # START is 2026-09-21 14:13:20 UTC.
        assert "16:13:21" in events
        assert page.complaints() == []
        picture(page, tmp_path, "page-spanish")


def test_ok__switch_of_language_is_remembered(url: str, chromium: Chromium) -> None:
    page = visit(chromium, url)
    page.click("a[hreflang=es]")
    page.wait_for("document.documentElement.lang === 'es'")
    page.open(url)
    assert page.evaluate("document.documentElement.lang") == "es"
    page.close()


def test_ok__trouble_is_said(site: Site, url: str, chromium: Chromium, tmp_path: Path) -> None:
    site.status.said["cameras"][0].update(state="lost", message="camera front: /dev/video0 is gone; plug it in again")
    site.status.said["mqtt"].update(state="connecting", message="no broker at 127.0.0.1:1883")
    page = visit(chromium, url)
    page.wait_for("document.querySelector('#health.bad') !== null")
    assert page.text("#health") == "A camera needs attention"
    assert "/dev/video0 is gone" in page.text("#cameras")
    assert "no broker" in page.text("#troubles")
    picture(page, tmp_path, "page-trouble")
    page.close()


def test_ok__by_keyboard_alone(url: str, chromium: Chromium) -> None:
    page = chromium.page()
    page.open(url)
    page.wait_for("document.activeElement.id === 'user'")
    page.call("Input.insertText", text="ana")
    page.press("Tab")
    page.call("Input.insertText", text=PASSWORD)
    page.press("Enter")
    page.wait_for_selector("#live")
    page.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.press("Enter")
    page.wait_for("document.activeElement.id === 'events'")
    page.close()


def test_ok__everything_has_a_name_for_screen_readers(site: Site, url: str, chromium: Chromium) -> None:
    a_past(site)
    page = visit(chromium, url)
    page.wait_for("document.querySelectorAll('.event').length === 2")
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    nameless = [
        node["role"]["value"]
        for node in nodes
        if not node.get("ignored")
        and node["role"]["value"] in ("button", "link", "combobox", "textbox", "image")
        and not node.get("name", {}).get("value")
    ]
    assert nameless == [], json.dumps(nameless)
    page.close()


def test_ok__wrong_password_is_said_and_right_one_still_works(url: str, chromium: Chromium) -> None:
    page = chromium.page()
    page.open(url)
    page.wait_for_selector("#password")
    page.fill("#user", "ana")
    page.fill("#password", "wrong password")
    page.click("form button")
    page.wait_for_selector("#message")
    assert "not right" in page.text("#message")
    page.fill("#password", PASSWORD)
    page.click("form button")
    page.wait_for_selector("#live")
    page.close()


def test_ok__ended_session_leads_to_the_login(site: Site, url: str, chromium: Chromium) -> None:
    page = visit(chromium, url)
    site.users.set_password("ana", "another long one")
    page.wait_for("location.pathname === '/login'", 20)
    page.close()


def test_ok__nobody_watches_nothing_is_encoded(site: Site, url: str, chromium: Chromium) -> None:
    page = visit(chromium, url)
    page.close()
    feed = site.app.extensions["sereno"].feeds["front", "en"]
    slots = site.app.extensions["sereno"].streams
    done = threading.Event()
    for _ in range(100):
        if slots.free == slots.limit:
            break
        done.wait(0.05)
    assert slots.free == slots.limit
    encoded = feed.encoded
    done.wait(0.5)
    assert feed.encoded == encoded
