"""Reading reports. One statement counts a whole campaign, so that its figures are of one moment and add up.

Every look-up goes from the campaign by index to its messages and from each to its opens. Nothing here changes anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    CompoundSelect,
    ScalarSelect,
    Select,
    case,
    cast,
    distinct,
    extract,
    func,
    literal,
    select,
    tuple_,
    union_all,
)

from pixel_service.domain.consent import Purpose
from pixel_service.domain.messages import CampaignId, Tracking
from pixel_service.domain.opens import LIKELY_HUMAN, MACHINE
from pixel_service.domain.reports import CampaignReport, Client, Group, Summary, coverage, open_rate, timeline
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import campaigns, messages, opens

_HOUR = 3600
_T = TypeVar("_T")

_GROUP = case(
    (opens.c.verdict.in_([verdict.value for verdict in LIKELY_HUMAN]), Group.OPENS.value),
    (opens.c.verdict.in_([verdict.value for verdict in MACHINE]), Group.MACHINE.value),
    else_=Group.UNKNOWN.value,
)


async def campaign_report(connection: Connection, campaign_id: CampaignId) -> CampaignReport | None:
    """None when there is no such campaign."""
    first_sent = select(func.min(messages.c.sent_at)).where(messages.c.campaign_id == campaigns.c.campaign_id)
    campaign = (
        await connection.execute(
            select(campaigns, first_sent.scalar_subquery().label("first_sent_at")).where(
                campaigns.c.campaign_id == campaign_id
            )
        )
    ).first()
    if campaign is None:
        return None
    started_at = (campaign.first_sent_at or campaign.created_at).replace(microsecond=0)
    counts = await _count(connection, campaign_id, started_at)
    tracked = counts.messages.get(Tracking.TRACKED, 0)
    withdrawn = counts.messages.get(Tracking.WITHDRAWN, 0)
    restricted = counts.messages.get(Tracking.RESTRICTED, 0)
    sent = sum(counts.messages.values())
    unique, total = counts.unique, counts.total
    return CampaignReport(
        campaign_id=campaign_id,
        name=campaign.name,
        purpose=Purpose(campaign.purpose),
        created_at=campaign.created_at,
        first_sent_at=campaign.first_sent_at,
        sent=sent,
        tracked=tracked,
        untracked=sent - tracked - withdrawn - restricted,
        withdrawn_since=withdrawn,
        restricted=restricted,
        coverage=coverage(tracked, sent),
        unique_opens=unique.get(Group.OPENS, 0),
        total_opens=total.get(Group.OPENS, 0),
        unique_machine_opens=unique.get(Group.MACHINE, 0),
        total_machine_opens=total.get(Group.MACHINE, 0),
        unique_unknown_opens=unique.get(Group.UNKNOWN, 0),
        total_unknown_opens=total.get(Group.UNKNOWN, 0),
        open_rate=open_rate(unique.get(Group.OPENS, 0), tracked),
        timeline=timeline(started_at, counts.hours),
        clients=tuple(sorted(counts.clients, key=lambda client: (-client.total, client.family))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    #: Messages that are out, by tracking.
    messages: Mapping[Tracking, int]
    unique: Mapping[Group, int]
    total: Mapping[Group, int]
    clients: Sequence[Client]
    #: Full hours since the start, group, opens.
    hours: Sequence[tuple[int, Group, int]]


async def _count(connection: Connection, campaign_id: CampaignId, started_at: datetime) -> _Counts:
    rows = (await connection.execute(_counting(connection, campaign_id, started_at))).all()
    out: dict[Tracking, int] = {}
    for row in rows:
        if row.kind in ("sent", "arrived"):
            out[Tracking(row.name)] = out.get(Tracking(row.name), 0) + row.unique
    groups = [row for row in rows if row.kind == "group"]
    return _Counts(
        messages=out,
        unique={Group(row.name): row.unique for row in groups},
        total={Group(row.name): row.total for row in groups},
        clients=[Client(family=row.name, unique=row.unique, total=row.total) for row in rows if row.kind == "client"],
        hours=[(row.hour, Group(row.name), row.total) for row in rows if row.kind == "hour"],
    )


def _counting(
    connection: Connection, campaign_id: CampaignId, started_at: datetime
) -> CompoundSelect[str, str, int, int, int]:
    """Five counts in one statement; `kind` tells them apart."""
    seen = _seen(connection, campaign_id)
    unique = func.count(distinct(seen.c.message_id))
    hour = (seen.c.second - int(started_at.timestamp())) // _HOUR
    sent = (messages.c.campaign_id == campaign_id) & messages.c.sent_at.is_not(None)
    used = seen.c.tracking == Tracking.TRACKED.value
    return union_all(
        _line("sent", messages.c.tracking, unique=func.count(), total=literal(0)).where(sent),
        # An open proves that a mail is out, also when a crash kept the relay's acceptance from being recorded.
        _line("arrived", seen.c.tracking, unique=unique, total=func.count()).where(seen.c.sent_at.is_(None)),
        _line("group", seen.c.group, unique=unique, total=func.count()).where(used),
        _line("client", seen.c.family, unique=unique, total=func.count()).where(
            used, seen.c.group == Group.OPENS.value
        ),
        _line("hour", seen.c.group, hour=hour, unique=literal(0), total=func.count()).where(used).group_by(hour),
    )


def _line(
    kind: str,
    name: ColumnElement[str],
    *,
    unique: ColumnElement[int],
    total: ColumnElement[int],
    hour: ColumnElement[int] | None = None,
) -> Select[str, str, int, int, int]:
    return select(
        literal(kind).label("kind"),
        name.label("name"),
        (literal(0) if hour is None else hour).label("hour"),
        unique.label("unique"),
        total.label("total"),
    ).group_by(name)


def _seen(connection: Connection, campaign_id: CampaignId) -> CTE:
    """The campaign's opens, each with its group and its second since the epoch."""
    if connection.dialect.name == "postgresql":
        second = cast(func.floor(extract("epoch", opens.c.opened_at)), BigInteger)
    else:
        # Without its fraction, which strftime would round.
        second = cast(func.strftime("%s", func.substr(opens.c.opened_at, 1, 19)), BigInteger)
    return (
        select(
            messages.c.message_id,
            messages.c.tracking,
            messages.c.sent_at,
            opens.c.client_family.label("family"),
            _GROUP.label("group"),
            second.label("second"),
        )
        .select_from(messages.join(opens))
        .where(messages.c.campaign_id == campaign_id)
        .cte("seen")
    )


