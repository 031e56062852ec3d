"""What the campaign page says beside its drawings, in the language of the reader.

What a page says is "images loaded", never "read": a loaded image is all that is known.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from starlette.requests import Request

from pixel_service.domain.comparison import Comparison, Edition
from pixel_service.domain.fetchers import Client, MachineSort
from pixel_service.domain.opens import Verdict
from pixel_service.domain.rates import Rate
from pixel_service.domain.reports import CampaignReport
from pixel_service.domain.timing import Cell, Delay
from pixel_service.i18n import format_day, format_moment, format_number
from pixel_service.web.ranges import Week, axis_end, lengths, span, week
from pixel_service.web.views import context_of, href, say

#: Where there is nothing to show, or too little for a rate.
NONE = "--"

#: What is less, or lacks less of all, is not rounded to nothing or to all.
_SMALLEST_SHARE = 0.001

Values = Mapping[str, object]

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DELAYS = {
    "1m": "up to 1 minute",
    "10m": "1 to 10 minutes",
    "1h": "10 minutes to 1 hour",
    "6h": "1 to 6 hours",
    "1d": "6 hours to 1 day",
    "3d": "1 to 3 days",
    "7d": "3 to 7 days",
    "30d": "7 to 30 days",
    "later": "later",
}
_MACHINES = {
    Verdict.PREFETCH: "Loaded ahead of time by a mail provider",
    Verdict.SCANNER: "Security scanners",
    Verdict.BOT: "Other programs",
}
_BY_REASON = {"apple_mpp": "Apple’s privacy protection", "early": "Before the mail arrived, or seconds after"}
#: Hours of the week that are named.
_BEST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    request: Request
    language: str

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(context_of(self.request).policy.timezone)

    def text(self, message: str, **values: str) -> str:
        said = say(self.request, self.language, message)
        return said % values if values else said

    def many(self, one: str, many: str, number: int) -> str:
        translations = context_of(self.request).catalogues.translations(self.language)
        return translations.ngettext(one, many, number) % {"number": self.number(number)}

    def number(self, count: int) -> str:
        return format_number(count, self.language)

    def share(self, of: float | None) -> str:
        if of is None:
            return NONE
        if 0 < of < _SMALLEST_SHARE:
            return self.text("below %(share)s", share=self.share(_SMALLEST_SHARE))
        if 1 - _SMALLEST_SHARE < of < 1:
            return self.text("above %(share)s", share=self.share(1 - _SMALLEST_SHARE))
        return self.text("%(number)s%%", number=format_number(round(of * 100, 1), self.language))

    def moment(self, at: datetime) -> str:
        return format_moment(at, self.language, self.zone)

    def age(self, age: timedelta | None) -> str:
        if age is None:
            return NONE
        hours = age // timedelta(hours=1)
        if hours <= 48:
            return self.many("%(number)s hour", "%(number)s hours", hours)
        return self.many("%(number)s day", "%(number)s days", -(-hours // 24))


def rates(report: CampaignReport, writer: Writer) -> Values:
    """Floor, estimate and ceiling on one axis."""
    of = (
        ("At least", "People’s mail programs loaded the images.", report.floor),
        ("Estimate", "If those whom Apple hides load images as often as all others.", report.estimate),
        ("At most", "If all those whom Apple hides had loaded them.", report.ceiling),
    )
    end = axis_end(rate for *_, rate in of)
    return {
        "end": writer.share(end / 100),
        "rows": [
            {
                "label": writer.text(label),
                "hint": writer.text(hint),
                "value": writer.share(rate.value if rate else None),
                "range": _range(rate, writer),
                "span": span(rate, end),
            }
            for label, hint, rate in of
        ],
    }


def _range(rate: Rate | None, writer: Writer) -> str:
    if rate is None:
        return ""
    return writer.text("%(low)s to %(high)s", low=writer.share(rate.low), high=writer.share(rate.high))


def comparison(found: Comparison | None, this: CampaignReport, writer: Writer) -> Values:
    """Bars of the mailings in order of sending; the last is the one that is looked at."""
    editions = found.editions if found else ()
    end = axis_end(one.floor for one in editions)
    return {
        "age": writer.age(timedelta(hours=found.age_hours if found else 0)),
        "typical": writer.share(found.typical if found else None),
        "end": writer.share(end / 100),
        "rows": [_edition(one, this, end, writer) for one in editions] if len(editions) > 1 else [],
    }


def _edition(one: Edition, this: CampaignReport, end: int, writer: Writer) -> Values:
    return {
        "name": one.name,
        "href": href(writer.request, f"/console/campaigns/{one.campaign_id}", writer.language),
        "sent_on": format_day(one.first_sent_at, writer.language, writer.zone),
        "value": writer.share(one.floor.value if one.floor else None),
        "range": _range(one.floor, writer),
        "span": span(one.floor, end),
        "current": one.campaign_id == this.campaign_id,
    }


def delays(found: Sequence[Delay], writer: Writer) -> list[Values]:
    drawn = lengths([one.messages for one in found])
    return [
        {"label": writer.text(_DELAYS[one.name]), "number": one.messages, "length": length}
        for one, length in zip(found, drawn, strict=True)
    ]


def delay(name: str | None, writer: Writer) -> str:
    return NONE if name is None else writer.text(_DELAYS[name])


def clients(found: Sequence[Client], writer: Writer) -> list[Values]:
    return [
        {
            "label": one.family or writer.text("Not known"),
            "unique": one.unique,
            "share": writer.share(one.share),
            "hidden": one.hidden_by_proxy,
        }
        for one in found
    ]


def machines(found: Sequence[MachineSort], writer: Writer) -> list[Values]:
    added: Counter[str] = Counter()
    for one in found:
        added[_BY_REASON.get(one.reason, _MACHINES[one.verdict])] += one.total
    return [{"label": writer.text(words), "number": number} for words, number in added.most_common()]


def hours_of_week(cells: Sequence[Cell], writer: Writer) -> Values:
    best = sorted(cells, key=lambda cell: (-cell.opens, cell.weekday, cell.hour))[:_BEST]
    drawn: Week = week(cells)
    days = [writer.text(day) for day in _WEEKDAYS]
    return {
        "drawn": drawn,
        "days": list(zip(days, drawn.rows, strict=True)),
        "tiles": [(tile, _cell(tile.cell, days, writer)) for tile in drawn.tiles],
        "best": [{"label": _cell(cell, days, writer), "number": cell.opens} for cell in best],
    }


def _cell(cell: Cell, days: Sequence[str], writer: Writer) -> str:
    values = {"day": days[cell.weekday - 1], "hour": str(cell.hour), "next": str(cell.hour + 1)}
    return writer.text("%(day)s, %(hour)s:00 to %(next)s:00", **values)


def trust(report: CampaignReport, writer: Writer) -> list[Values]:
    """How far the numbers carry."""
    quality = report.quality
    facts = (
        ("Of all fetches, by machines", quality.machine_share),
        ("Of all fetches, unclear", quality.unknown_share),
        ("Of the recipients with consent, hidden by Apple’s privacy protection", quality.hidden_share),
        ("Of the images loaded by people, mail program hidden by the provider", quality.proxy_share),
    )
    return [{"label": writer.text(label), "value": writer.share(value)} for label, value in facts]
