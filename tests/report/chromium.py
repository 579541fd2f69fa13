"""A headless Chromium, spoken to through a pipe: pages opened from files, keys, the pointer, pictures.

Chromium's ``--remote-debugging-pipe`` reads commands from descriptor 3 and answers on 4, each ended by a zero
byte, in the words of the DevTools protocol. So no port is opened, and no driver or package is needed.
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 30.0


def find_chromium() -> str | None:
    """The program, named by SEQLIGHT_CHROMIUM or found on the path; None where there is none."""
    named = os.environ.get("SEQLIGHT_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """One browser with one page."""

    def __init__(self, program: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="seqlight-chromium-"))
        self.downloads = self.folder / "downloads"
        self.downloads.mkdir()
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        # The shell gives the pipe's ends the numbers that Chromium wants.
        command = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        self.process = subprocess.Popen(
            [
                "bash",
                "-c",
                command,
                program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
                "--hide-scrollbars",
                "--font-render-hinting=none",
                f"--user-data-dir={self.folder / 'profile'}",
                "--remote-debugging-pipe",
            ],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._number, self._rest = 0, b""
        self.events: list[dict[str, Any]] = []
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._session = session
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))

    def close(self) -> None:
        """End the browser and remove its folder."""
        os.close(self._write)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._read)
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result.

        Raises:
            RuntimeError: the browser refused it.
            TimeoutError: no answer came.
        """
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return dict(answer["result"])
            self.events.append(answer)
        raise TimeoutError(f"{method}: no answer in {SECONDS:g} s")

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._read, 1 << 20)
            if not part:
                raise RuntimeError("the browser ended")
            self._rest += part
        message, self._rest = self._rest.split(b"\0", 1)
        return dict(json.loads(message))

    def open(self, path: Path, *, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        """Show a file, and wait until it is drawn."""
        self.size(width, height)
        self.media(dark=dark)
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def size(self, width: int, height: int) -> None:
        """Set the window's size; below 600 pixels it is a phone with a screen to touch."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def media(self, *, dark: bool = False, kind: str = "") -> None:
        """Set the colour scheme and the medium, such as "print"."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=kind, features=[scheme])

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression.

        Raises:
            RuntimeError: it threw.
        """
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true.

        Raises:
            TimeoutError: it did not become true.
        """
        end = time.monotonic() + SECONDS
        while not self.evaluate(condition):
            if time.monotonic() > end:
                raise TimeoutError(condition)
            time.sleep(0.02)

    def key(self, name: str) -> None:
        """Press a key."""
        text = {"text": name} if len(name) == 1 else {}
        if name == "Enter":
            text = {"text": "\r"}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, **(text if kind == "keyDown" else {}))

    def pointer(self, kind: str, x: float, y: float) -> None:
        """Move the pointer, or press ("mousePressed") or release ("mouseReleased") its button."""
        button = {"button": "left", "buttons": 1, "clickCount": 1} if kind != "mouseMoved" else {}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def screenshot(self, *, whole: bool = False) -> bytes:
        """A PNG of what is in sight, or of the whole page."""
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
            answer = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        else:
            answer = self.call("Page.captureScreenshot")
        return base64.b64decode(answer["data"])

    def pdf(self) -> bytes:
        """The page as it is printed."""
        answer = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        return base64.b64decode(answer["data"])

    def downloaded(self, name: str) -> Path:
        """Wait for a file of the downloads, whole."""
        end = time.monotonic() + SECONDS
        path = self.downloads / name
        while time.monotonic() < end:
            if path.exists() and not list(self.downloads.glob("*.crdownload")):
                return path
            self.evaluate("1")  # reads what the browser says meanwhile
            time.sleep(0.02)
        raise TimeoutError(f"{name}: no download; there are {[p.name for p in self.downloads.iterdir()]}")

    def messages(self) -> list[str]:
        """What went to the console since the page was opened: messages, errors, refusals of its policy."""
        found = []
        for event in self.events:
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(json.dumps(event["params"]["exceptionDetails"])[:500])
            elif event.get("method") == "Runtime.consoleAPICalled":
                found.append(json.dumps(event["params"]["args"])[:500])
            elif event.get("method") == "Log.entryAdded":
                found.append(event["params"]["entry"]["text"])
        return found

    def requests(self) -> list[str]:
        """Addresses that were asked for since the page was opened, the page's own and its blobs aside."""
        addresses = [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]
        return [address for address in addresses[1:] if not address.startswith(("blob:", "data:"))]
