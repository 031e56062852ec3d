"""`pixel-service purge`: see what would go, then let it go."""

import asyncio
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from pixel_service.app import now
from pixel_service.cli import app
from pixel_service.storage.engine import Database
from tests.access import Clock
from tests.builders import BLOG, OPENS, context, deliver, join
from tests.conftest import NewDatabase
from tests.journeys.service import environment
from tests.usecases.test_withdraw import mailing


@pytest.fixture
def url(new_sqlite: NewDatabase) -> str:
    """A newsletter of two months ago: its pixel's recording window is over."""
    made = new_sqlite()

    async def send_it() -> None:
        database = Database(made)
        ctx = context(database, Clock(now() - timedelta(days=60)))
        await join(ctx, "anna@example.com", BLOG, OPENS)
        await mailing(ctx)
        await deliver(ctx)
        await database.close()

    asyncio.run(send_it())
    return made


def table(url: str, *words: str) -> dict[str, str]:
    done = CliRunner().invoke(app, ["purge", *words], env=environment(url, port=8000, smtp_port=25))
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    return {line[0]: line[1] for line in lines if len(line) == 2}


def test_a_dry_run_lists_what_would_go_and_purge_does_it_once(url: str) -> None:
    assert table(url, "--dry-run") == table(url, "--dry-run")
    listed = table(url, "--dry-run")
    assert (listed["class"], listed["pixels"], listed["opens"]) == ("due", "1", "0")
    gone = table(url)
    assert (gone["class"], gone["pixels"], gone["evidence"]) == ("gone", "1", "0")
    assert table(url)["pixels"] == "0"
