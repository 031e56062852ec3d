"""The embedded form in a real browser, on a page of another origin."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.visit import CHROME
from tests.journeys.people import link, mails_to
from tests.journeys.service import Process, environment, free_port, process, until_ready
from tests.smtp_server import SmtpServer

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


@pytest.fixture
def shop() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def service(tmp_path: Path, smtp: SmtpServer, shop: str) -> Iterator[Process]:
    variables = environment(
        f"sqlite:///{tmp_path / 'pixel.db'}", port=free_port(), smtp_port=smtp.port, form_origins=shop
    )
    with process(variables, "serve") as started:
        asyncio.run(until_ready(started))
        yield started


@contextmanager
def site(address: str, html: str) -> Iterator[None]:
    """Another company's web server, with one page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", int(address.rpartition(":")[2])), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


@asynccontextmanager
async def page_of(browser: "Browser", address: str, html: str) -> AsyncIterator["Page"]:
    with site(address, html):
        context = await browser.new_context(user_agent=CHROME)
        context.set_default_timeout(10_000)
        page = await context.new_page()
        await page.goto(f"{address}/offers?person=7")
        yield page
        await context.close()


async def test_the_script_puts_a_form_on_a_listed_page_and_signs_up_in_place(
    browser: "Browser", service: Process, smtp: SmtpServer, shop: str
) -> None:
    html = (
        f'<!doctype html><html lang="en"><p>Shop</p><script src="{service.base_url}/embed/newsletter/blog.js"></script>'
    )
    async with page_of(browser, shop, html) as page:
        await page.wait_for_selector("form.pixel-sign-up button")
        assert await page.locator("form input:checked").count() == 0
        assert "privacy notice" in await page.inner_text("form")
        await page.fill("form [type=email]", "anna@example.com")
        await page.check("form [type=checkbox] >> nth=0")
        await page.click("form button")
        await page.wait_for_function("document.querySelector('form').innerText.includes('check your mail')")
    for _ in range(200):
        if mails_to(smtp, "anna@example.com"):
            break
        await asyncio.sleep(0.05)
    (mail,) = mails_to(smtp, "anna@example.com")
    assert link(mail, "c")


async def test_on_a_page_that_is_not_listed_the_script_only_leads_to_the_hosted_form(
    browser: "Browser", service: Process
) -> None:
    html = f'<!doctype html><p>Shop</p><script src="{service.base_url}/embed/newsletter/blog.js"></script>'
    async with page_of(browser, f"http://127.0.0.1:{free_port()}", html) as page:
        await page.wait_for_selector("form.pixel-sign-up a")
        assert await page.get_attribute("form a", "href") == f"{service.base_url}/newsletter/blog?lang=de"
        assert await page.locator("form input").count() == 0
