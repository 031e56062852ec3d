"""Mailings that were opened by the million, with all that the recorder keeps beside the rows of opens.

What is known of a message and what it adds to the figures is said by the service's own `domain.settling` and `domain.tally`,
for a few thousand histories that the mails of a campaign share: everything else is copies, so that ten million rows take
minutes.
"""

import json
import math
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pixel_service.app import new_event_id
from pixel_service.domain.messages import CampaignId, Tracking
from pixel_service.domain.opens import Fetch
from pixel_service.domain.settling import RULES_VERSION, Letter, Settled, seconds, settle
from pixel_service.domain.tally import Tally
from pixel_service.storage.schema import campaign_figures, message_opens, opens
from tests.benchmarks.loading import Row, Write, loading
from tests.benchmarks.seed import Mailing, add_mailing, add_people
from tests.opened_mail import GMAIL, MPP, OUTLOOK, SCANNER, UNKNOWN

#: Opens of one mail after the other, over and over; a campaign further on begins one place later, so that with every four
#: campaigns each person has as many.
_OPENS_OF = (0, 1, 2, 5)
OPENS_PER_MAIL = sum(_OPENS_OF) // len(_OPENS_OF)
#: So many, over all campaigns, fill nearly as many hours of a month as ten million opens would: nine tenths.
_HISTORIES = 400_000
_WINDOW = timedelta(days=30)
_APART = timedelta(days=7)
#: Half of the opens come within six hours, 97 % within a week.
_MEDIAN, _SPREAD = 6 * 3600.0, 1.8
_WHO = {GMAIL: 35, MPP: 30, OUTLOOK: 25, SCANNER: 6, UNKNOWN: 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    campaign_ids: Sequence[str]
    #: Each got every mailing.
    subscriber_ids: Sequence[str]


def seed_opens(url: str, number: int, *, campaigns: int) -> Opened:
    """`number` opens of `campaigns` mailings, a week apart, to the same new subscribers."""
    persons_number, left = divmod(number, campaigns * OPENS_PER_MAIL)
    assert left == 0, f"{number} opens of {campaigns} mailings are no whole number of people"
    last = datetime.now(UTC) - _WINDOW - timedelta(days=1)
    first = last - (campaigns - 1) * _APART
    campaign_ids = []
    with loading(url) as write:
        persons = add_people(write, persons_number, agreed=first - timedelta(days=1))
        for place in range(campaigns):
            sent = first + place * _APART
            mailing = add_mailing(write, persons, sent=sent)
            histories = _histories(sent, place, min(persons_number, _HISTORIES // campaigns))
            _add_opens(write, mailing, sent=sent, histories=histories)
            campaign_ids.append(mailing.campaign_id)
    return Opened(campaign_ids=campaign_ids, subscriber_ids=persons)


def _histories(sent: datetime, place: int, number: int) -> list[Settled]:
    chance = random.Random(place)
    return [_history(sent, _OPENS_OF[(one + place) % len(_OPENS_OF)], chance) for one in range(number)]


def _history(sent: datetime, rows: int, chance: random.Random) -> Settled:
    """What becomes of a mail that is stored as so many rows; fetches that would collapse are drawn again."""
    letter = Letter(accepted=seconds(sent), handed_over=None)
    while True:
        settled = settle(None, letter, [_fetch(sent, chance) for _ in range(rows)])
        if len(settled.rows) == rows:
            return settled


def _fetch(sent: datetime, chance: random.Random) -> Fetch:
    after = timedelta(seconds=chance.lognormvariate(math.log(_MEDIAN), _SPREAD)) % _WINDOW
    (judgement,) = chance.choices(list(_WHO), list(_WHO.values()))
    return Fetch(open_id=b"", pixel_id=None, at=sent + after, judgement=judgement)


def _add_opens(write: Write, mailing: Mailing, *, sent: datetime, histories: Sequence[Settled]) -> None:
    """The mails take turns with the histories."""
    mails = [(settled, mailing.message_ids[one :: len(histories)]) for one, settled in enumerate(histories)]
    write(opens, "open_id message_id opened_at verdict reason client_family rules", _rows(mails))
    write(message_opens, "message_id standing sessions first_human_at times", _known(mails))
    tally = Tally()
    letter = Letter(accepted=seconds(sent), handed_over=None)
    for settled, message_ids in mails:
        one = Tally()
        one.add_message(CampaignId(mailing.campaign_id), Tracking.TRACKED.value, letter, None, settled)
        for key, amount in one.changes().items():
            tally.add(key, amount * len(message_ids))
    figures = [(*key, amount) for key, amount in tally.changes().items()]
    write(campaign_figures, "campaign_id kind name hour amount", figures)


def _rows(mails: Sequence[tuple[Settled, Sequence[str]]]) -> Iterator[Row]:
    """In the order of their time, as they came in: those of one person are far apart."""
    fetched = [(row, message_ids) for settled, message_ids in mails for row in settled.rows]
    for row, message_ids in sorted(fetched, key=lambda one: one[0].fetch.at):
        at = row.fetch.at
        second = new_event_id(at)[:6]
        for message_id in message_ids:
            yield second + os.urandom(10), message_id, at, *row.sort.columns, RULES_VERSION


def _known(mails: Sequence[tuple[Settled, Sequence[str]]]) -> Iterator[Row]:
    for settled, message_ids in mails:
        if (seen := settled.seen) is not None:
            times = json.dumps(seen.times)
            for message_id in message_ids:
                yield message_id, seen.standing.value, seen.sessions, seen.first_human_at, times
