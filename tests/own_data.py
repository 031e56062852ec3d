"""A person of whom something stands in every table that may name one, and somebody else beside them."""

from datetime import timedelta

from sqlalchemy import insert, select

from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.opens import Fetch, Judgement, Verdict
from pixel_service.storage.recording import store
from pixel_service.storage.schema import (
    address_changes,
    audit_log,
    inbound_unclear,
    pixels,
    rights_requests,
    webhook_deliveries,
    webhook_endpoints,
)
from pixel_service.storage.texts import publish
from pixel_service.usecases.confirm import Confirmed, confirm
from pixel_service.usecases.content import Content
from pixel_service.usecases.context import Context
from pixel_service.usecases.send import SendCommand, expand_audience, send
from tests.builders import BLOG, OPENS, ask, confirm_link, deliver

ADA, BO = "ada@example.com", "bo@example.com"
GMAIL = Judgement(Verdict.PROXY_OPEN, "gmail", "Gmail")
SCANNER = Judgement(Verdict.SCANNER, "security_product")


async def everything(ctx: Context) -> SubscriberId:
    """Ada agreed to the newsletter and to measuring, has a mail of it and opened it, wrote to us, used a right, was looked
    at, and a processor was told of her; the same for Bo, all with other words."""
    async with ctx.db.write() as connection:
        await publish(connection, ctx.catalogue, at=ctx.clock())
    ada = await agree(ctx, ADA, first_name="Ada", last_name="=HYPERLINK(1)", company="Ada's Ämter")
    bo = await agree(ctx, BO, first_name="Bobby", company="Bobs Bude")
    await mail_out(ctx, "November")
    for number, person in enumerate((ada, bo)):
        await open_newest(ctx, person, GMAIL)
        await open_newest(ctx, person, SCANNER)
        await _note_everywhere(ctx, person, number, "Ada fragt" if person == ada else "Bobby fragt")
    return ada


async def agree(ctx: Context, address: str, **details: str) -> SubscriberId:
    """By the mail, which is kept as it was sent."""
    person = await ask(ctx, address, BLOG, OPENS, **details)
    await deliver(ctx)
    token = (await confirm_link(ctx, person)).rpartition("/")[2]
    assert isinstance(await confirm(ctx, token, (BLOG, OPENS)), Confirmed)
    return person


async def mail_out(ctx: Context, campaign: str) -> None:
    """One mail of the newsletter to everybody who agreed."""
    content = Content(subject=f"Neues im {campaign}", template=None, html="<p>Neues</p>", text=None, variables={})
    await send(
        ctx,
        SendCommand(
            campaign=campaign,
            purpose=BLOG,
            content=content,
            recipients=None,
            api_key_id="a",
            idempotency_key=campaign,
            body_hash="",
        ),
    )
    while await expand_audience(ctx):
        pass
    await deliver(ctx)


async def open_newest(ctx: Context, person: SubscriberId, judgement: Judgement) -> None:
    """The image in their newest mail is loaded a minute after it was sent."""
    async with ctx.db.write() as connection:
        query = select(pixels.c.pixel_id).where(pixels.c.subscriber_id == person).order_by(pixels.c.closes_at.desc())
        pixel_id = (await connection.execute(query)).scalars().first()
        open_id = ctx.ids().encode()[-17:-1]
        fetch = Fetch(open_id=open_id, pixel_id=pixel_id, at=ctx.clock() + timedelta(minutes=1), judgement=judgement)
        assert (await store(connection, [fetch])).recorded == 1


async def _note_everywhere(ctx: Context, person: SubscriberId, number: int, words: str) -> None:
    """What other journeys write: a letter, a request, a look, a notice to a processor."""
    now = ctx.clock()
    endpoint = ctx.ids()
    async with ctx.db.write() as connection:
        await connection.execute(
            insert(inbound_unclear).values(
                inbound_id=ctx.ids(),
                received_at=now,
                subscriber_id=person,
                sender="elsewhere@example.com",
                subject=words,
                excerpt=f"{words}, bitte.",
                message_id_header="<1@example.com>",
                state="done",
                done_at=now,
                done_by="a-colleague",
            )
        )
        await connection.execute(
            insert(address_changes).values(
                change_id=ctx.ids(),
                subscriber_id=person,
                address=f"{number}.new@example.com",
                address_key=f"{number}.new@example.com",
                previous_address=f"{number}.old@example.com",
                asked_at=now,
                expires_at=now + timedelta(days=2),
            )
        )
        await connection.execute(
            insert(rights_requests).values(
                request_id=ctx.ids(),
                subscriber_id=person,
                kind="access",
                source="operator",
                asked_at=now,
                due_at=now + timedelta(days=30),
                note=f"letter of {words}",
            )
        )
        await connection.execute(
            insert(audit_log).values(at=now, who="mia@example.com", act="evidence", subject=person, reason=words)
        )
        await connection.execute(
            insert(webhook_endpoints).values(
                endpoint_id=endpoint, url=f"https://{number}.example", events="confirmed", secret=b"s", created_at=now
            )
        )
        await connection.execute(
            insert(webhook_deliveries).values(
                webhook_id=ctx.ids(),
                endpoint_id=endpoint,
                subject=person,
                event="confirmed",
                payload=b"sealed",
                status="waiting",
                queued_at=now,
                due_at=now,
            )
        )
