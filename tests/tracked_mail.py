"""Sent mails with a pixel, written straight to the tables: what recording, erasing and reporting start from."""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert

from pixel_service.domain.consent import TRACKING_OPENS, Event, Purpose, State
from pixel_service.domain.messages import CampaignId, MessageId, PixelId, Status, SubscriberId, Tracking
from pixel_service.domain.opens import Fetch, Judgement, Verdict
from pixel_service.domain.tokens import encode_id
from pixel_service.storage.consent import Happening, record
from pixel_service.storage.engine import Connection
from pixel_service.storage.opens import Erased, erase_opens
from pixel_service.storage.schema import campaigns, consents, messages, pixels, subscribers

NOW = datetime(2026, 11, 3, 9, 0, 0, 123456, tzinfo=UTC)
#: Before all campaigns: they are whole.
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
BLOG = Purpose("newsletter:blog")
GMAIL = Judgement(Verdict.PROXY_OPEN, "gmail", "Gmail")
_numbers = itertools.count(1)


def new_id() -> str:
    return encode_id(next(_numbers).to_bytes(16, "big"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedMail:
    subscriber_id: SubscriberId
    message_id: MessageId
    pixel_id: PixelId


async def add_campaign(connection: Connection, name: str = "November", *, at: datetime = NOW) -> CampaignId:
    campaign_id = CampaignId(new_id())
    await connection.execute(insert(campaigns).values(campaign_id=campaign_id, name=name, purpose=BLOG, created_at=at))
    return campaign_id


async def add_person(connection: Connection, tracking: State | None = State.GIVEN) -> SubscriberId:
    """`tracking` None: no record at all of a tracking consent."""
    person = SubscriberId(new_id())
    address = f"{person}@example.com"
    await connection.execute(
        insert(subscribers).values(subscriber_id=person, address=address, address_key=address, created_at=NOW)
    )
    states = [(BLOG, State.GIVEN)] + ([(TRACKING_OPENS, tracking)] if tracking else [])
    for purpose, state in states:
        await connection.execute(
            insert(consents).values(
                subscriber_id=person, purpose=purpose, state=state.value, decided_at=NOW, ledger_seq=1
            )
        )
    return person


async def add_mail(
    connection: Connection,
    person: SubscriberId,
    *,
    campaign_id: CampaignId | None = None,
    tracking: Tracking = Tracking.TRACKED,
    sent_at: datetime | None = NOW,
) -> TrackedMail:
    mail = TrackedMail(subscriber_id=person, message_id=MessageId(new_id()), pixel_id=PixelId(new_id()))
    await connection.execute(
        insert(messages).values(
            message_id=mail.message_id,
            subscriber_id=person,
            campaign_id=campaign_id,
            purpose=BLOG,
            language="de",
            variables={},
            status=(Status.SENT if sent_at else Status.QUEUED).value,
            tracking=tracking.value,
            queued_at=NOW,
            due_at=NOW,
            sent_at=sent_at,
        )
    )
    if tracking is Tracking.TRACKED:
        await connection.execute(
            insert(pixels).values(
                pixel_id=mail.pixel_id,
                message_id=mail.message_id,
                subscriber_id=person,
                closes_at=NOW + timedelta(days=30),
            )
        )
    return mail


async def add_tracked_mail(connection: Connection, tracking: State | None = State.GIVEN) -> TrackedMail:
    return await add_mail(connection, await add_person(connection, tracking))


def fetch(pixel_id: PixelId | None, *, at: datetime = NOW, judgement: Judgement = GMAIL) -> Fetch:
    return Fetch(open_id=next(_numbers).to_bytes(16, "big"), pixel_id=pixel_id, at=at, judgement=judgement)


async def say(connection: Connection, person: SubscriberId, event: Event) -> None:
    """One event on a person's tracking consent, through the one writer of consent."""
    await record(
        connection,
        Happening(subscriber_id=person, purpose=TRACKING_OPENS, event=event, at=NOW, content={}, salt=new_id()),
    )


async def withdraw_tracking(connection: Connection, person: SubscriberId) -> Erased:
    """The steps of every withdrawal, in their order."""
    await say(connection, person, Event.WITHDRAW)
    return await erase_opens(connection, person)
