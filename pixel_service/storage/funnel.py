"""Reading the sign-up funnel of a period, from the ledger: its entries outlive the sign-ups and the people. The index by time
bounds what is read to the period, the one by person what came after. Two statements: take a connection of `Database.snapshot`.
"""

from typing import Any

from sqlalchemy import ColumnElement, Subquery, and_, case, func, select

from pixel_service.domain.consent import Act, Purpose
from pixel_service.domain.funnel import Asked, Period
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import ledger, sign_up_purposes, sign_ups

_ANSWERED_YES = (Act.CONFIRMED.value, Act.RENEWED.value)
_ANSWERED_NO = (Act.REFUSED.value,)
#: A press needs the mail's link, also when a crash kept the relay's acceptance from being recorded.
_MAILED = (Act.CONFIRMATION_SENT.value, *_ANSWERED_YES, *_ANSWERED_NO)


async def funnel(connection: Connection, period: Period) -> list[Asked]:
    """One per offer that somebody asked for, by purpose."""
    people = _people(period)
    sums = [func.sum(people.c[name]).label(name) for name in ("requests", "mailed", "confirmed", "refused")]
    wrong = await _wrong_codes(connection, period)
    rows = await connection.execute(
        select(people.c.purpose, func.count().label("asked"), *sums)
        .group_by(people.c.purpose)
        .order_by(people.c.purpose)
    )
    return [
        Asked(
            purpose=Purpose(row.purpose),
            requests=int(row.requests),
            asked=row.asked,
            mailed=row.mailed,
            confirmed=row.confirmed,
            refused=row.refused,
            wrong_codes=wrong.get(row.purpose, 0),
        )
        for row in rows
    ]


def _people(period: Period) -> Subquery:
    """A row per person and offer: how often they asked in the period, and which steps they took since."""
    in_time = ledger.c.at >= period.starts_at, ledger.c.at < period.ends_at
    asked = (
        select(
            ledger.c.subscriber_id,
            ledger.c.purpose,
            func.count().label("requests"),
            func.min(ledger.c.seq).label("first"),
        )
        .where(*in_time, ledger.c.act == Act.REQUESTED.value)
        .group_by(ledger.c.subscriber_id, ledger.c.purpose)
        .cte("asked")
    )
    later = and_(
        ledger.c.subscriber_id == asked.c.subscriber_id,
        ledger.c.purpose == asked.c.purpose,
        ledger.c.seq > asked.c.first,
        ledger.c.act.in_(_MAILED),
    )
    return (
        select(
            asked.c.purpose,
            asked.c.requests,
            _any(_MAILED).label("mailed"),
            _any(_ANSWERED_YES).label("confirmed"),
            _any(_ANSWERED_NO).label("refused"),
        )
        .select_from(asked.outerjoin(ledger, later))
        .group_by(asked.c.subscriber_id, asked.c.purpose, asked.c.requests)
        .subquery("people")
    )


def _any(acts: tuple[str, ...]) -> ColumnElement[int]:
    """1 when the person has such an entry."""
    return func.max(case((ledger.c.act.in_(acts), 1), else_=0))


async def _wrong_codes(connection: Connection, period: Period) -> dict[str, int]:
    counted: Any = func.sum(sign_ups.c.wrong_codes)
    rows = await connection.execute(
        select(sign_up_purposes.c.purpose, counted.label("codes"))
        .join(sign_ups, sign_ups.c.sign_up_id == sign_up_purposes.c.sign_up_id)
        .where(
            # A sign-up expires after it was made: of the two times, only this one has an index.
            sign_ups.c.expires_at >= period.starts_at,
            sign_ups.c.created_at >= period.starts_at,
            sign_ups.c.created_at < period.ends_at,
            sign_ups.c.wrong_codes > 0,
        )
        .group_by(sign_up_purposes.c.purpose)
    )
    return {row.purpose: int(row.codes) for row in rows}
