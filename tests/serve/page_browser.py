"""A headless Chromium, driven over its debugging socket: enough to write, press keys, read what stands there, take pictures."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
DESKTOP, PHONE = (1360, 900), (390, 844)


def find_chromium() -> str | None:
    return os.environ.get("CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)


def axe_core() -> str:
    """The rules of axe-core; with AXE=FILE another version than the one of the tests' package."""
    file = os.environ.get("AXE")
    if file is None:
        found = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
        file = str(Path(found.__file__).with_name("axe.min.js"))
    return Path(file).read_text(encoding="utf-8")


class Tab:
    """One page of the browser. ``problems`` collects what its console complains of."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._number = socket, 0
        self.problems: list[str] = []
        self.requested: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._socket.recv(timeout=120))
            if told.get("id") == self._number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']['message']}")
                result: dict[str, Any] = told["result"]
                return result
            self._note(told)

    def _note(self, told: dict[str, Any]) -> None:
        method, parameters = told.get("method"), told.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.problems.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requested.append(parameters["request"]["url"])

    def look(self, expression: str) -> Any:
        """The value of an expression, as JSON. A promise is awaited."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"].get("exception", {}).get("description", expression))
        return found["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 90) -> Any:
        """Waits in the page, until an expression holds; raises when it never does."""
        until = f"""new Promise((yes, no) => {{
            const end = Date.now() + {int(seconds * 1000)};
            const look = () => {{
                const found = ({expression});
                if (found) yes(found); else if (Date.now() > end) no(new Error("never came true")); else setTimeout(look, 20);
            }};
            look(); }})"""
        return self.look(until)

    def open(self, address: str, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> None:
        width, height = size
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=size == PHONE)
        self.scheme(scheme)
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete' && document.querySelector('.welcome, .failed, dialog[open]') !== null")

    def scheme(self, name: str) -> None:
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def press(self, key: str) -> None:
        text = "\r" if key == "Enter" else key if len(key) == 1 else ""
        code = {"Enter": 13, "Escape": 27, "Tab": 9}.get(key, 0)
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", key=key, text=text, windowsVirtualKeyCode=code)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def write(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def say(self, text: str) -> None:
        """Writes a message with the keyboard alone, and waits for the reply."""
        n = self.look("document.querySelectorAll('.turn[data-turn]').length")
        self.press("/")
        self.write(text)
        self.press("Enter")
        self.wait_for(f"document.querySelectorAll('.turn[data-turn]').length === {n + 1} && !document.querySelector('.waiting')")
        self.look("document.activeElement.blur()")

    def findings(self) -> list[str]:
        """What axe-core finds of serious or critical impact in the page, all its details open: rule, element and reason in a line."""
        if not self.look("typeof axe === 'object'"):
            self.call("Runtime.evaluate", expression=axe_core())
        self.look("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        found = self.look("axe.run(document, {resultTypes: ['violations']}).then((one) => one.violations)")
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        return [f"{one['id']}: {node['html'][:160]}: {node['failureSummary']}" for one in serious for node in one["nodes"]]

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def browser(folder: Path) -> Iterator[Tab]:
    """Starts Chromium with a profile of its own in ``folder``, and ends it."""
    chromium = find_chromium()
    if chromium is None:
        raise FileNotFoundError("no Chromium here")
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage", "--remote-debugging-port=0"]
    process = subprocess.Popen(
        [chromium, *flags, f"--user-data-dir={folder}", "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with connect(_socket_of_first_tab(folder, process), max_size=None, compression=None) as socket:
            yield Tab(socket)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _socket_of_first_tab(folder: Path, process: subprocess.Popen[bytes]) -> str:
    import httpx

    file, end = folder / "DevToolsActivePort", time.monotonic() + 40
    while not (file.is_file() and "\n" in file.read_text()):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError("Chromium did not start")
        time.sleep(0.05)  # it tells its port in a file, when it is ready
    port = file.read_text().splitlines()[0]
    tabs = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
    return str(next(one["webSocketDebuggerUrl"] for one in tabs if one["type"] == "page"))
