"""People who have agreed, and mails that carry their pixels, put straight into a database: a journey of hundreds starts here."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import TRACKING_OPENS, Event, Purpose, newsletter
from pixel_service.domain.messages import CampaignId, MessageId, PixelId, Status, SubscriberId
from pixel_service.domain.tokens import Tokens, encode_id
from pixel_service.storage import consent, figures, messages, sends, subscribers
from pixel_service.storage.consent import Happening
from pixel_service.storage.engine import Connection, Database
from tests.journeys.service import SECRET

BLOG = newsletter("blog")
TOKENS = Tokens([SECRET.encode()])


def an_id() -> str:
    return encode_id(os.urandom(16))


def now() -> datetime:
    return datetime.now(UTC)


async def agree(connection: Connection, address: str, *purposes: Purpose) -> SubscriberId:
    parsed = parse_address(address)
    person = await subscribers.upsert(connection, parsed, new_id=SubscriberId(an_id()), at=now())
    for purpose in purposes:
        for event in (Event.REQUEST, Event.CONFIRM):
            await consent.record(
                connection,
                Happening(subscriber_id=person, purpose=purpose, event=event, at=now(), content={}, salt=an_id()),
            )
    return person


async def agreeing_people(database: Database, count: int) -> list[str]:
    """`count` subscribers of the blog who also agreed to open tracking; their addresses."""
    addresses = [f"person{number}@example.com" for number in range(count)]
    async with database.write() as connection:
        for address in addresses:
            await agree(connection, address, BLOG, TRACKING_OPENS)
    return addresses


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail that is out, with the path of its pixel."""

    message_id: MessageId
    path: str


async def sent_mails(database: Database, count: int) -> list[Sent]:
    """`count` tracked mails to one person, as if the relay had taken them."""
    async with database.write() as connection:
        person = await agree(connection, "anna@example.com", BLOG, TRACKING_OPENS)
        campaign = await sends.hold_campaign(
            connection, name=f"seed {an_id()}", purpose=BLOG, new_id=CampaignId(an_id()), at=now()
        )
        new = [MessageId(an_id()) for _ in range(count)]
        pixel_ids = {message_id: PixelId(an_id()) for message_id in new}
        await messages.enqueue(connection, [_message(one, person, campaign.campaign_id) for one in new])
        lease = an_id()
        for part in _parts(new, 500):
            await messages.claim_due(connection, now=now(), lease=lease, lease_for=timedelta(hours=1), limit=len(part))
        # Long enough ago that nobody is too fast to be a person.
        sent_at = now() - timedelta(hours=1)
        plan = messages.PixelPlan(
            tracked={one: (pixel_ids[one], person) for one in new},
            untracked=[],
            handed_over_by=sent_at,
            closes_at=now() + timedelta(days=30),
        )
        async with figures.kept_of(connection, new):
            await messages.set_pixels(connection, plan)
            for one in new:
                await messages.record_result(
                    connection, messages.Result(message_id=one, status=Status.SENT, sent_at=sent_at), lease=lease
                )
    return [Sent(one, f"/o/{TOKENS.mint_pixel(pixel_ids[one])}.gif") for one in new]


def _parts(ids: Sequence[MessageId], size: int) -> list[Sequence[MessageId]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def _message(message_id: MessageId, person: SubscriberId, campaign_id: CampaignId) -> messages.NewMessage:
    return messages.NewMessage(
        message_id=message_id,
        subscriber_id=person,
        purpose=BLOG,
        language="de",
        variables={},
        queued_at=now(),
        # Each its own campaign mail in spirit; the index forbids one person twice per send, not per campaign.
        campaign_id=campaign_id,
    )
