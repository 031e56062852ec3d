"""The demo's inbox over real sockets: mail in by SMTP, pages out by HTTP, and hostile mail kept harmless."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import TYPE_CHECKING

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from pixel_service.demo.inbox import MAX_MAIL, Inbox
from pixel_service.demo.inbox_app import inbox_app, serve_inbox
from pixel_service.demo.received import Received, read_mail
from pixel_service.mail.smtp import SmtpRelay, SmtpTransport
from pixel_service.mail.transport import Accepted, Envelope, Rejected

if TYPE_CHECKING:
    from playwright.async_api import Browser

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Service:
    """Stands for the service: counts what is fetched and posted."""

    def __init__(self) -> None:
        self.pixels = 0
        self.posts: list[tuple[bytes, str]] = []
        self.url = ""

    async def pixel(self, request: Request) -> Response:
        self.pixels += 1
        gif = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
        return Response(gif, media_type="image/gif")

    async def unsubscribe(self, request: Request) -> Response:
        self.posts.append((await request.body(), request.headers["content-type"]))
        return HTMLResponse(
            "<title>x</title><style>p{}</style><p>You are <b>unsubscribed</b>.</p><p>12 opens deleted</p>"
        )

    async def elsewhere(self, request: Request) -> Response:
        return RedirectResponse("/u/token")

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/o/pixel.gif", self.pixel),
                Route("/u/token", self.unsubscribe, methods=["POST"]),
                Route("/u/moved", self.elsewhere, methods=["POST"]),
            ]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    inbox: Inbox
    transport: SmtpTransport
    browser: httpx.AsyncClient
    service: Service

    async def send(self, mail: EmailMessage | bytes, rcpt_to: str = "anna@example.org") -> Received:
        data = mail if isinstance(mail, bytes) else mail.as_bytes(policy=mail.policy.clone(linesep="\r\n"))
        outcome = await self.transport.send(Envelope(mail_from="bounce@example.com", rcpt_to=rcpt_to, data=data))
        assert isinstance(outcome, Accepted), outcome
        return self.inbox.mails()[0]

    async def page(self, path: str) -> str:
        answer = await self.browser.get(path)
        assert answer.status_code == 200, answer
        return answer.text


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    service = Service()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        service.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(service.app(), lifespan="off", log_config=None))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with serve_inbox(smtp_port=0, web_port=0, service_url=service.url, clock=lambda: NOON) as (inbox, url):
            relay = SmtpRelay(host="127.0.0.1", port=inbox.smtp_port, security="none", local_hostname="localhost")
            transport = SmtpTransport(relay)
            async with httpx.AsyncClient(base_url=url, trust_env=False) as browser:
                yield Demo(inbox=inbox, transport=transport, browser=browser, service=service)
            await transport.close()
        server.should_exit = True
        await serving


def newsletter(service: Service, html: str = "") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Nordlicht Telekom <news@example.com>"
    mail["To"] = "anna@example.org"
    mail["Subject"] = "Netzwerk-Blog: Grüße <b>aus Hamburg</b>"
    mail["List-Unsubscribe"] = f"<{service.url}/u/token>, <mailto:out@example.com>"
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(f"Hello Anna,\n\nread on: {service.url}/c/abc.\n")
    mail.add_alternative(
        html
        or f"<!doctype html><html><head><title>x</title></head><body><p>Hello Anna</p>"
        f'<img src="{service.url}/o/pixel.gif" width="1" height="1" alt=""><a href="{service.url}/c/abc">on</a></body></html>',
        subtype="html",
    )
    return mail


# --- what a reader sees -----------------------------------------------------------------------------------


async def test_a_mail_sent_by_smtp_is_in_the_list_unread_until_it_was_opened(demo: Demo) -> None:
    assert "No mail yet" in await demo.page("/")
    mail = await demo.send(newsletter(demo.service))
    page = await demo.page("/")
    assert "(1) Local inbox" in page
    assert "Netzwerk-Blog: Grüße &lt;b&gt;aus Hamburg&lt;/b&gt;" in page
    assert ">Nordlicht Telekom</span>" in page
    assert "To anna@example.org" in page
    assert (await demo.browser.head(f"/mails/{mail.number}")).status_code == 200
    assert demo.inbox.is_unread(mail.number)
    assert "Nordlicht Telekom &lt;news@example.com&gt;" in await demo.page(f"/mails/{mail.number}")
    assert not demo.inbox.is_unread(mail.number)
    assert "unread" not in (await demo.page("/")).split("<ol>")[0]


async def test_the_list_reloads_itself_and_can_be_told_not_to(demo: Demo) -> None:
    mail = await demo.send(newsletter(demo.service))
    assert 'http-equiv="refresh"' in await demo.page("/")
    assert 'http-equiv="refresh"' not in await demo.page("/?refresh=off")
    assert 'http-equiv="refresh"' not in await demo.page(f"/mails/{mail.number}")


async def test_every_part_and_header_can_be_seen(demo: Demo) -> None:
    mail = await demo.send(newsletter(demo.service))
    page = await demo.page(f"/mails/{mail.number}?view=text")
    assert f'<a href="{demo.service.url}/c/abc" target="_blank"' in page
    assert "List-Unsubscribe-Post" in page
    assert "bounce@example.com" in page
    assert "Content-Type: multipart/alternative" in await demo.page(f"/mails/{mail.number}?view=source")
    download = await demo.browser.get(f"/mails/{mail.number}/source")
    assert download.content == mail.source
    assert "attachment" in download.headers["content-disposition"]


async def test_a_picture_inside_the_mail_is_shown_without_asking(demo: Demo) -> None:
    mail = newsletter(demo.service, '<p><img src="cid:logo@example.com" alt="Logo"></p>')
    html = mail.get_payload(1)
    assert isinstance(html, EmailMessage)
    html.add_related(b"\x89PNG", maintype="image", subtype="png", cid="<logo@example.com>")
    received = await demo.send(mail)
    assert "data:image/png;base64,iVBORw==" in await demo.page(f"/mails/{received.number}/html")


# --- images and the sandbox -------------------------------------------------------------------------------


async def test_images_from_outside_are_off_until_switched_on(demo: Demo) -> None:
    number = (await demo.send(newsletter(demo.service))).number
    off, on = await demo.page(f"/mails/{number}"), await demo.page(f"/mails/{number}?images=on")
    assert 'aria-checked="false"' in off
    assert "1 image from outside not loaded" in off
    assert 'aria-checked="true"' in on
    assert f'src="/mails/{number}/html?images=on"' in on
    policies = [
        (await demo.browser.get(f"/mails/{number}/html{query}")).headers["content-security-policy"]
        for query in ("", "?images=on")
    ]
    assert "img-src data:;" in policies[0]
    assert "img-src data: http: https:;" in policies[1]
    for policy in policies:
        assert "default-src 'none'" in policy
        assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy


async def test_in_a_browser_the_pixel_fires_only_when_images_are_loaded(demo: Demo, browser: "Browser") -> None:
    hostile = "<script>document.title='run'</script><meta http-equiv=refresh content='0;url=/'>"
    number = (
        await demo.send(newsletter(demo.service, f'{hostile}<p>Hi</p><img src="{demo.service.url}/o/pixel.gif">'))
    ).number
    page = await browser.new_page()
    await page.goto(f"{demo.browser.base_url}mails/{number}", wait_until="networkidle")
    assert demo.service.pixels == 0
    await page.get_by_role("switch", name="Load images").click()
    await page.wait_for_load_state("networkidle")
    assert demo.service.pixels == 1
    frame = page.frames[1]
    assert frame.url.endswith("/html?images=on")
    assert await frame.locator("p").inner_text() == "Hi"
    assert await frame.title() == ""


async def test_links_of_a_mail_open_outside_its_frame(demo: Demo) -> None:
    for html, expected in (
        ("<!doctype html><html><head><title>a</title></head></html>", '<head><base target="_blank"><title>'),
        ("<!DOCTYPE html><p>a", '<!DOCTYPE html><base target="_blank"><p>'),
        ("<p>a", '<base target="_blank"><p>a'),
    ):
        number = (await demo.send(newsletter(demo.service, html))).number
        assert expected in await demo.page(f"/mails/{number}/html")


# --- unsubscribe ------------------------------------------------------------------------------------------


async def test_the_unsubscribe_button_posts_one_click_to_the_service_and_shows_its_answer(demo: Demo) -> None:
    number = (await demo.send(newsletter(demo.service))).number
    assert ">Unsubscribe</button>" in await demo.page(f"/mails/{number}")
    answer = await demo.browser.post(f"/mails/{number}/unsubscribe")
    assert demo.service.posts == [(b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded")]
    assert "200 OK" in answer.text
    assert "You are unsubscribed.\n12 opens deleted" in answer.text


async def test_a_redirect_is_shown_and_not_followed(demo: Demo) -> None:
    mail = newsletter(demo.service)
    mail.replace_header("List-Unsubscribe", f"<{demo.service.url}/u/moved>")
    number = (await demo.send(mail)).number
    assert "307 Temporary Redirect" in (await demo.browser.post(f"/mails/{number}/unsubscribe")).text
    assert demo.service.posts == []


@pytest.mark.parametrize(
    "uri",
    ["https://example.com/u", "http://127.0.0.1:1/u", "http://127.0.0.1:99999/", "mailto:a@b.example", "http://["],
)
async def test_nothing_but_the_service_is_ever_posted_to(demo: Demo, uri: str) -> None:
    mail = newsletter(demo.service)
    mail.replace_header("List-Unsubscribe", f"<{uri}>")
    number = (await demo.send(mail)).number
    assert "Unsubscribe</button>" not in await demo.page(f"/mails/{number}")
    assert (await demo.browser.post(f"/mails/{number}/unsubscribe")).status_code == 404


async def test_a_service_that_is_down_is_shown_as_that() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        service = Service()
        service.url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        inbox = Inbox(lambda: NOON)
        mail = inbox.take("a@example.com", "b@example.org", newsletter(service).as_bytes())
        app = httpx.ASGITransport(inbox_app(inbox, service.url))
        async with httpx.AsyncClient(transport=app, base_url="http://localhost") as browser:
            answer = await browser.post(f"/mails/{mail.number}/unsubscribe")
    assert answer.status_code == 200
    assert "No answer" in answer.text


async def test_a_mail_without_the_one_click_header_has_no_button(demo: Demo) -> None:
    mail = newsletter(demo.service)
    del mail["List-Unsubscribe-Post"]
    number = (await demo.send(mail)).number
    assert "Unsubscribe</button>" not in await demo.page(f"/mails/{number}")


async def test_another_site_can_neither_press_the_button_nor_read_the_inbox(demo: Demo) -> None:
    number = (await demo.send(newsletter(demo.service))).number
    foreign = await demo.browser.post(f"/mails/{number}/unsubscribe", headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    assert demo.service.posts == []
    assert (await demo.browser.get("/", headers={"Host": "evil.example"})).status_code == 400


# --- hostile and odd mail ---------------------------------------------------------------------------------

HOSTILE = {
    "empty": b"\r\n",
    "no headers": b"\r\njust text\r\n",
    "broken encoded words": b"Subject: =?utf-9?Q?=FF?= =?x?B?####?=\r\nFrom: =?utf-8?B?w?=\r\n\r\nx\r\n",
    "raw bytes": b"Subject: \xff\xfe\x80\r\nFrom: \xe4\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xff\xfe\r\n",
    "charset with NUL": b"Content-Type: text/html; charset=\"a\\0b\"\r\n\r\n<p>\xff\r\n",
    "bad base64": b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!\r\n",
    "multipart without parts": b"Content-Type: multipart/mixed\r\n\r\nx\r\n",
    "markup in headers": b'Subject: "><script>alert(1)</script>\r\nX-"><img src=x>: <img src=x>\r\n\r\nx\r\n',
    "markup in the text": b"Subject: x\r\n\r\nhttp://a/\"onmouseover=alert(1) <script>alert(1)</script>\r\n",
    "many nested parts": b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level) for level in range(3000)
    ),
    "many parts": b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 2000,
    "unfinished html": b"Content-Type: text/html\r\n\r\n<![CDATA[ <! <!-- <a href=\"\r\n",
    "nothing but openings": b"Content-Type: text/html\r\n\r\n" + b"<img <head <!doctype src" * 20_000,
    "endless headers": b"X: y\r\n" * 5000 + b"Subject: " + b"x\r\n " * 50_000 + b"\r\n\r\nx\r\n",
    "unsubscribe nonsense": b"List-Unsubscribe: <http://[::>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nx\r\n",
}  # fmt: skip


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
async def test_no_mail_breaks_the_inbox(source: bytes) -> None:
    inbox = Inbox(lambda: NOON)
    number = inbox.take("a@example.com", "b@example.org", source).number
    app = httpx.ASGITransport(inbox_app(inbox, "http://127.0.0.1:1"))
    async with httpx.AsyncClient(transport=app, base_url="http://127.0.0.1") as browser:
        for rest in ("", "?view=text", "?view=source", "/html", "/source"):
            answer = await browser.get(f"/mails/{number}{rest}")
            assert answer.status_code == 200
            if rest not in {"/html", "/source"}:
                assert "<script" not in answer.text
                assert "<img" not in answer.text
                assert '"onmouseover' not in answer.text
        assert (await browser.get("/")).status_code == 200


async def test_a_mail_over_ten_megabytes_is_refused_and_the_next_is_taken(demo: Demo) -> None:
    line = b"x" * 98 + b"\r\n"
    big = Envelope(mail_from="a@example.com", rcpt_to="b@example.org", data=line * (MAX_MAIL // len(line) + 1))
    outcome = await demo.transport.send(big)
    assert isinstance(outcome, Rejected)
    assert outcome.code == 552
    await demo.send(newsletter(demo.service))
    assert len(demo.inbox.mails()) == 1


def test_the_oldest_mails_make_room_for_new_ones() -> None:
    inbox = Inbox(lambda: NOON)
    for number in range(600):
        inbox.take("a@example.com", "b@example.org", b"Subject: %d\r\n\r\n" % number)
    assert [mail.subject for mail in inbox.mails()] == [str(number) for number in range(599, 99, -1)]


def test_large_mails_make_room_for_each_other() -> None:
    inbox = Inbox(lambda: NOON, max_bytes=1000)
    for number in range(5):
        inbox.take("a@example.com", "b@example.org", b"Subject: %d\r\n\r\n" % number + b"x" * 400)
    assert [mail.subject for mail in inbox.mails()] == ["4", "3"]


def test_what_is_not_there_is_left_out() -> None:
    mail = read_mail(number=1, received_at=NOON, mail_from="", rcpt_to="", source=b"Subject: x\r\n\r\nhello\r\n")
    assert (mail.html, mail.text, mail.unsubscribe_uri, mail.one_click) == (None, "hello\r\n", None, False)
    assert mail.preview == "hello"


async def test_an_unknown_mail_is_not_found(demo: Demo) -> None:
    for path in ("/mails/9", "/mails/9/html", "/mails/9/source"):
        assert (await demo.browser.get(path)).status_code == 404


async def test_stopping_lets_go_of_both_ports_at_once() -> None:
    async with serve_inbox(smtp_port=0, web_port=0, service_url="http://127.0.0.1:1", clock=lambda: NOON) as (
        inbox,
        url,
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", inbox.smtp_port)
        web_port = httpx.URL(url).port
        assert web_port is not None
    writer.close()
    async with serve_inbox(
        smtp_port=inbox.smtp_port, web_port=web_port, service_url="http://127.0.0.1:1", clock=lambda: NOON
    ):
        pass
