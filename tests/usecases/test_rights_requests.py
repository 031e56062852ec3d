"""Every use of a right is noted with its month; open ones stay until they are answered, closed ones go by their age (R10)."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from pixel_service.domain.address import parse_address
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.retention import Kept
from pixel_service.domain.rights import MOST_NOTE, RequestId, RightsRequestKind
from pixel_service.jobs import steps
from pixel_service.observability import Metrics
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import audit_log, rights_requests
from pixel_service.usecases import on_behalf
from pixel_service.usecases.context import Context
from pixel_service.usecases.erase import erase
from pixel_service.usecases.evidence import Inquiry
from pixel_service.usecases.identify import identify
from pixel_service.usecases.on_behalf import take_request
from pixel_service.usecases.privacy import withdraw_on_page
from pixel_service.usecases.rectify import correct_some
from pixel_service.usecases.retain_data import count_due, purge_slice
from pixel_service.usecases.rights import delete_my_opens, lift, object_to_marketing, restrict
from pixel_service.usecases.rights_requests import (
    Asked,
    close_request,
    look_at_open,
    note_request,
    open_requests,
)
from pixel_service.usecases.withdraw import Source
from tests.access import Clock
from tests.builders import BLOG, OPENS, context, join

BY_PAGE = Asked(source=Source.PRIVACY_PAGE)
LETTER = Asked(source=Source.OPERATOR, note="letter 17")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ctx(db: Database, clock: Clock) -> Context:
    return context(db, clock)


@pytest.fixture
async def anna(ctx: Context) -> SubscriberId:
    return await join(ctx, "anna@example.com", BLOG)


async def note(ctx: Context, who: SubscriberId, kind: RightsRequestKind, asked: Asked, *, done: bool) -> None:
    async with ctx.db.write() as connection:
        await note_request(ctx, connection, who, kind, asked, done=done)


async def kept(ctx: Context) -> list[tuple[str, str, bool]]:
    """Kind, source, done."""
    async with ctx.db.read() as connection:
        rows = await connection.execute(
            select(rights_requests).order_by(rights_requests.c.asked_at, rights_requests.c.request_id)
        )
        return [(row.kind, row.source, row.done_at is not None) for row in rows]


async def test_each_right_is_noted_as_done_with_its_month(ctx: Context, anna: SubscriberId) -> None:
    for right in (restrict, lift, delete_my_opens, object_to_marketing):
        await right(ctx, anna, BY_PAGE)
    kinds = ("restriction", "lifting", "opens_erasure", "objection")
    assert await kept(ctx) == [(kind, "privacy_page", True) for kind in kinds]
    async with ctx.db.read() as connection:
        rows = (await connection.execute(select(rights_requests))).all()
    assert {row.due_at for row in rows} == {ctx.clock().replace(month=12)}


async def test_what_is_done_closes_the_open_letter_of_its_kind_and_only_that(ctx: Context, anna: SubscriberId) -> None:
    bo = await join(ctx, "bo@example.com", BLOG)
    await note(ctx, anna, RightsRequestKind.RESTRICTION, LETTER, done=False)
    await note(ctx, anna, RightsRequestKind.ACCESS, LETTER, done=False)
    await note(ctx, bo, RightsRequestKind.RESTRICTION, LETTER, done=False)
    await restrict(ctx, anna, BY_PAGE)
    assert sorted(await kept(ctx)) == [
        ("access", "operator", False),
        ("restriction", "operator", False),
        ("restriction", "operator", True),
    ]
    assert {(one.address, one.request.kind.value) for one in await open_requests(ctx)} == {
        ("anna@example.com", "access"),
        ("bo@example.com", "restriction"),
    }


async def test_a_person_who_does_a_part_of_what_the_letter_asks_for_does_not_close_it(ctx: Context) -> None:
    anna = await join(ctx, "anna@example.com", BLOG, OPENS)
    for kind in (RightsRequestKind.WITHDRAWAL, RightsRequestKind.RECTIFICATION):
        await note(ctx, anna, kind, LETTER, done=False)
    await withdraw_on_page(ctx, anna, frozenset({OPENS}))
    await correct_some(ctx, anna, {"phone": "1"}, BY_PAGE)
    assert {one.request.kind.value for one in await open_requests(ctx)} == {"withdrawal", "rectification"}
    await withdraw_on_page(ctx, anna, None)
    await correct_some(ctx, anna, {"phone": "2"}, LETTER)
    assert await open_requests(ctx) == []
    assert sorted(await kept(ctx)) == [
        ("rectification", "operator", True),
        ("rectification", "privacy_page", True),
        ("withdrawal", "operator", True),
        ("withdrawal", "privacy_page", True),
    ]


async def test_no_letter_is_noted_of_a_person_who_was_erased_while_they_were_looked_up(
    ctx: Context, anna: SubscriberId, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def erased_meanwhile(ctx: Context, inquiry: Inquiry, *, act: str) -> SubscriberId | None:
        found = await identify(ctx, inquiry, act=act)
        assert await erase(ctx, anna, BY_PAGE)
        return found

    monkeypatch.setattr(on_behalf, "identify", erased_meanwhile)
    letter = Inquiry(address=parse_address("anna@example.com"), reason="letter of Anna", by="mia")
    assert not await take_request(ctx, letter, RightsRequestKind.ACCESS, ctx.clock().date())
    assert await kept(ctx) == [("erasure", "privacy_page", True)]


async def test_open_requests_come_in_the_order_of_their_day_and_say_when_it_is_over(
    ctx: Context, anna: SubscriberId, clock: Clock
) -> None:
    came = ctx.clock() - timedelta(days=20)
    await note(ctx, anna, RightsRequestKind.ACCESS, LETTER, done=False)
    await note(ctx, anna, RightsRequestKind.ERASURE, Asked(source=Source.OPERATOR, received_at=came), done=False)
    clock.move(timedelta(days=15))
    found = await open_requests(ctx)
    assert [(one.request.kind.value, one.overdue) for one in found] == [("erasure", True), ("access", False)]
    metrics = Metrics()
    (step,) = (one for one in steps(ctx, metrics) if one.name == "watch_requests")
    assert await step.run() == 0
    assert b'pixel_rights_requests{due="in_time"} 1.0' in metrics.render()
    assert b'pixel_rights_requests{due="overdue"} 1.0' in metrics.render()


async def test_a_request_of_somebody_who_is_gone_stays_on_the_list_without_an_address(ctx: Context) -> None:
    await note(ctx, SubscriberId("g" * 26), RightsRequestKind.ACCESS, LETTER, done=False)
    assert [(one.address, one.request.note) for one in await open_requests(ctx)] == [(None, "letter 17")]


async def test_a_request_is_closed_once_and_with_a_reason_on_record(ctx: Context, anna: SubscriberId) -> None:
    await note(ctx, anna, RightsRequestKind.ACCESS, LETTER, done=False)
    (one,) = await look_at_open(ctx, by="dpo@example.com", reason="daily round")
    number = one.request.request_id
    assert await close_request(ctx, number, by="dpo@example.com", reason="answered")
    assert not await close_request(ctx, number, by="dpo@example.com", reason="answered")
    assert not await close_request(ctx, RequestId("n" * 26), by="dpo@example.com", reason="answered")
    assert await look_at_open(ctx, by="dpo@example.com", reason="daily round") == []
    async with ctx.db.read() as connection:
        looks = (await connection.execute(select(audit_log).order_by(audit_log.c.audit_id))).all()
    assert [(look.act, look.subject, look.reason) for look in looks] == [
        ("requests", "list", "daily round"),
        ("request closed", anna, "answered"),
    ]


async def test_a_note_is_cut_to_its_column(ctx: Context, anna: SubscriberId) -> None:
    await note(ctx, anna, RightsRequestKind.ACCESS, Asked(source=Source.OPERATOR, note="x" * 900), done=False)
    (one,) = await open_requests(ctx)
    assert len(one.request.note) == MOST_NOTE


async def test_closed_requests_go_after_their_period_and_open_ones_never(
    ctx: Context, anna: SubscriberId, clock: Clock
) -> None:
    await note(ctx, anna, RightsRequestKind.ACCESS, LETTER, done=False)
    await restrict(ctx, anna, BY_PAGE)
    clock.move(ctx.policy.keep.requests - timedelta(seconds=1))
    assert (await count_due(ctx))[Kept.REQUESTS] == 0
    clock.move(timedelta(seconds=1))
    assert (await count_due(ctx))[Kept.REQUESTS] == 1
    assert (await purge_slice(ctx))[Kept.REQUESTS] == 1
    assert await kept(ctx) == [("access", "operator", False)]
