"""What prospects and pipelines do, over HTTP and by reading their mail; nothing here looks into the service."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from pixel_service.domain.settling import EARLY
from tests.journeys.forms import form
from tests.journeys.service import html_of, text_of
from tests.smtp_server import ReceivedMail, SmtpServer

#: Until a fetch is no longer taken for a scanner's.
READING_TAKES = EARLY + 1
#: Gmail's image proxy: a person's open however soon after the delivery it comes, while tests have no time to wait.
MAIL_CLIENT = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
#: As a person's browser calls itself; the service asks programs for more.
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
}
_LINK = re.compile(r"https?://[^\s\"'<>)]+")


def links(mail: ReceivedMail) -> list[str]:
    """Every address in a mail: header, text and HTML."""
    headers = " ".join(str(value) for value in mail.message.values())
    found = _LINK.findall(" ".join((headers, text_of(mail), html_of(mail).replace("&amp;", "&"))))
    return sorted(set(found))


def link(mail: ReceivedMail, kind: str) -> str:
    """The mail's link of one kind: ``c`` confirm, ``p`` preferences, ``u`` unsubscribe, ``t`` stop tracking,
    ``d`` download, ``o`` pixel, ``privacy/me`` one's own data. The receipt behind the preferences is a file of theirs."""
    paths = {one: urlsplit(one).path for one in links(mail)}
    found = {one for one, path in paths.items() if path.startswith(f"/{kind}/") and not path.endswith(".jsonld")}
    assert len(found) == 1, f"{len(found)} links of kind {kind}"
    return found.pop()


def pixels(mail: ReceivedMail) -> list[str]:
    return [one for one in links(mail) if urlsplit(one).path.startswith("/o/")]


def mails_to(smtp: SmtpServer, address: str) -> list[ReceivedMail]:
    return [mail for mail in smtp.mails if mail.rcpt_to == address]


@dataclass(slots=True)
class Person:
    """Someone with an address, a browser and a mailbox."""

    address: str
    client: httpx.AsyncClient
    smtp: SmtpServer

    async def next_mail(self, number: int) -> ReceivedMail:
        """Their mail number `number`, from 1, once it is there."""
        for _ in range(400):
            have = mails_to(self.smtp, self.address)
            if len(have) >= number:
                return have[number - 1]
            await asyncio.sleep(0.05)
        raise TimeoutError(f"{len(mails_to(self.smtp, self.address))} mails came, {number} were expected")

    async def sign_up(self, *ticks: str, offer: str = "/newsletter/blog", **fields: str) -> httpx.Response:
        page = await self.client.get(offer)
        assert page.status_code == 200, page.text
        filled = form(page.text)
        assert not set(filled.checkboxes) & set(filled.values), "a box is ticked beforehand"
        for part in ticks:
            filled.tick(part)
        return await self.client.post(filled.action or offer, data=filled.values | {"address": self.address} | fields)

    async def confirm(self, mail: ReceivedMail, *unticks: str) -> httpx.Response:
        return await self.press(link(mail, "c"), *unticks)

    async def press(self, url: str, *unticks: str) -> httpx.Response:
        """Open a page and press its first button."""
        page = await self.client.get(url)
        assert page.status_code == 200, page.text
        filled = form(page.text)
        for part in unticks:
            filled.untick(part)
        target = filled.action or str(page.url)
        target = str(httpx.URL(str(page.url)).join(target))
        return await self.client.post(target, data=filled.values, headers=BROWSER)

    async def load_images(self, mail: ReceivedMail, user_agent: str = MAIL_CLIENT) -> None:
        for pixel in pixels(mail):
            answer = await self.client.get(pixel, headers={"User-Agent": user_agent})
            assert (answer.status_code, len(answer.content)) == (200, 43)
            if answer.elapsed.total_seconds() > 0.2:
                # Perhaps the answer at the deadline of a machine that does more than it can: its commit follows.
                await asyncio.sleep(2)

    async def join(self, *ticks: str, offer: str = "/newsletter/blog") -> int:
        """Sign up and confirm; returns how many mails they have by then."""
        have = len(mails_to(self.smtp, self.address))
        assert (await self.sign_up(*ticks, offer=offer)).status_code == 200
        confirmed = await self.confirm(await self.next_mail(have + 1))
        assert confirmed.status_code == 200, confirmed.text
        await self.next_mail(have + 2)
        return have + 2


@dataclass(slots=True)
class Pipeline:
    """A program with an API key."""

    client: httpx.AsyncClient
    key: str

    async def send(self, campaign: str, *, idempotency_key: str | None = None, **body: Any) -> httpx.Response:
        content: dict[str, Any] = {
            "campaign": campaign,
            "purpose": "newsletter:blog",
            "template": "newsletter",
            "variables": {"subject": campaign, "headline": "Glasfaser", "intro": "Neues aus dem Netz."},
        }
        if "recipients" not in body:
            content["audience"] = "subscribers"
        return await self.client.post(
            "/v1/send",
            json=content | body,
            headers=self._headers | {"Idempotency-Key": idempotency_key or campaign},
        )

    async def report(self, campaign_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"/v1/campaigns/{campaign_id}/report", headers=self._headers)
        assert answer.status_code == 200, answer.text
        report: dict[str, Any] = answer.json()
        return report

    async def delivered(self, send_id: str, count: int) -> None:
        """Until `count` mails of a send are with the relay."""
        delivery: dict[str, int] = {}
        for _ in range(2400):
            answer = await self.client.get(f"/v1/sends/{send_id}", headers=self._headers)
            delivery = answer.json()["delivery"]
            if delivery.get("sent", 0) >= count:
                return
            await asyncio.sleep(0.05)
        raise TimeoutError(f"{delivery}, {count} were expected")

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}
