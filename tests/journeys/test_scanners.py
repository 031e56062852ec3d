"""Mail security software fetches every link of every mail, again and again. Nothing may come of it (S8)."""

import asyncio
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import select

from pixel_service.storage.engine import Database
from pixel_service.storage.schema import metadata
from tests.journeys.people import Person, Pipeline, links, mails_to
from tests.journeys.service import Process, serving
from tests.scale import scaled
from tests.smtp_server import SmtpServer

TIMES = scaled(100, quick=10)
AT_ONCE = 10
Dump = dict[str, list[tuple[object, ...]]]


async def dump(database_url: str) -> Dump:
    """Every row of every table that people can change."""
    database = Database(database_url)
    async with database.read() as connection:
        tables = {
            table.name: sorted((tuple(row) for row in await connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
            # What the service's own job has rewritten on disk meanwhile.
            if table.name != "scrubs"
        }
    await database.close()
    return tables


@pytest.mark.slow
async def test_fetching_every_link_of_every_mail_again_and_again_changes_nothing(database_url: str) -> None:
    with SmtpServer() as smtp:
        async with (
            serving(database_url, smtp_port=smtp.port) as service,
            httpx.AsyncClient(base_url=service.base_url, timeout=30) as client,
        ):
            await every_kind_of_mail(service, smtp, client)
            kinds = {str(mail.message["Subject"]) for mail in smtp.mails}
            assert len(kinds) >= 5, kinds
            urls = {url for mail in smtp.mails for url in links(mail) if url.startswith(service.base_url)}
            assert {urlsplit(url).path[:3] for url in urls} >= {"/c/", "/p/", "/u/", "/t/", "/d/", "/o/"}
            before = await dump(database_url)
            for url in sorted(urls):
                # A pixel that is fetched is an open; that is what it is for. Asking for its head is not.
                methods = ("HEAD",) if "/o/" in url else ("GET", "HEAD")
                for method in methods:
                    for _ in range(TIMES // AT_ONCE):
                        answers = await asyncio.gather(*(client.request(method, url) for _ in range(AT_ONCE)))
                        assert {answer.status_code for answer in answers} == {200}, (method, urlsplit(url).path[:3])
            assert await dump(database_url) == before


async def every_kind_of_mail(service: Process, smtp: SmtpServer, client: httpx.AsyncClient) -> None:
    """One person who agreed to all, one who refused tracking, one who left, one who never confirmed."""
    pipeline = Pipeline(client, service.run("key", "create", "--name", "p", "--scope", "send").strip())
    anna, bert, cleo, dora = (Person(f"{name}@example.com", client, smtp) for name in ("anna", "bert", "cleo", "dora"))
    await anna.join("newsletter", "tracking")
    await anna.join("whitepaper", offer="/whitepaper/glasfaser")
    await bert.join("newsletter")
    have = await cleo.join("newsletter", "tracking")
    await dora.sign_up("newsletter", "tracking")
    await dora.next_mail(1)
    answer = await pipeline.send("November")
    await cleo.next_mail(have + 1)
    await pipeline.delivered(answer.json()["send_id"], 3)
    unsubscribe = next(url for url in links(await cleo.next_mail(have + 1)) if "/u/" in url)
    assert (await cleo.press(unsubscribe)).status_code == 200
    await cleo.next_mail(have + 2)
    have = len(mails_to(smtp, bert.address))
    assert (await client.post("/privacy/request", data={"address": bert.address})).status_code == 200
    assert "/privacy/me/" in " ".join(links(await bert.next_mail(have + 1)))
