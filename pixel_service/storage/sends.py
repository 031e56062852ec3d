"""Campaigns and the sends that feed them: who asked for what, under which idempotency key, and how far it got."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, exists, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pixel_service.domain.address import Address
from pixel_service.domain.consent import Purpose
from pixel_service.domain.messages import CampaignId, Reason, SendId, Status, SubscriberId
from pixel_service.domain.sends import JsonValue
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import campaigns, messages, sends, subscribers

#: The content of a send once nothing is left to be said.
_NOTHING: Mapping[str, object] = {"subject": None, "template": None, "html": None, "text": None, "variables": {}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    campaign_id: CampaignId
    purpose: Purpose
    cancelled_at: datetime | None
    #: Topics, sorted.
    tags: tuple[str, ...]


def _insert(connection: Connection, table: Any) -> Any:
    """An insert that knows ON CONFLICT; both databases write it the same way."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


async def hold_campaign(
    connection: Connection, *, name: str, purpose: Purpose, new_id: CampaignId, at: datetime
) -> Campaign:
    """The campaign of this name, made if new, its row locked: two sends into one campaign take turns,
    so that nobody gets one mailing twice."""
    await connection.execute(
        _insert(connection, campaigns)
        .values(campaign_id=new_id, name=name, purpose=purpose, created_at=at)
        .on_conflict_do_nothing(index_elements=["name"])
    )
    query = select(campaigns).where(campaigns.c.name == name).with_for_update(key_share=True)
    return _campaign((await connection.execute(query)).one())


async def find_campaign(connection: Connection, name: str) -> Campaign | None:
    row = (await connection.execute(select(campaigns).where(campaigns.c.name == name))).first()
    return None if row is None else _campaign(row)


async def hold(connection: Connection, campaign_id: CampaignId) -> Campaign:
    """Lock a campaign's row, as `hold_campaign` does."""
    query = select(campaigns).where(campaigns.c.campaign_id == campaign_id).with_for_update(key_share=True)
    return _campaign((await connection.execute(query)).one())


def _campaign(row: Row[Any]) -> Campaign:
    return Campaign(
        campaign_id=CampaignId(row.campaign_id),
        purpose=Purpose(row.purpose),
        cancelled_at=row.cancelled_at,
        tags=tuple(row.tags),
    )


async def set_tags(connection: Connection, campaign_id: CampaignId, tags: Sequence[str]) -> None:
    """The caller holds the campaign."""
    await connection.execute(update(campaigns).where(campaigns.c.campaign_id == campaign_id).values(tags=list(tags)))


async def already_in(
    connection: Connection, campaign_id: CampaignId, subscriber_ids: Sequence[SubscriberId]
) -> set[SubscriberId]:
    """Who of these has a mail of this campaign, sent or waiting."""
    rows = await connection.execute(
        select(messages.c.subscriber_id).where(
            messages.c.subscriber_id.in_(subscriber_ids),
            messages.c.campaign_id == campaign_id,
            messages.c.status.in_((Status.QUEUED.value, Status.SENT.value)),
        )
    )
    return {SubscriberId(row.subscriber_id) for row in rows}


