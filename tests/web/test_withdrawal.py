"""Every way out of a mail works at once, for people and for mail programs, and says what it did (W1, W2, W5, S8)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from httpx import AsyncClient
from sqlalchemy import func, select

from pixel_service.domain.consent import Act, State
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage.engine import Database
from pixel_service.storage.recording import store
from pixel_service.storage.schema import opens, pixels
from pixel_service.usecases.context import Context
from pixel_service.usecases.links import preferences_url, stop_tracking_url, unsubscribe_url
from tests.builders import BLOG, GLASFASER, OPENS, dump, join, ledger_of, states_of, web
from tests.journeys.forms import form
from tests.tracked_mail import NOW, add_mail, fetch

ADA = "ada@example.com"
ONE_CLICK = "List-Unsubscribe=One-Click"
URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}
MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n',
    {"Content-Type": "multipart/form-data; boundary=b"},
)


@pytest.fixture
async def person(ctx: Context) -> SubscriberId:
    return await join(ctx, ADA, BLOG, OPENS)


async def measured(ctx: Context, person: SubscriberId, *, mails: int, times: int) -> None:
    """Mails with a pixel, each loaded so often."""
    async with ctx.db.write() as connection:
        sent = [await add_mail(connection, person) for _ in range(mails)]
        await store(
            connection, [fetch(mail.pixel_id, at=NOW + timedelta(minutes=n)) for mail in sent for n in range(times)]
        )


async def rows_left(ctx: Context) -> tuple[int, int]:
    async with ctx.db.read() as connection:
        counts = [
            (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (opens, pixels)
        ]
    return counts[0], counts[1]


# --- reading ---------------------------------------------------------------------


async def test_reading_any_number_of_times_changes_nothing(
    visitor: AsyncClient, ctx: Context, person: SubscriberId
) -> None:
    before = await dump(ctx.db)
    for link in (unsubscribe_url(ctx, person, BLOG), stop_tracking_url(ctx, person)):
        for _ in range(3):
            assert (await visitor.get(link)).status_code == 200
            assert (await visitor.head(link)).status_code == 200
            assert (await visitor.get(f"{link}?{ONE_CLICK}")).status_code == 200
    assert await dump(ctx.db) == before


# --- a person presses the button ----------------------------------------------------


async def test_unsubscribing_is_one_button_and_ends_with_a_receipt(
    visitor: AsyncClient, ctx: Context, person: SubscriberId
) -> None:
    await measured(ctx, person, mails=2, times=3)
    page = form((await visitor.get(unsubscribe_url(ctx, person, BLOG))).text)
    assert page.checkboxes == {}
    done = await visitor.post(page.action)
    assert done.status_code == 200
    assert ctx.catalogue.label(BLOG, "de") in done.text
    assert "<dd>6</dd>" in done.text
    assert "<dd>2</dd>" in done.text
    assert await rows_left(ctx) == (0, 0)
    # The last newsletter takes the measuring along (W7).
    assert await states_of(ctx, person) == {BLOG: State.WITHDRAWN, OPENS: State.WITHDRAWN}
    assert (BLOG, Act.WITHDRAWN, {"source": "unsubscribe_page"}) in await ledger_of(ctx, person)


async def test_stopping_the_measuring_keeps_the_newsletter(
    visitor: AsyncClient, ctx: Context, person: SubscriberId
) -> None:
    await measured(ctx, person, mails=1, times=1)
    page = form((await visitor.get(stop_tracking_url(ctx, person))).text)
    done = await visitor.post(page.action)
    assert done.status_code == 200
    assert await states_of(ctx, person) == {BLOG: State.GIVEN, OPENS: State.WITHDRAWN}
    assert await rows_left(ctx) == (0, 0)
    assert (await ledger_of(ctx, person))[-1] == (OPENS, Act.WITHDRAWN, {"source": "stop_tracking_page"})


async def test_one_newsletter_ends_without_the_whitepaper(visitor: AsyncClient, ctx: Context) -> None:
    person = await join(ctx, ADA, BLOG, GLASFASER, OPENS)
    await visitor.post(unsubscribe_url(ctx, person, BLOG))
    assert (await states_of(ctx, person))[GLASFASER] is State.GIVEN


async def test_the_receipt_says_what_is_kept_and_where_to_complain(
    visitor: AsyncClient, ctx: Context, person: SubscriberId
) -> None:
    done = await visitor.post(stop_tracking_url(ctx, person))
    assert "Art. 17 Abs. 3 Buchst. e DSGVO" in done.text
    assert ctx.company.supervisory_authority in done.text
    assert "/p/" in done.text


async def test_pressing_again_is_answered_the_same_way_and_records_nothing(
    visitor: AsyncClient, ctx: Context, person: SubscriberId
) -> None:
    link = unsubscribe_url(ctx, person, BLOG)
    await visitor.post(link)
    before = await dump(ctx.db)
    for _ in range(3):
        assert (await visitor.post(link)).status_code == 200
        assert (await visitor.post(link, content=ONE_CLICK, headers=URLENCODED)).status_code == 200
    assert await dump(ctx.db) == before


async def test_every_page_speaks_the_language_of_the_person(visitor: AsyncClient, ctx: Context) -> None:
    person = await join(ctx, ADA, BLOG, OPENS, language="en")
    german = {"Accept-Language": "de"}
    for link in (stop_tracking_url(ctx, person), unsubscribe_url(ctx, person, BLOG), preferences_url(ctx, person)):
        assert '<html lang="en">' in (await visitor.get(link, headers=german)).text
    assert '<html lang="en">' in (await visitor.post(stop_tracking_url(ctx, person), headers=german)).text


# --- a mail program posts (RFC 8058) -------------------------------------------------


@pytest.mark.parametrize(
    "body, headers",
    [
        (ONE_CLICK.encode(), URLENCODED),
        MULTIPART,
        (ONE_CLICK.encode(), {}),
        (b"list-unsubscribe=one-click", URLENCODED),
        (ONE_CLICK.encode(), URLENCODED | {"Origin": "https://mail.example.net", "Sec-Fetch-Site": "cross-site"}),
        (ONE_CLICK.encode(), URLENCODED | {"User-Agent": "python-requests/2.32 bot"}),
        (ONE_CLICK.encode(), URLENCODED | {"User-Agent": ""}),
    ],
)
async def test_one_click_acts_at_once_without_redirect(
    visitor: AsyncClient, ctx: Context, person: SubscriberId, body: bytes, headers: Mapping[str, str]
) -> None:
    done = await visitor.post(unsubscribe_url(ctx, person, BLOG), content=body, headers=dict(headers))
    assert done.status_code == 200
    assert done.headers["content-type"] == "text/plain; charset=utf-8"
    assert "set-cookie" not in done.headers
    assert (await states_of(ctx, person))[BLOG] is State.WITHDRAWN
    assert (BLOG, Act.WITHDRAWN, {"source": "one_click"}) in await ledger_of(ctx, person)


@pytest.mark.parametrize(
    "body, content_type",
    [
        (b"", "multipart/form-data"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=b"),
        (b"%zz&&&=", "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "text/plain"),
    ],
)
async def test_whatever_the_body_is_a_withdrawal_is_obeyed(
    visitor: AsyncClient, ctx: Context, person: SubscriberId, body: bytes, content_type: str
) -> None:
    for link in (unsubscribe_url(ctx, person, BLOG), stop_tracking_url(ctx, person)):
        done = await visitor.post(link, content=body, headers={"Content-Type": content_type})
        assert done.status_code == 200
    assert set((await states_of(ctx, person)).values()) == {State.WITHDRAWN}


async def test_a_mail_program_gets_the_same_answer_for_every_token(
    visitor: AsyncClient, ctx: Context, person: SubscriberId
) -> None:
    known = await visitor.post(unsubscribe_url(ctx, person, BLOG), content=ONE_CLICK, headers=URLENCODED)
    forged = await visitor.post("/u/abcdefgh", content=ONE_CLICK, headers=URLENCODED)
    assert (forged.status_code, forged.text, forged.headers) == (known.status_code, known.text, known.headers)


# --- unknown, erased, not stored ------------------------------------------------------


async def test_a_forged_link_is_a_neutral_page(visitor: AsyncClient, ctx: Context, person: SubscriberId) -> None:
    before = await dump(ctx.db)
    for path in ("/u/abcdefgh", "/t/abcdefgh"):
        assert (await visitor.get(path)).status_code == 404
        assert (await visitor.post(path)).status_code == 404
    assert await dump(ctx.db) == before


async def test_a_link_to_a_person_who_is_erased_still_ends_in_a_receipt(visitor: AsyncClient, ctx: Context) -> None:
    erased = SubscriberId(ctx.ids())
    for link in (unsubscribe_url(ctx, erased, BLOG), stop_tracking_url(ctx, erased)):
        assert (await visitor.get(link)).status_code == 200
        done = await visitor.post(link)
        assert done.status_code == 200
        assert "Es war nichts mehr zu beenden." in done.text


async def test_what_could_not_be_stored_is_not_acknowledged(ctx: Context, person: SubscriberId) -> None:
    gone = Database("sqlite:////nowhere/at/all/pixel.db")
    async with web(replace(ctx, db=gone)) as visitor:
        answers = [
            await visitor.post(unsubscribe_url(ctx, person, BLOG), content=ONE_CLICK, headers=URLENCODED),
            await visitor.post(unsubscribe_url(ctx, person, BLOG)),
            await visitor.post(stop_tracking_url(ctx, person)),
            await visitor.post(f"{preferences_url(ctx, person)}/stop-all"),
        ]
    assert [answer.status_code for answer in answers] == [503] * 4
    assert all("retry-after" in answer.headers for answer in answers)
    assert (await states_of(ctx, person))[BLOG] is State.GIVEN
    await gone.close()
