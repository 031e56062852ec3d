"""Two `serve` and two `work` on one PostgreSQL: nobody gets a mail twice, nothing withdrawn comes back (Q2, D8, W8)."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import httpx
import pytest
from sqlalchemy import func, select

from pixel_service.domain.consent import TRACKING_OPENS
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import consents, messages, opens as opens_table, pixels as pixels_table
from tests.conftest import NewDatabase
from tests.journeys.people import MAIL_CLIENT, Person, Pipeline, link, mails_to, pixels
from tests.journeys.seed import agreeing_people
from tests.journeys.service import environment, free_port, process, serving
from tests.scale import scaled
from tests.smtp_server import SmtpServer

PEOPLE = scaled(400, quick=60)


@pytest.mark.slow
async def test_two_web_processes_and_two_workers_share_one_database_without_double_sends(
    new_postgres: NewDatabase,
) -> None:
    url = new_postgres()
    database = Database(url)
    addresses = await agreeing_people(database, PEOPLE)
    with SmtpServer() as smtp:
        async with AsyncExitStack() as stack:
            one = await stack.enter_async_context(serving(url, smtp_port=smtp.port))
            other = await stack.enter_async_context(serving(url, smtp_port=smtp.port))
            for _ in range(2):
                stack.enter_context(process(environment(url, port=free_port(), smtp_port=smtp.port), "work"))
            first = await stack.enter_async_context(httpx.AsyncClient(base_url=one.base_url, timeout=60))
            second = await stack.enter_async_context(httpx.AsyncClient(base_url=other.base_url, timeout=60))
            key = one.run("key", "create", "--name", "p", "--scope", "send", "--scope", "report").strip()

            # The same request at both doors at once is one send; an audience beside it finds everybody served.
            everybody = [{"address": address} for address in addresses]
            answers = await asyncio.gather(
                Pipeline(first, key).send("November", idempotency_key="one", recipients=everybody),
                Pipeline(second, key).send("November", idempotency_key="one", recipients=everybody),
                Pipeline(second, key).send("November", idempotency_key="all"),
            )
            assert [answer.status_code for answer in answers] == [202] * 3, [answer.text for answer in answers]
            assert answers[0].content == answers[1].content
            await asyncio.to_thread(smtp.wait_for, PEOPLE, 60)
            await open_while_withdrawing(first, second, smtp, addresses)
            await asyncio.sleep(1)  # time for a second copy, if there were one
            assert Counter(
                mail.rcpt_to for mail in smtp.mails if "November" in str(mail.message["Subject"])
            ) == Counter(addresses)
            report = await Pipeline(first, key).report(answers[0].json()["campaign_id"])
    withdrawn = PEOPLE // 4
    assert (report["tracked"], report["withdrawn_since"]) == (PEOPLE - withdrawn, withdrawn)
    assert report["unique_opens"] == PEOPLE - withdrawn
    assert await leftovers(database) == 0
    await database.close()


async def open_while_withdrawing(
    first: httpx.AsyncClient, second: httpx.AsyncClient, smtp: SmtpServer, addresses: list[str]
) -> None:
    """Everybody opens through both processes; every fourth person withdraws through one of them meanwhile.
    Mails of either process work at the other: the links name the first one's address, the path is what counts."""
    gate = asyncio.Semaphore(20)

    async def go(number: int, address: str) -> None:
        mail = mails_to(smtp, address)[0]
        path = httpx.URL(pixels(mail)[0]).path
        leaving = httpx.URL(link(mail, "t")).path
        async with gate:
            await asyncio.gather(
                *(
                    client.get(path, headers={"User-Agent": MAIL_CLIENT})
                    for client in (first, second)
                    for _ in range(2)
                ),
                *([Person(address, second, smtp).press(leaving)] if number % 4 == 0 else []),
            )

    await asyncio.gather(*(go(number, address) for number, address in enumerate(addresses)))


async def leftovers(database: Database) -> int:
    """Opens and pixel mappings of people whose tracking consent does not stand."""
    gone = select(consents.c.subscriber_id).where(
        consents.c.purpose == TRACKING_OPENS, consents.c.state.not_in(("given", "renewed"))
    )
    async with database.read() as connection:
        left_opens = await connection.execute(
            select(func.count())
            .select_from(opens_table.join(messages, messages.c.message_id == opens_table.c.message_id))
            .where(messages.c.subscriber_id.in_(gone))
        )
        left_pixels = await connection.execute(
            select(func.count()).select_from(pixels_table).where(pixels_table.c.subscriber_id.in_(gone))
        )
    return int(left_opens.scalar_one()) + int(left_pixels.scalar_one())
