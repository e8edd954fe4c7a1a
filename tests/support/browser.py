"""A headless Chromium that shows one page, driven over the DevTools protocol through two pipes."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from support.waiting import WAIT_LIMIT

CHROMIUM = shutil.which("google-chrome") or shutil.which("chromium") or shutil.which("chromium-browser")

#: Root cannot use its sandbox, and containers have a small /dev/shm.
OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--remote-debugging-pipe", "--hide-scrollbars"]


class Browser:
    """
    ::

        with Browser() as browser:
            browser.open("http://127.0.0.1:9000/")
            browser.until("document.title == 'gworkers'")

    Attributes:
        problems: exceptions, errors in the console and violations of the page's Content-Security-Policy.
        requested: the URLs that the page has asked for.
    """

    def __init__(self, width: int = 1280, height: int = 900) -> None:
        self.problems: list[str] = []
        self.requested: list[str] = []
        self._size = width, height

    def __enter__(self) -> Browser:
        self._profile = Path(tempfile.mkdtemp(prefix="gwbrowser"))
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # Chromium reads commands from descriptor 3 and writes to 4. The pipes may have these numbers already.
        self._process = subprocess.Popen(
            ["bash", "-c", 'exec "$@" 3<&"$IN" 4>&"$OUT"', "bash", CHROMIUM, *OPTIONS,
             f"--user-data-dir={self._profile}", "about:blank"],
            env={**os.environ, "IN": str(theirs_in), "OUT": str(theirs_out), "TZ": "UTC"},
            pass_fds=[theirs_in, theirs_out], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self._rest, self._count, self._session = b"", 0, ""
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(*self._size)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method: str, **params: Any) -> Any:
        """Call a method of the DevTools protocol; returns its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            self._notice(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            readable, _, _ = select.select([self._in], [], [], WAIT_LIMIT)
            assert readable, "Chromium does not respond"
            data = os.read(self._in, 1 << 20)
            assert data, "Chromium has exited"
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _notice(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.problems.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])

    def resize(self, width: int, height: int, scale: float = 1) -> None:
        """Give the window this size, in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride",
                  width=width, height=height, deviceScaleFactor=scale, mobile=False)

    def prefer(self, scheme: str) -> None:
        """Prefer the colour scheme "dark" or "light"."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url: str) -> None:
        """Go to *url*; returns before it has loaded. ``problems`` and ``requested`` are those of this page."""
        # The page before may be one whose server has stopped.
        self.leave()
        self.problems.clear()
        self.requested.clear()
        answer = self.call("Page.navigate", url=url)
        assert "errorText" not in answer, answer

    def leave(self) -> None:
        """End the page before its server ends: it would send requests to the next server with this port."""
        self.call("Page.navigate", url="about:blank")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, expression: str, limit: float = WAIT_LIMIT) -> Any:
        """Evaluate again and again until the value is true; returns it."""
        deadline = time.monotonic() + limit
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, (
                f"not in {limit} s: {expression}\n{self.problems}\n{self.evaluate('document.body.innerText')}")
            time.sleep(0.05)
        return value

    def text(self, selector: str) -> str:
        """The visible text of the first element that matches."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    def rows(self, place: str) -> list[dict[str, str]]:
        """The rows of the table in the element of that id: the text of each cell by the label of its column."""
        return self.evaluate(
            f"[...document.querySelectorAll('#{place} tbody tr')].map((row) => Object.fromEntries("
            "[...row.children].map((cell) => [cell.dataset.label, cell.innerText.trim()])))")

    def names(self, role: str) -> list[str]:
        """The accessible names of the elements with that role."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [node.get("name", {}).get("value", "") for node in nodes if node.get("role", {}).get("value") == role]

    def screenshot(self, whole: bool = False) -> bytes:
        """A PNG of the window, or of the whole page."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"])
