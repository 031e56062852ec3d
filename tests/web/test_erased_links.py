"""Every link an erased person ever got answers like that of somebody we never knew: no error, and nothing to learn (P1, R3)."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from httpx import AsyncClient, Response
from sqlalchemy import select

from pixel_service.domain.address import parse_address
from pixel_service.domain.messages import SignUpId, SubscriberId
from pixel_service.domain.rights import ChangeId
from pixel_service.storage import subscribers
from pixel_service.storage.schema import address_changes
from pixel_service.usecases import links
from pixel_service.usecases.context import Context
from pixel_service.usecases.erase import erase
from pixel_service.usecases.links import DownloadSubject
from pixel_service.usecases.rectify import ask_new_address
from pixel_service.usecases.rights_requests import Asked
from pixel_service.usecases.withdraw import Source
from tests.builders import BLOG, GLASFASER, OPENS, join, last_sign_up

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
_TOKEN = re.compile(r"(/[a-z]/|/privacy/me/)[a-z2-7]{20,}")
_MOMENT = re.compile(r"\d\d:\d\d")

POSTS = {
    "preferences": ("", "/stop-all", "/receipt.jsonld"),
    "unsubscribe": ("",),
    "stop_tracking": ("",),
    "confirm": ("", "/resend"),
    "download": ("", "/again", "/resend"),
    "privacy": (
        "/withdraw",
        "/stop-measuring",
        "/delete-opens",
        "/restrict",
        "/lift",
        "/object",
        "/erase",
        "/my-data.json",
        "/correct",
        "/address",
    ),
    "new_address": ("",),
}


async def links_of(ctx: Context, person: SubscriberId, sign_up: SignUpId) -> dict[str, str]:
    """As they stood in mails; of somebody we never knew, as they could have."""
    later = ctx.clock() + timedelta(days=5)
    async with ctx.db.read() as connection:
        known = await subscribers.get(connection, person)
    holder = known or replace(await _anybody(ctx), subscriber_id=person)
    return {
        "preferences": links.preferences_url(ctx, person),
        "unsubscribe": links.unsubscribe_url(ctx, person, BLOG),
        "stop_tracking": links.stop_tracking_url(ctx, person),
        "confirm": links.confirm_url(ctx, sign_up, later),
        "download": links.download_url(ctx, DownloadSubject(person, "glasfaser", "de"), later),
        "privacy": links.my_data_url(ctx, holder, later),
        "new_address": links.new_address_url(ctx, await _new_address(ctx, known), later),
    }


async def _new_address(ctx: Context, known: subscribers.Subscriber | None) -> ChangeId:
    if known is None:
        return ChangeId("z" * 26)
    new = parse_address("anna.new@example.com")
    await ask_new_address(ctx, known.subscriber_id, new, Asked(source=Source.PRIVACY_PAGE))
    async with ctx.db.read() as connection:
        return ChangeId((await connection.execute(select(address_changes.c.change_id))).scalar_one())


async def _anybody(ctx: Context) -> subscribers.Subscriber:
    other = await join(ctx, "bo@example.com", BLOG)
    async with ctx.db.read() as connection:
        found = await subscribers.get(connection, other)
    assert found is not None
    return found


def neutral(answer: Response) -> tuple[int, str, str]:
    """Without what differs from link to link."""
    page = _MOMENT.sub("", _TOKEN.sub(r"\1TOKEN", answer.text))
    return answer.status_code, answer.headers.get("content-type", ""), page


@pytest.mark.parametrize("kind", POSTS)
async def test_a_link_of_an_erased_person_answers_like_one_of_nobody(
    ctx: Context, visitor: AsyncClient, kind: str
) -> None:
    person = await join(ctx, "anna@example.com", BLOG, GLASFASER, OPENS, first_name="Annegret")
    hers = await links_of(ctx, person, (await last_sign_up(ctx, person)).sign_up_id)
    nobodys = await links_of(ctx, SubscriberId("z" * 26), SignUpId("z" * 26))
    assert await erase(ctx, person, Asked(source=Source.OPERATOR)) is not None
    pages = [await visitor.get(one[kind]) for one in (hers, nobodys)]
    assert neutral(pages[0]) == neutral(pages[1])
    assert pages[0].status_code < 500
    for path in POSTS[kind]:
        answers = [await visitor.post(one[kind] + path, headers=SAME_SITE) for one in (hers, nobodys)]
        assert neutral(answers[0]) == neutral(answers[1]), path
        assert answers[0].status_code < 500
        assert "Annegret" not in answers[0].text


async def test_the_one_click_of_a_mail_program_is_answered_200_as_ever(ctx: Context, visitor: AsyncClient) -> None:
    person = await join(ctx, "anna@example.com", BLOG)
    living = await visitor.post(links.unsubscribe_url(ctx, person, BLOG), data={"List-Unsubscribe": "One-Click"})
    await erase(ctx, person, Asked(source=Source.OPERATOR))
    erased = await visitor.post(links.unsubscribe_url(ctx, person, BLOG), data={"List-Unsubscribe": "One-Click"})
    assert (erased.status_code, erased.text) == (living.status_code, living.text) == (200, living.text)