async def add_addressees(connection: Connection, new: Mapping[SubscriberId, Address], *, at: datetime) -> None:
    """People first heard of as recipients of service mail. Whoever is on record stays as they are, under their own id;
    pass them in the order of their keys, so that two sends never wait for each other."""
    await connection.execute(
        _insert(connection, subscribers).on_conflict_do_nothing(index_elements=["address_key"]),
        [
            {
                "subscriber_id": subscriber_id,
                "address": address.normalised,
                "address_key": address.key,
                "created_at": at,
            }
            for subscriber_id, address in new.items()
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSend:
    send_id: SendId
    campaign_id: CampaignId
    api_key_id: str
    idempotency_key: str
    body_hash: str
    content: dict[str, JsonValue]
    personal_content: bool
    warnings: tuple[str, ...]
    created_at: datetime


async def add(connection: Connection, new: NewSend) -> bool:
    """False when the idempotency key is taken; waits for a request that is just taking it."""
    added = await connection.execute(
        _insert(connection, sends)
        .values(
            send_id=new.send_id,
            campaign_id=new.campaign_id,
            api_key_id=new.api_key_id,
            idempotency_key=new.idempotency_key,
            body_hash=new.body_hash,
            content=new.content,
            personal_content=new.personal_content,
            warnings=list(new.warnings),
            created_at=new.created_at,
        )
        .on_conflict_do_nothing(index_elements=["api_key_id", "idempotency_key"])
    )
    return bool(added.rowcount == 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    send_id: SendId
    campaign_id: CampaignId
    purpose: Purpose
    body_hash: str
    content: dict[str, JsonValue]
    personal_content: bool
    warnings: tuple[str, ...]
    created_at: datetime
    #: None for an audience.
    results: list[list[JsonValue]] | None
    #: The last subscriber of an audience that was decided.
    cursor: str | None
    #: None while an audience is still being walked.
    expanded_at: datetime | None
    tracked: int
    untracked: int
    refused: int

    @property
    def decided(self) -> int:
        """People with a verdict."""
        return self.tracked + self.untracked + self.refused


async def get(connection: Connection, send_id: SendId) -> Send | None:
    return await _one(connection, sends.c.send_id == send_id)


async def find_repeat(connection: Connection, *, api_key_id: str, idempotency_key: str) -> Send | None:
    return await _one(connection, (sends.c.api_key_id == api_key_id) & (sends.c.idempotency_key == idempotency_key))


async def next_to_expand(connection: Connection) -> Send | None:
    """The oldest audience send that is not fully walked and that no other worker holds; held by this transaction."""
    return await _one(connection, sends.c.expanded_at.is_(None), hold=True)


async def _one(connection: Connection, where: ColumnElement[bool], *, hold: bool = False) -> Send | None:
    query = (
        select(sends, campaigns.c.purpose)
        .join(campaigns, campaigns.c.campaign_id == sends.c.campaign_id)
        .where(where)
        .order_by(sends.c.created_at)
        .limit(1)
    )
    if hold:
        query = query.with_for_update(of=sends, skip_locked=True, key_share=True)
    row = (await connection.execute(query)).first()
    if row is None:
        return None
    return Send(
        send_id=SendId(row.send_id),
        campaign_id=CampaignId(row.campaign_id),
        purpose=Purpose(row.purpose),
        body_hash=row.body_hash,
        content=row.content,
        personal_content=row.personal_content,
        warnings=tuple(row.warnings),
        created_at=row.created_at,
        results=row.results,
        cursor=row.cursor,
        expanded_at=row.expanded_at,
        tracked=row.tracked,
        untracked=row.untracked,
        refused=row.refused,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Added to a send: counts of one slice, and where the walk stands."""

    tracked: int = 0
    untracked: int = 0
    refused: int = 0
    cursor: str | None = None
    results: list[list[JsonValue]] | None = None
    finished_at: datetime | None = None


async def advance(connection: Connection, send_id: SendId, progress: Progress) -> None:
    values: dict[str, object] = {
        "tracked": sends.c.tracked + progress.tracked,
        "untracked": sends.c.untracked + progress.untracked,
        "refused": sends.c.refused + progress.refused,
        "expanded_at": progress.finished_at,
    }
    if progress.finished_at is not None:
        # The last person decided is nobody's business any more, least of all after their erasure.
        values["cursor"] = None
    elif progress.cursor is not None:
        values["cursor"] = progress.cursor
    if progress.results is not None:
        values["results"] = progress.results
    await connection.execute(update(sends).where(sends.c.send_id == send_id).values(**values))


async def forget_contents(connection: Connection) -> None:
    """Of sends that are decided and have no mail left: nobody needs what they said, which may name who was erased. Whoever
    holds such a row deletes it."""
    said = (sends.c.content["template"], sends.c.content["html"])
    found = (
        select(sends.c.send_id)
        .where(
            sends.c.expanded_at.is_not(None),
            ~exists().where(messages.c.send_id == sends.c.send_id),
            or_(*(one.as_string().is_not(None) for one in said)),
        )
        .order_by(sends.c.send_id)
        .with_for_update(skip_locked=True)
    )
    forgotten = (await connection.execute(found)).scalars().all()
    await connection.execute(update(sends).where(sends.c.send_id.in_(forgotten)).values(content=dict(_NOTHING)))


async def delivery_counts(connection: Connection, send_id: SendId) -> dict[Status, int]:
    rows = await connection.execute(
        select(messages.c.status, func.count().label("n"))
        .where(messages.c.send_id == send_id)
        .group_by(messages.c.status)
    )
    return {Status(row.status): row.n for row in rows}


async def set_paused(connection: Connection, campaign_id: CampaignId, *, at: datetime | None) -> None:
    await connection.execute(update(campaigns).where(campaigns.c.campaign_id == campaign_id).values(paused_at=at))


async def cancel(connection: Connection, campaign_id: CampaignId, *, at: datetime) -> int:
    """End a campaign and remove its waiting mails, whose number is returned; one that a worker is just handing over may
    still go out."""
    await connection.execute(update(campaigns).where(campaigns.c.campaign_id == campaign_id).values(cancelled_at=at))
    changed = await connection.execute(
        update(messages)
        .where(messages.c.campaign_id == campaign_id, messages.c.status == Status.QUEUED.value)
        .values(status=Status.CANCELLED.value, reason=Reason.CAMPAIGN_CANCELLED.value, variables={})
    )
    return changed.rowcount
