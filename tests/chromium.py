"""A real headless Chromium, driven over the DevTools protocol: open, fill, click, look, tell what went wrong."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.sync.client import connect

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
]
STARTED_S = 30.0
PATIENCE_S = 15.0
DESKTOP = (1280, 800)
PHONE = (390, 844)


def fake_camera(film: Path) -> list[str]:
    """Flags with which a page that asks for a camera is given the pictures of `film` (MJPEG), without a question."""
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]


class Chromium:
    """The browser. A context manager: it ends with the block, and its profile is `folder`, new and empty.

    `flags` are more of its own, as those of `fake_camera`.
    """

    def __init__(self, folder: Path, language: str = "en", flags: Sequence[str] = ()) -> None:
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        assert program, "chromium is not installed: `apt install chromium`, or `make test`, which does"
        folder.mkdir(parents=True, exist_ok=True)
        self._log = (folder / "chromium.log").open("wb")
        self._process = subprocess.Popen(
            [program, *FLAGS, *flags, f"--user-data-dir={folder / 'profile'}", f"--lang={language}", "about:blank"],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        port_file = folder / "profile" / "DevToolsActivePort"
        try:
            self._address = self._until(lambda: self._read_address(port_file), STARTED_S, "Chromium did not start")
        except BaseException:
            self.close()
            raise
        self.language = language

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the browser with all its processes."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(5)
        self._log.close()

    def page(self, size: tuple[int, int] = DESKTOP, dark: bool = True, timezone: str | None = None) -> Page:
        """A new page in a browser context of its own (no cookies), `size` in CSS pixels; narrow ones are phones."""
        browser = Connection(self._address)
        context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        browser.close()
        page = Page(self._address.partition("/devtools/")[0] + f"/devtools/page/{target}")
        page.prepare(size, dark, self.language, timezone)
        return page

    @staticmethod
    def _read_address(port_file: Path) -> str | None:
        lines = port_file.read_text().splitlines() if port_file.exists() else []
        return f"ws://127.0.0.1:{lines[0]}{lines[1]}" if len(lines) == 2 else None

    def _until(self, condition: Callable[[], Any], timeout_s: float, sentence: str) -> Any:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = condition()
            if found:
                return found
            assert self._process.poll() is None, f"Chromium ended with {self._process.returncode}"
            time.sleep(0.05)
        raise AssertionError(f"{sentence} within {timeout_s:.0f} s")


class Connection:
    """Calls and events of the DevTools protocol."""

    def __init__(self, address: str) -> None:
        self._socket = connect(address, max_size=None, open_timeout=STARTED_S)
        self._numbers = itertools.count(1)
        self.heard: list[dict[str, Any]] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a method. Events that come meanwhile are kept in `heard`."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            message = json.loads(self._socket.recv(timeout=PATIENCE_S))
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                result: dict[str, Any] = message["result"]
                return result
            self.heard.append(message)
        raise AssertionError(f"Chromium did not answer {method}")

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class Page(Connection):
    """One page, and what it did since it was opened."""

    def prepare(self, size: tuple[int, int], dark: bool, language: str, timezone: str | None) -> None:
        """Make it look and report as wanted."""
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        width, height = size
        phone = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})
        if timezone:
            self.call("Emulation.setTimezoneOverride", timezoneId=timezone)

    def close(self) -> None:
        """Close the page, and with it its live pictures."""
        self._socket.send(json.dumps({"id": next(self._numbers), "method": "Page.close"}))
        super().close()

    def open(self, url: str) -> None:
        """Go to `url` and wait until its document is there. Live pictures never finish: that is not waited for."""
        answer = self.call("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url}: {answer['errorText']}"
        self.wait_for("document.readyState !== 'loading' && location.href !== 'about:blank'")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, f"{expression}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def wait_for(self, condition: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until a JavaScript expression is truthy; fails with the expression after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                if self.evaluate(f"Boolean({condition})"):
                    return
            except AssertionError:
                # While a page is being left there is no place to evaluate in; a mistake in `condition` shows below.
                pass
            time.sleep(0.05)
        raise AssertionError(f"in vain for {timeout_s:.0f} s: {condition}; {self.complaints()}")

    def wait_for_selector(self, selector: str) -> None:
        """Wait until an element is there."""
        self.wait_for(f"document.querySelector({json.dumps(selector)}) !== null")

    def text(self, selector: str) -> str:
        """What can be read in an element."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def fill(self, selector: str, value: str) -> None:
        """Type into a field."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=value)

    def click(self, selector: str) -> None:
        """Click on the middle of an element."""
        where = self.evaluate(
            f"(() => {{ const element = document.querySelector({json.dumps(selector)});"
            " element.scrollIntoView({block: 'center'}); const r = element.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=where[0], y=where[1], button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press one key: Tab, Enter, Escape."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def log_in(self, url: str, user: str, password: str) -> None:
        """Open the page, which asks for a login, give it, and wait for the status page."""
        self.open(url)
        self.wait_for_selector("input[name=password]")
        self.fill("input[name=user]", user)
        self.fill("input[name=password]", password)
        self.click("form button[type=submit]")
        self.wait_for_selector("#live")

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Save what is seen as PNG, or the `whole` page however long it is."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def requests(self) -> list[str]:
        """The addresses of all that was asked for so far."""
        self.evaluate("0")
        return [
            message["params"]["request"]["url"]
            for message in self.heard
            if message.get("method") == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """Errors and warnings in the console: failed scripts, answers 4xx and 5xx, what the security policy refused."""
        self.evaluate("0")
        found = []
        for message in self.heard:
            parameters = message.get("params", {})
            if message.get("method") == "Runtime.exceptionThrown":
                found.append(str(parameters["exceptionDetails"].get("exception", {}).get("description")))
            elif message.get("method") == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
                found.append(" ".join(str(argument.get("value")) for argument in parameters["args"]))
            elif message.get("method") == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
                found.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        return found
