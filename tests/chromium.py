"""A real browser for the tests: Debian's Chromium, driven by Playwright."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

INSTALL = "Chromium is missing: install Debian's package chromium"
START_SECONDS = 60
#: No sandbox: it needs a user that is not root. No request leaves this machine. The rest: screenshots look the same everywhere.
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"),
    *("--disable-sync", "--disable-extensions", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio"),
    *("--hide-scrollbars", "--force-color-profile=srgb", "--remote-debugging-port=0"),
)


def find_chromium() -> str | None:
    return shutil.which("chromium")


@contextmanager
def run_chromium(executable: str) -> Iterator[str]:
    """One process for many tests, which starting it would cost more than most of them; yields where it is reached."""
    with tempfile.TemporaryDirectory(prefix="pixel-chromium-", ignore_cleanup_errors=True) as folder:
        running = subprocess.Popen(
            [executable, *_FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield f"http://127.0.0.1:{_port(Path(folder) / 'DevToolsActivePort')}"
        finally:
            running.terminate()
            running.wait(START_SECONDS)


def _port(file: Path) -> int:
    deadline = time.monotonic() + START_SECONDS
    while not file.is_file() or not (lines := file.read_text().split()):
        if time.monotonic() > deadline:
            raise RuntimeError("Chromium did not start")
        time.sleep(0.05)
    return int(lines[0])


@asynccontextmanager
async def open_browser(address: str) -> AsyncIterator[Browser]:
    """What a test opens in it ends with the test: cookies, pages, connections."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(address)
        try:
            yield browser
        finally:
            await browser.close()
