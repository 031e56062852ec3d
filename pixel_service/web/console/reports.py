"""The list of campaigns and the page of one, for colleagues who are logged in (O1). Figures are read, none is made here.

What a page says is "images loaded", never "read": a loaded image is all that is known.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from pixel_service.domain.errors import NotFound
from pixel_service.domain.messages import CampaignId
from pixel_service.domain.reports import SMALLEST_BASE, CampaignReport, Point, Rate, Summary
from pixel_service.i18n import format_moment, format_number
from pixel_service.storage import reports
from pixel_service.web.api.models import read_id
from pixel_service.web.bars import TimelinePoint
from pixel_service.web.console.login import require_user
from pixel_service.web.language import language_of
from pixel_service.web.views import context_of, href, say, show

#: Campaigns on the first page.
_NEWEST = 100
#: Where there is nothing to show, or too little for a rate.
NONE = "--"

#: A msgid and its values -> text in the language of the page.
Say = Callable[..., str]


@require_user
async def list_campaigns(request: Request) -> Response:
    """GET /console/"""
    ctx, language = context_of(request), language_of(request)
    async with ctx.db.read() as connection:
        found = await reports.list_campaigns(connection, limit=_NEWEST)
    campaigns = [_line(request, language, one) for one in found]
    return show(request, "console/campaigns", language=language, campaigns=campaigns)


@require_user
async def show_campaign(request: Request) -> Response:
    """GET /console/campaigns/{campaign_id}"""
    ctx, language = context_of(request), language_of(request)
    campaign_id = CampaignId(read_id(request.path_params["campaign_id"], "campaign"))
    async with ctx.db.read() as connection:
        report = await reports.campaign_report(connection, campaign_id)
    if report is None:
        raise NotFound("campaign")

    def text(message: str, **values: str) -> str:
        return say(request, language, message) % values if values else say(request, language, message)

    return show(
        request,
        "console/campaign",
        language=language,
        name=report.name,
        figures=_figures(report, language, ZoneInfo(ctx.policy.timezone), text),
        timeline=_timeline(report.timeline, text),
        clients=[{"label": one.family or text("Not known"), "opens": one.total} for one in report.clients],
        withdrawn_since=_withdrawn(request, language, report.withdrawn_since),
        restricted=_restricted(request, language, report.restricted),
    )


def _line(request: Request, language: str, one: Summary) -> Mapping[str, object]:
    zone = ZoneInfo(context_of(request).policy.timezone)
    sent_at = one.first_sent_at
    return {
        "href": href(request, f"/console/campaigns/{one.campaign_id}", language),
        "name": one.name,
        "sent_at": format_moment(sent_at, language, zone) if sent_at else say(request, language, "Not sent yet"),
        "sent": one.sent,
        "tracked": one.tracked,
        "unique": one.unique_opens,
        "machine": one.unique_machine_opens,
    }


def _figures(report: CampaignReport, language: str, zone: ZoneInfo, text: Say) -> list[Mapping[str, str]]:
    def number(count: int) -> str:
        return format_number(count, language)

    def share(of: float) -> str:
        return text("%(number)s%%", number=format_number(round(of * 100, 1), language))

    covered = NONE if report.coverage is None else share(report.coverage)
    sent_at = report.first_sent_at
    since = text("since %(moment)s", moment=format_moment(sent_at, language, zone)) if sent_at else text("Not sent yet")
    unclear = number(report.total_unknown_opens)
    machine = number(report.total_machine_opens)
    figures = (
        ("Sent", report.sent, since),
        ("With consent", report.tracked, text("%(share)s of the mails sent", share=covered)),
        ("Recipients who loaded images", report.unique_opens, _rate(report.open_rate, share, text)),
        (
            "Images loaded",
            report.total_opens,
            text("Every time counts. Unclear, in no figure: %(total)s", total=unclear),
        ),
        ("Machines", report.unique_machine_opens, text("%(total)s times in all, apart from people", total=machine)),
    )
    return [{"label": text(label), "value": number(count), "hint": hint} for label, count, hint in figures]


def _rate(rate: Rate | None, share: Callable[[float], str], text: Say) -> str:
    if rate is None:
        return text("Share: -- (it needs at least %(base)s mails with consent)", base=str(SMALLEST_BASE))
    values = {"share": share(rate.value), "low": share(rate.low), "high": share(rate.high)}
    return text("%(share)s of the mails with consent; 95%% certain: %(low)s to %(high)s", **values)


def _timeline(points: Sequence[Point], text: Say) -> list[TimelinePoint]:
    """By age, so that two campaigns compare: "+3 h", and from the third day on "day 3"."""
    return [
        {"label": _age(points[0].starts_at, point, text), "opens": point.opens, "machine": point.machine}
        for point in points
    ]


def _age(sent_at: datetime, point: Point, text: Say) -> str:
    age = point.starts_at - sent_at
    if point.lasts < timedelta(days=1):
        return text("+%(hours)s h", hours=str(age // timedelta(hours=1)))
    return text("day %(day)s", day=str(age.days + 1))


def _withdrawn(request: Request, language: str, number: int) -> str:
    if number == 0:
        return say(request, language, "Nobody of those who got this mail with a pixel has withdrawn since.")
    one = "%(number)s recipient has withdrawn since; what was measured of them is deleted."
    many = "%(number)s recipients have withdrawn since; what was measured of them is deleted."
    return _many(request, language, one, many, number)


def _restricted(request: Request, language: str, number: int) -> str:
    if number == 0:
        return ""
    one = "%(number)s recipient has restricted the use of their data; what was measured of them is in no figure."
    many = "%(number)s recipients have restricted the use of their data; what was measured of them is in no figure."
    return _many(request, language, one, many, number)


def _many(request: Request, language: str, one: str, many: str, number: int) -> str:
    translations = context_of(request).catalogues.translations(language)
    return translations.ngettext(one, many, number) % {"number": format_number(number, language)}
