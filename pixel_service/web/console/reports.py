"""The list of campaigns and the page of one, for colleagues who are logged in (O1, O2). Figures are read, none is made here."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from pixel_service.domain.comparison import Comparison
from pixel_service.domain.errors import NotFound
from pixel_service.domain.messages import CampaignId
from pixel_service.domain.rates import SMALLEST_BASE
from pixel_service.domain.reports import Campaign, CampaignReport, Summary
from pixel_service.domain.timing import Point, best_hours, is_young
from pixel_service.storage import reports
from pixel_service.web.api.models import read_id
from pixel_service.web.bars import TimelinePoint
from pixel_service.web.console import report_words as words
from pixel_service.web.console.login import require_user
from pixel_service.web.console.report_words import Writer
from pixel_service.web.language import language_of
from pixel_service.web.views import context_of, href, show

#: Campaigns on the first page.
_NEWEST = 100


@require_user
async def list_campaigns(request: Request) -> Response:
    """GET /console/"""
    ctx, language = context_of(request), language_of(request)
    whole_since = ctx.policy.keep.whole_since(ctx.clock())
    async with ctx.db.snapshot() as connection:
        found = await reports.list_campaigns(connection, whole_since=whole_since, limit=_NEWEST)
    writer = Writer(request=request, language=language)
    campaigns = [_line(writer, one) for one in found]
    return show(request, "console/campaigns", language=language, campaigns=campaigns)


@require_user
async def show_campaign(request: Request) -> Response:
    """GET /console/campaigns/{campaign_id}"""
    ctx, language = context_of(request), language_of(request)
    campaign_id, now = CampaignId(read_id(request.path_params["campaign_id"], "campaign")), ctx.clock()
    whole_since = ctx.policy.keep.whole_since(now)
    async with ctx.db.snapshot() as connection:
        report = await reports.campaign_report(connection, campaign_id, whole_since=whole_since)
        compared = await reports.comparison(connection, campaign_id, now=now, whole_since=whole_since)
    if report is None:
        raise NotFound("campaign")
    writer = Writer(request=request, language=language)
    return _page(report, compared, writer, now)


def _page(report: CampaignReport, compared: Comparison | None, writer: Writer, now: datetime) -> Response:
    cells = best_hours(report.opens_by_hour, now=now, zone=writer.zone)
    return show(
        writer.request,
        "console/campaign",
        language=writer.language,
        name=report.name,
        tags=report.tags,
        whole=report.is_whole,
        young=report.sent > 0 and is_young(report.first_sent_at, now),
        figures=_figures(report, writer),
        rates=words.rates(report, writer),
        timeline=_timeline(report.timeline, writer),
        delays=words.delays(report.delays, writer) if report.median_delay else [],
        median_delay=words.delay(report.median_delay, writer),
        half_in_after=writer.age(report.half_in_after),
        most_in_after=writer.age(report.most_in_after),
        clients=words.clients(report.clients, writer),
        hidden_by_apple=writer.number(report.hidden),
        machines=words.machines(report.machines, writer),
        week=words.hours_of_week(cells, writer) if cells else None,
        comparison=words.comparison(compared, report, writer),
        trust=words.trust(report, writer),
        withdrawn_since=_withdrawn(writer, report.withdrawn_since),
        restricted=_restricted(writer, report.restricted),
    )


def _line(writer: Writer, one: Summary) -> Mapping[str, object]:
    return {
        "href": href(writer.request, f"/console/campaigns/{one.campaign_id}", writer.language),
        "name": one.name,
        "sent_at": _sent(one, writer),
        "sent": one.sent,
        "tracked": one.tracked,
        "unique": one.unique_opens,
        "share": writer.share(one.floor.value if one.floor else None),
        "machine": one.unique_machine_opens,
    }


def _figures(report: CampaignReport, writer: Writer) -> list[Mapping[str, str]]:
    text, number = writer.text, writer.number
    since = (
        text("since %(moment)s", moment=writer.moment(report.first_sent_at))
        if report.first_sent_at
        else _sent(report, writer)
    )
    unclear, machine = number(report.total_unknown_opens), number(report.total_machine_opens)
    figures = (
        ("Sent", report.sent, since),
        ("With consent", report.tracked, text("%(share)s of the mails sent", share=writer.share(report.coverage))),
        ("Recipients who loaded images", report.unique_opens, _rate(report, writer)),
        (
            "Images loaded",
            report.total_opens,
            text(
                "In %(sessions)s sittings. Unclear, in no figure: %(total)s",
                sessions=number(report.sessions),
                total=unclear,
            ),
        ),
        ("Machines", report.unique_machine_opens, text("%(total)s times in all, apart from people", total=machine)),
    )
    return [{"label": text(label), "value": number(count), "hint": hint} for label, count, hint in figures]


def _sent(campaign: Campaign, writer: Writer) -> str:
    if campaign.first_sent_at is not None:
        return writer.moment(campaign.first_sent_at)
    return writer.text("Not sent yet" if campaign.is_whole else "No longer stored")


def _rate(report: CampaignReport, writer: Writer) -> str:
    rate = report.floor
    if not report.is_whole:
        return writer.text("Share: -- (parts of it are no longer stored)")
    if rate is None:
        return writer.text("Share: -- (it needs at least %(base)s mails with consent)", base=str(SMALLEST_BASE))
    values = {"share": writer.share(rate.value), "low": writer.share(rate.low), "high": writer.share(rate.high)}
    return writer.text("%(share)s of the mails with consent; 95%% certain: %(low)s to %(high)s", **values)


def _timeline(points: Sequence[Point], writer: Writer) -> list[TimelinePoint]:
    """By age, so that two campaigns compare: "+3 h", and from the third day on "day 3"."""
    return [
        {"label": _age(points[0].starts_at, point, writer), "opens": point.opens, "machine": point.machine}
        for point in points
    ]


def _age(sent_at: datetime, point: Point, writer: Writer) -> str:
    age = point.starts_at - sent_at
    if point.lasts < timedelta(days=1):
        return writer.text("+%(hours)s h", hours=str(age // timedelta(hours=1)))
    return writer.text("day %(day)s", day=str(age.days + 1))


def _withdrawn(writer: Writer, number: int) -> str:
    if number == 0:
        return writer.text("No withdrawal of a recipient is on record.")
    one = "%(number)s recipient has withdrawn since; what was measured of them is deleted."
    many = "%(number)s recipients have withdrawn since; what was measured of them is deleted."
    return writer.many(one, many, number)


def _restricted(writer: Writer, number: int) -> str:
    if number == 0:
        return ""
    one = "%(number)s recipient has restricted the use of their data; what was measured of them is in no figure."
    many = "%(number)s recipients have restricted the use of their data; what was measured of them is in no figure."
    return writer.many(one, many, number)
