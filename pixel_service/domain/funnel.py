"""How many of the people who asked for an offer confirmed it, and what a machine can have to do with it (O2).

People are those of the ledger's entries: somebody who asks three times is one person and three requests. That a page was
opened is recorded nowhere, since reading a link changes nothing; so is a press by a machine that was asked for the code
of the mail and gave none. What is known of machines are requests that no mail followed (limits against forms that are
filled in by programs, mailboxes that do not exist) and wrong codes, which only machine-like clients are asked for.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from pixel_service.domain.consent import Purpose
from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.rates import Rate, rate

LONGEST_PERIOD = timedelta(days=92)
_USUAL_PERIOD = timedelta(days=30)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Full days where the company is."""

    first_day: date
    last_day: date
    #: From the beginning of the first day, to the end of the last.
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Of the people who asked for one offer in the period: each later step counts them whenever they took it."""

    purpose: Purpose
    requests: int
    #: People who asked; to whom a mail went out that the relay accepted; who confirmed; who left the box unticked then.
    asked: int
    mailed: int
    confirmed: int
    refused: int
    #: Wrong codes on confirm pages of sign-ups that are still on record.
    wrong_codes: int

    @property
    def not_mailed(self) -> int:
        """Kept back by a limit, or no mail server took it."""
        return self.asked - self.mailed

    @property
    def confirmed_share(self) -> Rate | None:
        """Of the people who got a mail."""
        return rate(self.confirmed, self.mailed)


def period(first_day: date | None, last_day: date | None, *, today: date, zone: tzinfo) -> Period:
    """Without its ends the 30 days up to today. Raises `InvalidInput` naming ``from`` or ``until``."""
    until = last_day or today
    since = first_day or until - _USUAL_PERIOD + _DAY
    if since > until:
        raise InvalidInput("from", "must not be after until")
    if until - since >= LONGEST_PERIOD:
        raise InvalidInput("from", f"the period must have at most {LONGEST_PERIOD.days} days")
    return Period(
        first_day=since,
        last_day=until,
        starts_at=datetime.combine(since, time(), zone),
        ends_at=datetime.combine(until + _DAY, time(), zone),
    )
