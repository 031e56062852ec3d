"""`pixel-service demo` as a new user meets it: what it prints is true, the inbox works in a browser, Ctrl-C leaves nothing."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from pixel_service.cli.walkthrough import free_port
from tests.browser.visit import CHROME
from tests.journeys.people import READING_TAKES

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.slow

ANNA = "anna@example.com"


@dataclass(slots=True)
class Demo:
    story: str
    process: asyncio.subprocess.Process

    @property
    def service(self) -> str:
        return self._found(r"runs at (http://localhost:\d+)")

    @property
    def inbox(self) -> str:
        return self._found(r"the inbox at (http://127\.0\.0\.1:\d+)")

    @property
    def api_key(self) -> str:
        return self._found(r"PIXEL_API_KEY=(\S+)")

    @property
    def preparation(self) -> str:
        return self._found(r"(?ms)^ +(cd .*?PIXEL_API_KEY=\S+)$")

    @property
    def curl(self) -> str:
        return self._found(r"(?ms)^ +(curl .*?\.json)$")

    @property
    def send_command(self) -> str:
        return self._found(r"(?m)^ +(\S.* send \S.*)$")

    def _found(self, pattern: str) -> str:
        found = re.search(pattern, self.story)
        assert found, self.story
        return found[1]

    async def stop(self) -> str:
        """Ctrl-C; what was printed after the story, errors included."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stdout is not None
        rest = await asyncio.wait_for(self.process.stdout.read(), 15)
        await self.process.wait()
        return rest.decode()


@asynccontextmanager
async def started(folder: Path, port: int, inbox_port: int) -> AsyncIterator[Demo]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIXEL_")}
    arguments = ("demo", "--port", str(port), "--inbox-port", str(inbox_port))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pixel_service", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=kept | {"TMPDIR": str(folder)},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            story = ""
            while "Ctrl-C" not in story:
                line = await process.stdout.readline()
                assert line, story
                story += line.decode()
        yield Demo(story, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_printed_story_is_true_from_sign_up_to_report(tmp_path: Path, browser: "Browser") -> None:
    async with started(tmp_path, free_port(0), free_port(0)) as demo:
        page = await browser.new_page(user_agent=CHROME, java_script_enabled=False, locale="de-DE")
        page.set_default_timeout(10_000)
        await sign_up_and_confirm(demo, page)
        campaigns = await asyncio.to_thread(send_as_printed, demo)
        assert await opens(demo, campaigns) == 0

        await open_mail(demo, page, "Glasfaser im Gewerbegebiet", number=1)
        assert await opens(demo, campaigns) == 0
        await asyncio.sleep(READING_TAKES)
        async with page.expect_response(lambda response: "/o/" in response.url):
            await page.get_by_role("switch").click()
        assert await opens(demo, campaigns) == 1

        await page.get_by_role("button", name="Unsubscribe").click()
        assert "200 OK" in await page.inner_text(".answer")
        assert await opens(demo, campaigns) == 0
        assert "Traceback" not in await demo.stop()
        assert demo.process.returncode == 0


async def sign_up_and_confirm(demo: Demo, page: "Page") -> None:
    await page.goto(demo.service + "/newsletter/blog")
    await page.fill("[name=address]", ANNA)
    await page.check("[name=newsletter-blog]")
    await page.check("[name=tracking-opens]")
    await page.locator("main form button").first.click()
    await open_mail(demo, page, "Bitte bestätigen Sie Ihre Anmeldung", number=1)
    async with page.expect_popup() as opened:
        await page.frame_locator("iframe").locator('a[href*="/c/"]').first.click()
    confirm = await opened.value
    await confirm.locator("main form button").first.click()
    assert await confirm.locator(".ticks li").count() == 2
    await confirm.close()


async def open_mail(demo: Demo, page: "Page", subject: str, *, number: int) -> None:
    """From the list, which may need a moment until the mail is in it."""
    for _ in range(100):
        await page.goto(demo.inbox + "/?refresh=off")
        mails = page.locator(".list a", has_text=subject)
        if await mails.count() >= number:
            await mails.first.click()
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{subject} did not arrive")


def send_as_printed(demo: Demo) -> list[str]:
    """Both ways, by a shell; the ids of the campaigns whose answer names one."""
    shown = in_shell(f"{demo.preparation}\n{demo.send_command}")
    assert "Tracked 1, untracked 0, refused 0." in shown
    assert "Sent 1, failed 0, cancelled 0." in shown
    if shutil.which("curl") is None:
        pytest.skip("curl is missing: install Debian's package curl")
    return re.findall(r'"campaign_id":"(\w+)"', in_shell(f"{demo.preparation}\n{demo.curl}"))


def in_shell(script: str) -> str:
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def opens(demo: Demo, campaigns: list[str]) -> int:
    """Recipients of these campaigns who loaded images, by the API."""
    assert campaigns
    async with httpx.AsyncClient(base_url=demo.service, headers={"Authorization": f"Bearer {demo.api_key}"}) as client:
        answers = [await client.get(f"/v1/campaigns/{one}/report") for one in campaigns]
    return sum(int(answer.raise_for_status().json()["unique_opens"]) for answer in answers)


async def test_taken_ports_are_replaced_and_ctrl_c_leaves_no_trace(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        taken = [listener.getsockname()[1] for listener in (one, other)]
        async with started(tmp_path, *taken) as demo:
            assert not {httpx.URL(place).port for place in (demo.service, demo.inbox)} & set(taken)
            async with httpx.AsyncClient() as client:
                for place in (f"{demo.service}/health/ready", demo.inbox):
                    assert (await client.get(place)).status_code == 200
            assert left_in(tmp_path), "the demo keeps its database somewhere else"
            assert (await demo.stop()).strip() == "Stopped. Everything the demo stored is gone."
            assert demo.process.returncode == 0
            assert left_in(tmp_path) == []


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())
