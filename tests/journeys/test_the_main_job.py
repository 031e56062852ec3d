"""The story of the service, over real sockets: sign up, confirm, receive, open, report, withdraw, and nothing is left."""

import httpx
import pytest
from sqlalchemy import func, select

from pixel_service.storage.engine import Database
from pixel_service.storage.schema import opens as opens_table, pixels as pixels_table
from tests.conftest import NewDatabase
from tests.journeys.people import Person, Pipeline, link, links, pixels
from tests.journeys.service import Process, serving
from tests.smtp_server import ReceivedMail, SmtpServer

ANNA = "anna@example.com"


def make_key(service: Process) -> str:
    return service.run("key", "create", "--name", "pipeline", "--scope", "send", "--scope", "report").strip()


async def rows(database_url: str) -> tuple[int, int]:
    """Opens and pixel mappings in the database."""
    database = Database(database_url)
    async with database.read() as connection:
        found = [
            (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (opens_table, pixels_table)
        ]
    await database.close()
    return found[0], found[1]


async def test_the_whole_story_from_sign_up_to_withdrawal(database_url: str) -> None:
    with SmtpServer() as smtp:
        async with (
            serving(database_url, smtp_port=smtp.port) as service,
            httpx.AsyncClient(base_url=service.base_url, timeout=30) as client,
        ):
            await tell(database_url, service, Person(ANNA, client, smtp))
            assert service.stop() == 0
            assert ANNA not in service.log.read_text()


async def tell(database_url: str, service: Process, anna: Person) -> None:
    pipeline = Pipeline(anna.client, make_key(service))
    have = await anna.join("newsletter", "tracking")

    first = await newsletter(pipeline, anna, "November", have + 1)
    assert len(pixels(first.mail)) == 1
    await anna.load_images(first.mail)
    report = await pipeline.report(first.campaign_id)
    assert (report["tracked"], report["unique_opens"], report["total_opens"]) == (1, 1, 1)

    receipt = await anna.press(link(first.mail, "t"))
    assert receipt.status_code == 200
    await anna.load_images(first.mail)
    report = await pipeline.report(first.campaign_id)
    assert (report["tracked"], report["unique_opens"], report["withdrawn_since"]) == (0, 0, 1)
    assert await rows(database_url) == (0, 0)

    second = await newsletter(pipeline, anna, "December", have + 2)
    assert_nothing_personal(second.mail)


class Received:
    def __init__(self, mail: ReceivedMail, campaign_id: str) -> None:
        self.mail, self.campaign_id = mail, campaign_id


async def newsletter(pipeline: Pipeline, person: Person, campaign: str, number: int) -> Received:
    answer = await pipeline.send(campaign)
    assert answer.status_code == 202, answer.text
    # Accepted, not only arrived: what is fetched before is no person's.
    await pipeline.delivered(answer.json()["send_id"], 1)
    return Received(await person.next_mail(number), answer.json()["campaign_id"])


def assert_nothing_personal(mail: ReceivedMail) -> None:
    """No pixel, no stop-measuring link, and no address that names the person but the ways out."""
    paths = [httpx.URL(one).path for one in links(mail)]
    long_ones = [path for path in paths if len(path) > 40]
    assert {path[:3] for path in long_ones} <= {"/u/", "/p/"}


@pytest.mark.parametrize("language", ["de", "en"])
async def test_a_whitepaper_comes_without_newsletter_and_without_tracking(
    new_sqlite: NewDatabase, language: str
) -> None:
    with SmtpServer() as smtp:
        async with (
            serving(new_sqlite(), smtp_port=smtp.port) as service,
            httpx.AsyncClient(base_url=service.base_url, timeout=30) as client,
        ):
            anna = Person(ANNA, client, smtp)
            have = await anna.join("whitepaper", offer=f"/whitepaper/glasfaser?lang={language}")
            mail = await anna.next_mail(have)
            assert pixels(mail) == []
            pdf = await client.get(link(mail, "d"))
            assert (pdf.status_code, pdf.headers["content-type"]) == (200, "application/pdf")
            assert pdf.content.startswith(b"%PDF")