async def list_campaigns(connection: Connection, *, limit: int = 50, before: CampaignId | None = None) -> list[Summary]:
    """Newest first; `before` is the last campaign of the page before."""
    page = select(campaigns).order_by(campaigns.c.created_at.desc(), campaigns.c.campaign_id.desc()).limit(limit)
    if before is not None:
        last = select(campaigns.c.created_at, campaigns.c.campaign_id).where(campaigns.c.campaign_id == before)
        page = page.where(tuple_(campaigns.c.created_at, campaigns.c.campaign_id) < last.scalar_subquery())
    rows = await connection.execute(
        page.add_columns(
            _of_campaign(func.min(messages.c.sent_at)).label("first_sent_at"),
            _of_campaign(func.count(messages.c.sent_at)).label("sent"),
            _of_campaign(func.count(messages.c.sent_at), messages.c.tracking == Tracking.TRACKED.value).label(
                "tracked"
            ),
            _opened(Group.OPENS).label("unique_opens"),
            _opened(Group.MACHINE).label("unique_machine_opens"),
        )
    )
    return [
        Summary(
            campaign_id=CampaignId(row.campaign_id),
            name=row.name,
            purpose=Purpose(row.purpose),
            created_at=row.created_at,
            first_sent_at=row.first_sent_at,
            sent=row.sent,
            tracked=row.tracked,
            unique_opens=row.unique_opens,
            unique_machine_opens=row.unique_machine_opens,
        )
        for row in rows
    ]


def _of_campaign(count: ColumnElement[_T], *where: ColumnElement[bool]) -> ScalarSelect[_T]:
    of_campaign = messages.c.campaign_id == campaigns.c.campaign_id
    return select(count).where(of_campaign, *where).correlate(campaigns).scalar_subquery()


def _opened(group: Group) -> ScalarSelect[int]:
    return (
        select(func.count(distinct(opens.c.message_id)))
        .select_from(messages.join(opens))
        .where(
            messages.c.campaign_id == campaigns.c.campaign_id,
            messages.c.tracking == Tracking.TRACKED.value,
            _GROUP.in_([group.value]),
        )
        .correlate(campaigns)
        .scalar_subquery()
    )
