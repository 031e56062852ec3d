"""A person at a browser, without scripts unless asked for. Whatever the browser complains about fails the test, and so does
a request to anywhere but the service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from playwright.async_api import Browser, ConsoleMessage, Page, Request

#: What Chromium says of itself on a desk; "HeadlessChrome" would be judged a machine, and rightly.
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
DESK, PHONE = (1280, 900), (390, 844)
_NARROW = (390, 320)


@dataclass  # no slots: Playwright marks the owner of a method it calls
class Visit:
    page: Page
    base_url: str
    language: str = "de"
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def go(self, place: str) -> None:
        """`place` is a path or an address from a mail."""
        await self.page.goto(place if place.startswith("http") else self.base_url + place)

    async def press_main_button(self) -> None:
        """The first button of the page's content: what the page is for."""
        await self.page.locator("main form button").first.click()

    async def heading(self) -> str:
        return await self.page.locator("h1").inner_text()

    async def looks_right(self) -> None:
        """One heading, the right language, and no sideways scrolling on phones, large and small."""
        await self.page.wait_for_load_state()
        assert await self.page.get_attribute("html", "lang") == self.language
        await self.page.locator("h1").first.wait_for()
        assert await self.page.locator("h1").count() == 1
        size = self.page.viewport_size
        assert size is not None
        for width in _NARROW:
            await self.page.set_viewport_size({"width": width, "height": 844})
            needed = await self.page.evaluate("document.documentElement.scrollWidth")
            assert needed <= width, f"{self.page.url} needs {needed} pixels of {width}"
        await self.page.set_viewport_size(size)

    def _note_request(self, request: Request) -> None:
        self.requests.append(request)
        if not request.url.startswith(f"{self.base_url}/"):
            self.complaints.append(f"request to {request.url}")

    def _note_message(self, message: ConsoleMessage) -> None:
        # Chromium counts every answer from 400 on as an error; a form that is shown again with 422 is none.
        if not message.text.startswith("Failed to load resource: the server responded with a status of 4"):
            self.complaints.append(f"{message.type}: {message.text}")

    def watch(self) -> None:
        self.page.on("request", self._note_request)
        self.page.on("console", self._note_message)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"{request.url}: {request.failure}"))


@asynccontextmanager
async def visiting(
    browser: Browser, base_url: str, *, language: str = "de", size: tuple[int, int] = DESK, scripts: bool = False
) -> AsyncIterator[Visit]:
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        is_mobile=size == PHONE,
        has_touch=size == PHONE,
        locale={"de": "de-DE", "en": "en-GB"}[language],
        java_script_enabled=scripts,
        user_agent=CHROME,
    )
    context.set_default_timeout(10_000)
    visit = Visit(await context.new_page(), base_url, language)
    visit.watch()
    yield visit
    assert not visit.complaints, "\n".join(visit.complaints)
    await context.close()
