"""Somebody changes their mind while the relay is being spoken to: over a real socket, after RCPT and before DATA (D3)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from pixel_service.mail.smtp import SmtpRelay, SmtpTransport
from pixel_service.mail.transport import Envelope, Outcome
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import pixels
from pixel_service.usecases.context import Context
from pixel_service.usecases.deliver import deliver_batch
from pixel_service.usecases.withdraw import Source, withdraw
from tests.access import Clock
from tests.builders import BLOG, OPENS, Relay, context
from tests.smtp_server import ReceivedMail, SmtpServer
from tests.usecases.test_deliver import desk, reader, send_to, the_mail

ASKED = ["mail", "rcpt"]
TAKEN = [*ASKED, "data", "content"]


@dataclass(slots=True)
class Interrupted:
    """The real transport; something happens once, just before the last question about a mail is answered."""

    smtp: SmtpTransport
    happening: Callable[[], Awaitable[object]]
    #: Recipients asked about, in order.
    asked: list[str] = field(default_factory=list)

    async def send(self, envelope: Envelope) -> Outcome:
        async def still_wanted() -> bool:
            self.asked.append(envelope.rcpt_to)
            if len(self.asked) == 1:
                await self.happening()
            return await envelope.still_wanted()

        return await self.smtp.send(replace(envelope, still_wanted=still_wanted))

    async def close(self) -> None:
        await self.smtp.close()


@asynccontextmanager
async def interrupted(server: SmtpServer, happening: Callable[[], Awaitable[object]]) -> AsyncIterator[Interrupted]:
    """One connection, so that the next mail shows whether it is still good."""
    relay = SmtpRelay(host=server.host, port=server.port, security="none", pool_size=1, timeout=timedelta(seconds=20))
    transport = Interrupted(SmtpTransport(relay), happening)
    yield transport
    await transport.close()


@pytest.fixture
async def server() -> AsyncIterator[SmtpServer]:
    async with SmtpServer() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ctx(db: Database, clock: Clock) -> Context:
    return context(db, clock)


def html_of(mail: ReceivedMail) -> str:
    part = mail.message.get_body(("html",))
    assert part is not None
    return str(part.get_content())


async def pixels_of(ctx: Context) -> int:
    async with ctx.db.read() as connection:
        return len((await connection.execute(select(pixels))).all())


async def test_tracking_withdrawn_during_the_hand_over_has_the_mail_written_again_without_its_pixel(
    ctx: Context, server: SmtpServer
) -> None:
    person = await reader(ctx)
    await send_to(ctx, "anna@example.com")
    async with interrupted(server, lambda: withdraw(ctx, person, {OPENS}, Source.STOP_TRACKING_PAGE)) as transport:
        await deliver_batch(replace(ctx, transport=transport), desk())
    assert server.stages == ["connect", *ASKED, *TAKEN]
    (mail,) = server.mails
    assert "/o/" not in html_of(mail)
    assert "/t/" not in html_of(mail)
    row = await the_mail(ctx.db)
    assert mail.message["Message-ID"] == f"<{row.message_id}@news.example>"
    assert (row.status, row.tracking, await pixels_of(ctx)) == ("sent", "none", 0)


async def test_a_newsletter_withdrawn_during_the_hand_over_is_cancelled_and_none_of_it_leaves(
    ctx: Context, server: SmtpServer
) -> None:
    person = await reader(ctx)
    await send_to(ctx, "anna@example.com")
    async with interrupted(server, lambda: withdraw(ctx, person, {BLOG}, Source.ONE_CLICK)) as transport:
        await deliver_batch(replace(ctx, transport=transport), desk())
    assert server.stages == ["connect", *ASKED]
    assert server.mails == []
    row = await the_mail(ctx.db)
    assert (row.status, row.reason, row.variables) == ("cancelled", "consent_withdrawn", {})
    assert await pixels_of(ctx) == 0


async def test_who_leaves_during_the_hand_over_costs_the_next_reader_nothing(ctx: Context, server: SmtpServer) -> None:
    anna, bo = await reader(ctx), await reader(ctx, "bo@example.com")
    people = {"anna@example.com": anna, "bo@example.com": bo}
    await send_to(ctx, *people)

    async def leave() -> None:
        await withdraw(ctx, people[transport.asked[0]], {BLOG}, Source.ONE_CLICK)

    async with interrupted(server, leave) as transport:
        await deliver_batch(replace(ctx, transport=transport), desk(1))
    assert server.stages == ["connect", *ASKED, *TAKEN]
    assert [mail.rcpt_to for mail in server.mails] == transport.asked[1:]
    assert "/o/" in html_of(server.mails[0])


async def test_a_mail_another_worker_took_over_during_the_hand_over_goes_out_once(
    ctx: Context, server: SmtpServer, clock: Clock
) -> None:
    await reader(ctx)
    await send_to(ctx, "anna@example.com")
    other = Relay()

    async def somebody_else_comes_by() -> None:
        clock.move(ctx.policy.lease)
        await deliver_batch(replace(ctx, transport=other), desk())

    async with interrupted(server, somebody_else_comes_by) as transport:
        await deliver_batch(replace(ctx, transport=transport), desk())
    assert len(other.taken) == 1
    assert (server.mails, server.stages) == ([], ["connect", *ASKED])
    assert (await the_mail(ctx.db)).status == "sent"
