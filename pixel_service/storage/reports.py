"""Reading reports. What is shown of a campaign's opens comes from `campaign_figures` alone, which every transaction that
changes those rows keeps exact: ten million opens are as many figures as ten thousand (O5). Nothing here changes anything.

Each of these asks several times: take a connection of `Database.snapshot`, so that the figures are of one moment and add up.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    case,
    exists,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    union_all,
)

from pixel_service.domain.comparison import (
    MOST_EARLIER,
    MOST_TAGGED,
    Comparison,
    Counted,
    TagEffect,
    compare,
    tag_effects,
)
from pixel_service.domain.consent import Purpose
from pixel_service.domain.figures import Group, Kind
from pixel_service.domain.messages import CampaignId
from pixel_service.domain.reports import Campaign, CampaignReport, Named, Summary, figures_in, report, summary
from pixel_service.domain.timing import HOURLY_POINTS, SETTLED_AFTER
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import campaign_figures, campaigns, messages

#: By index, and the same on both databases: NULL is the lowest of one and the highest of the other.
_first_sent = (
    select(messages.c.sent_at)
    .where(messages.c.campaign_id == campaigns.c.campaign_id, messages.c.sent_at.is_not(None))
    .order_by(messages.c.sent_at)
    .limit(1)
    .correlate(campaigns)
    .scalar_subquery()
)
_CAMPAIGNS = select(
    campaigns.c.campaign_id,
    campaigns.c.name,
    campaigns.c.purpose,
    campaigns.c.tags,
    campaigns.c.created_at,
    _first_sent.label("first_sent_at"),
)
_figure = campaign_figures.c
_NEWEST_FIRST = (campaigns.c.created_at.desc(), campaigns.c.campaign_id.desc())


async def campaign_report(
    connection: Connection, campaign_id: CampaignId, *, whole_since: datetime
) -> CampaignReport | None:
    """None when there is no such campaign. `whole_since` is `Periods.whole_since`, here and below."""
    row = (await connection.execute(_CAMPAIGNS.where(campaigns.c.campaign_id == campaign_id))).first()
    if row is None:
        return None
    campaign = _campaign(row, whole_since)
    hour = _as_shown(campaign.start)
    found = await _figures(connection, [campaign_id], tuple(Kind), hour=hour)
    return report(campaign, figures_in(found.get(campaign_id, {})))


def _as_shown(start: int) -> ColumnElement[int]:
    """The last hour of a day from the third day on, as the timeline shows days from there; but every hour of people's
    opens, which make the hours of the week. Fewer rows cross over to Python, however full the figures are."""
    third_day = start + HOURLY_POINTS
    each = (_figure.hour < third_day) | ((_figure.kind == Kind.OPENS.value) & (_figure.name == Group.OPENS.value))
    return case((each, _figure.hour), else_=third_day + (_figure.hour - third_day) // 24 * 24 + 23)


async def is_campaign(connection: Connection, campaign_id: CampaignId) -> bool:
    asked = select(exists().where(campaigns.c.campaign_id == campaign_id))
    return bool((await connection.execute(asked)).scalar_one())


async def list_campaigns(
    connection: Connection, *, whole_since: datetime, limit: int = 50, before: CampaignId | None = None
) -> list[Summary]:
    """Newest first; `before` is the last campaign of the page before."""
    page = _CAMPAIGNS.order_by(*_NEWEST_FIRST).limit(limit)
    if before is not None:
        last = select(campaigns.c.created_at, campaigns.c.campaign_id).where(campaigns.c.campaign_id == before)
        page = page.where(tuple_(campaigns.c.created_at, campaigns.c.campaign_id) < last.scalar_subquery())
    found = await _read(connection, page, (Kind.MESSAGE, Kind.STANDING, Kind.UNIQUE), whole_since)
    return [summary(campaign, figures) for campaign, figures in found]


async def comparison(
    connection: Connection, campaign_id: CampaignId, *, now: datetime, whole_since: datetime
) -> Comparison | None:
    """With the whole campaigns of its purpose that were sent last before it. None when there is no such campaign."""
    asked = _CAMPAIGNS.where(campaigns.c.campaign_id == campaign_id)
    found = await _read(connection, asked, [Kind.MESSAGE], whole_since)
    if not found:
        return None
    this, _ = found[0]
    age = this.age_at(now)
    page = _sent_before(this.purpose, this.first_sent_at or this.created_at, MOST_EARLIER, whole_since)
    earlier = await _read(connection, page, [Kind.MESSAGE], whole_since)
    opened = await _opened_by(connection, {one.campaign_id: one.start + age for one, _ in (*found, *earlier)})
    return compare(found[0], earlier, opened=opened, age_hours=age)


async def effects_of_tags(
    connection: Connection, purpose: Purpose, *, now: datetime, whole_since: datetime
) -> tuple[TagEffect, ...]:
    """Over the newest whole campaigns of a purpose whose opens are in."""
    page = _sent_before(purpose, now - SETTLED_AFTER, MOST_TAGGED, whole_since)
    return tag_effects(await _read(connection, page, (Kind.MESSAGE, Kind.STANDING), whole_since))


def _sent_before(purpose: Purpose, moment: datetime, most: int, whole_since: datetime) -> Select[Any]:
    return (
        _CAMPAIGNS.where(campaigns.c.purpose == purpose, campaigns.c.created_at > whole_since, _first_sent < moment)
        .order_by(_first_sent.desc(), campaigns.c.campaign_id)
        .limit(most)
    )


async def _read(
    connection: Connection, page: Select[Any], kinds: Iterable[Kind], whole_since: datetime
) -> list[Counted]:
    """The campaigns of the page, in its order, each with its figures of these kinds."""
    found = [_campaign(row, whole_since) for row in await connection.execute(page)]
    by_campaign = await _figures(connection, [one.campaign_id for one in found], kinds)
    return [(one, figures_in(by_campaign.get(one.campaign_id, {}))) for one in found]


def _campaign(row: Row[*tuple[Any, ...]], whole_since: datetime) -> Campaign:
    return Campaign(
        campaign_id=CampaignId(row.campaign_id),
        name=row.name,
        purpose=Purpose(row.purpose),
        tags=tuple(row.tags),
        created_at=row.created_at,
        first_sent_at=row.first_sent_at,
        is_whole=row.created_at > whole_since,
    )


async def _figures(
    connection: Connection,
    campaign_ids: Sequence[CampaignId],
    kinds: Iterable[Kind],
    *,
    hour: ColumnElement[int] = _figure.hour,
) -> dict[str, dict[str, list[Named]]]:
    """By campaign and kind. Thousands of rows for one of millions of opens: apart from the campaigns, so that each is no
    more than it must be."""
    which = _figure.campaign_id.in_(campaign_ids), _figure.kind.in_([kind.value for kind in kinds])
    rows = await connection.execute(
        select(_figure.campaign_id, _figure.kind, _figure.name, hour.label("shown_at"), func.sum(_figure.amount))
        .where(*which)
        .group_by(_figure.campaign_id, _figure.kind, _figure.name, literal_column("4"))
    )
    found: dict[str, dict[str, list[Named]]] = {}
    for campaign_id, kind, name, shown_at, amount in rows:
        found.setdefault(campaign_id, {}).setdefault(kind, []).append((name, shown_at, int(amount)))
    return found


async def _opened_by(connection: Connection, ends: Mapping[CampaignId, int]) -> dict[CampaignId, int]:
    """Messages per campaign whose first open came before the campaign's hour."""
    counts = [
        select(literal(campaign_id), func.coalesce(func.sum(_figure.amount), 0)).where(
            _figure.campaign_id == campaign_id, _figure.kind == Kind.FIRST.value, _figure.hour < end
        )
        for campaign_id, end in ends.items()
    ]
    rows = await connection.execute(union_all(*counts))
    return {CampaignId(campaign_id): int(opened) for campaign_id, opened in rows}
