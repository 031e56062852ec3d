"""`pixel-service campaign`, as an operator types it: pause, resume, cancel (D8)."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from pixel_service.cli import app
from pixel_service.domain.messages import CampaignId
from pixel_service.storage import sends
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import campaigns
from tests.builders import BLOG
from tests.journeys.test_access_by_command import SETTINGS


@pytest.fixture(autouse=True)
def settings(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SETTINGS, "DATABASE_URL": database_url}.items():
        monkeypatch.setenv(f"PIXEL_{name}", value)


def type_in(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["campaign", *arguments])


def add_campaign(database_url: str) -> None:
    async def add() -> None:
        database = Database(database_url)
        async with database.write() as connection:
            new_id, now = CampaignId("a" * 26), datetime.now(UTC)
            await sends.hold_campaign(connection, name="November", purpose=BLOG, new_id=new_id, at=now)
        await database.close()

    asyncio.run(add())


def halted(database_url: str) -> tuple[bool, bool]:
    """Whether it is paused, and whether it is cancelled."""

    async def look() -> tuple[bool, bool]:
        database = Database(database_url)
        async with database.read() as connection:
            row = (await connection.execute(select(campaigns))).one()
        await database.close()
        return row.paused_at is not None, row.cancelled_at is not None

    return asyncio.run(look())


def test_a_campaign_is_paused_resumed_and_cancelled_by_its_name(database_url: str) -> None:
    add_campaign(database_url)
    assert type_in("pause", "November").stdout == "Paused.\n"
    assert halted(database_url) == (True, False)
    assert type_in("resume", "November").stdout == "Resumed.\n"
    assert halted(database_url) == (False, False)
    assert type_in("cancel", "November").stdout == "Cancelled; 0 waiting mails were removed.\n"
    assert halted(database_url) == (False, True)


def test_a_campaign_nobody_knows_is_an_error_in_words() -> None:
    answer = type_in("pause", "December")
    assert answer.exit_code == 1
    assert "campaign" in answer.stderr
    assert "Traceback" not in answer.stderr
