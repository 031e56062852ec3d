"""Migrations that move data: what was stored before them is told right after them."""

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection as SyncConnection, insert, text

from pixel_service.domain.messages import Tracking
from pixel_service.domain.opens import Judgement, Verdict
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.migrations import _config, migrate
from pixel_service.storage.schema import opens
from tests import postgres
from tests.figures import differences
from tests.tracked_mail import GMAIL, NOW, TrackedMail, add_campaign, add_mail, add_person, fetch

JUDGEMENTS = (
    GMAIL,
    Judgement(Verdict.PREFETCH, "apple_mpp", "Apple Mail"),
    Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook"),
    Judgement(Verdict.BOT, "http_tool"),
    Judgement(Verdict.UNKNOWN, "no_user_agent"),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: postgres.Server = request.getfixturevalue("postgres_server")
    name = server.create()
    yield server.url_of(name)
    server.drop(name)


async def migrate_to(db: Database, revision: str) -> None:
    def upgrade(connection: SyncConnection) -> None:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    async with db.write() as connection:
        await connection.run_sync(upgrade)


async def add_open(connection: Connection, mail: TrackedMail, after: float, judgement: Judgement) -> None:
    """As the rules before 0004 stored it: any number, however close together."""
    await connection.execute(
        insert(opens).values(
            open_id=fetch(None).open_id,
            message_id=mail.message_id,
            opened_at=NOW + timedelta(seconds=after),
            verdict=judgement.verdict.value,
            reason=judgement.reason,
            client_family=judgement.client_family,
        )
    )


async def test_figures_are_filled_from_the_opens_there_are(empty_url: str) -> None:
    chance, db = random.Random(4), Database(empty_url)
    await migrate_to(db, "0003")
    async with db.write() as connection:
        people = [await add_person(connection) for _ in range(3)]
        for number in range(2):
            campaign_id = await add_campaign(connection, name=f"{number}")
            for tracking in Tracking:
                for person in people:
                    sent_at = chance.choice([NOW, NOW - timedelta(days=1), None])
                    mail = await add_mail(
                        connection, person, campaign_id=campaign_id, tracking=tracking, sent_at=sent_at
                    )
                    for _ in range(chance.choice([0, 1, 3, 60])):
                        after = chance.choice([0, 1, 59.9999996, 60, 1799, 1800, 3599.9999, 7000, 1e6])
                        await add_open(connection, mail, after, chance.choice(JUDGEMENTS))
        await add_open(connection, await add_mail(connection, people[0]), 5, GMAIL)
    await migrate(db)
    assert await differences(db) == []
    async with db.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM message_opens"))).scalar_one() > 10
        assert (await connection.execute(text("SELECT count(*) FROM campaign_figures"))).scalar_one() > 40
        assert (await connection.execute(text("SELECT max(rules) FROM opens"))).scalar_one() == 0
    await db.close()


async def test_an_empty_database_gets_no_figures(empty_url: str) -> None:
    db = Database(empty_url)
    await migrate(db)
    assert await differences(db) == []
    await db.close()
