"""A whitepaper comes by a personal link, while it was asked for and not withdrawn, and is never measured (S8, S13)."""

from datetime import timedelta

import pytest
from httpx import AsyncClient

from pixel_service.domain.messages import SubscriberId
from pixel_service.usecases.context import Context
from pixel_service.usecases.links import DownloadSubject, download_url
from pixel_service.usecases.withdraw import Source, withdraw
from tests.access import Clock
from tests.builders import BLOG, GLASFASER, dump, join, queued
from tests.journeys.forms import form

ADA = "ada@example.com"


@pytest.fixture
async def person(ctx: Context) -> SubscriberId:
    """Asked for the whitepaper and for nothing else."""
    return await join(ctx, ADA, GLASFASER)


def link_of(ctx: Context, person: SubscriberId, *, slug: str = "glasfaser", language: str = "de") -> str:
    return download_url(ctx, DownloadSubject(person, slug, language), ctx.clock() + ctx.policy.download_within)


async def test_the_link_gives_the_file_in_the_language_of_the_person(
    visitor: AsyncClient, ctx: Context, person: SubscriberId
) -> None:
    for language, title in (("de", "Glasfaser%20f%C3%BCr%20Unternehmen.pdf"), ("en", "Business%20fibre.pdf")):
        file = await visitor.get(link_of(ctx, person, language=language))
        assert file.status_code == 200
        assert file.content == ctx.catalogue.whitepapers["glasfaser"].files[ctx.catalogue.language(language)]
        assert file.headers["content-type"] == "application/pdf"
        assert file.headers["cache-control"] == "no-store"
        disposition = f"attachment; filename=\"glasfaser.pdf\"; filename*=UTF-8''{title}"
        assert file.headers["content-disposition"] == disposition


async def test_fetching_any_number_of_times_changes_nothing(
    visitor: AsyncClient, ctx: Context, person: SubscriberId, clock: Clock
) -> None:
    link = link_of(ctx, person)
    before = await dump(ctx.db)
    for _ in range(3):
        assert (await visitor.get(link)).status_code == 200
        assert (await visitor.head(link)).status_code == 200
    clock.move(timedelta(days=31))
    for _ in range(3):
        assert (await visitor.get(link)).status_code == 410
        assert (await visitor.head(link)).status_code == 410
    assert await dump(ctx.db) == before


async def test_an_expired_link_brings_a_new_one_by_mail_once_a_day(
    visitor: AsyncClient, ctx: Context, person: SubscriberId, clock: Clock
) -> None:
    link = link_of(ctx, person)
    mails = await queued(ctx)
    clock.move(timedelta(days=30))
    button = form((await visitor.get(link)).text)
    for _ in range(3):
        assert (await visitor.post(button.action)).status_code == 200
    assert (await queued(ctx))[len(mails) :] == ["whitepaper"]
    clock.move(timedelta(days=1))
    await visitor.post(button.action)
    assert (await queued(ctx))[len(mails) :] == ["whitepaper"] * 2


async def test_a_valid_link_asks_for_nothing_when_posted(
    visitor: AsyncClient, ctx: Context, person: SubscriberId, clock: Clock
) -> None:
    link = link_of(ctx, person)
    clock.move(timedelta(days=2))
    before = await dump(ctx.db)
    assert (await visitor.post(link)).status_code == 200
    assert await dump(ctx.db) == before


async def test_after_a_withdrawal_there_is_neither_file_nor_mail(
    visitor: AsyncClient, ctx: Context, person: SubscriberId, clock: Clock
) -> None:
    link = link_of(ctx, person)
    await withdraw(ctx, person, {GLASFASER}, Source.PREFERENCES_PAGE)
    assert (await visitor.get(link)).status_code == 404
    clock.move(timedelta(days=31))
    assert (await visitor.get(link)).status_code == 404
    before = await dump(ctx.db)
    assert (await visitor.post(link)).status_code == 200
    assert await dump(ctx.db) == before


async def test_who_never_asked_for_it_gets_no_file(visitor: AsyncClient, ctx: Context) -> None:
    reader = await join(ctx, "bo@example.com", BLOG)
    assert (await visitor.get(link_of(ctx, reader))).status_code == 404


async def test_forged_links_and_retired_whitepapers_are_unknown(
    visitor: AsyncClient, ctx: Context, person: SubscriberId
) -> None:
    for link in ("/d/abcdefgh", link_of(ctx, person, slug="retired"), link_of(ctx, SubscriberId(ctx.ids()))):
        assert (await visitor.get(link)).status_code == 404
        assert (await visitor.post(link)).status_code == 200
