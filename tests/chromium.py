"""A real browser for the tests: Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

INSTALL = "Chromium is missing: install Debian's package chromium"
#: No sandbox: it needs a user that is not root. The rest: no request leaves this machine.
_FLAGS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update")


def find_chromium() -> str | None:
    return shutil.which("chromium")


@asynccontextmanager
async def open_browser(executable: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()
