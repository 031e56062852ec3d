"""A backup of the running service, and a restore that is killed: nobody works on half of it, run again it ends right (Q5)."""

import asyncio
import os
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select, text

from pixel_service.app import open_context
from pixel_service.settings import load_settings
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import consents, opens, pixels as pixels_table, subscribers
from pixel_service.usecases.withdraw import Source, withdraw_all
from tests.builders import dump
from tests.journeys.people import Person, Pipeline, link, mails_to
from tests.journeys.seed import agreeing_people
from tests.journeys.service import HERE, Process, free_port, serving
from tests.smtp_server import SmtpServer

ANNA = "anna@example.com"
OTHERS = 25


@pytest.mark.slow
async def test_a_killed_restore_is_run_again_and_the_withdrawn_stay_withdrawn(
    database_url: str, tmp_path: Path
) -> None:
    file, port = tmp_path / "backup", free_port()
    await seeded(database_url)
    with SmtpServer() as smtp:
        serve = partial(
            serving, database_url, smtp_port=smtp.port, port=port, journal_path=str(tmp_path / "withdrawals")
        )
        async with serve() as service, browser(service) as client:
            anna = Person(ANNA, client, smtp)
            have = await anna.join("newsletter", "tracking")
            pipeline = Pipeline(client, service.run("key", "create", "--name", "p", "--scope", "send").strip())
            await pipeline.send("November", recipients=[{"address": ANNA}])
            mail = await anna.next_mail(have + 1)
            await anna.load_images(mail)
            service.run("backup", str(file))
            assert (await anna.press(link(mail, "u"))).status_code == 200
            await anna.next_mail(have + 2)
            assert service.stop() == 0
            variables = service.variables
        await others_withdraw(variables)
        before = await content(database_url)
        await killed_restore(variables, file, database_url)
        if database_url.startswith("sqlite"):
            assert await content(database_url) == before
        else:
            assert "a restore of this database was not finished" in run(variables, "serve", code=1)
        assert f"withdrawn: {OTHERS + 1}" in run(variables, "restore", str(file), "--replace", "--yes")
        assert await counted(database_url) == {"valid": 0, "opens": 0, "pixels": 0}
        mailed = len(smtp.mails)
        async with serve() as service, browser(service) as client:
            anna = Person(ANNA, client, smtp)
            await anna.load_images(mail)
            answer = await Pipeline(client, pipeline.key).send("December")
            assert answer.json()["counts"]["tracked"] == 0
            assert service.stop() == 0
        assert await counted(database_url) == {"valid": 0, "opens": 0, "pixels": 0}
        assert (len(smtp.mails), len(mails_to(smtp, ANNA))) == (mailed, have + 2)
        assert "exactly what the ledger says" in run(variables, "ledger", "replay")


async def seeded(database_url: str) -> None:
    database = Database(database_url)
    await agreeing_people(database, OTHERS)
    await database.close()


def browser(service: Process) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=service.base_url, timeout=30)


async def others_withdraw(variables: Mapping[str, str]) -> None:
    """By letter. Enough of them that a restore takes a while."""
    async with open_context(load_settings(variables)) as ctx:
        async with ctx.db.read() as connection:
            people = (await connection.execute(select(subscribers.c.subscriber_id))).scalars().all()
        for person in people:
            await withdraw_all(ctx, person, Source.OPERATOR)


async def killed_restore(variables: Mapping[str, str], file: Path, database_url: str) -> None:
    running = started(variables, "restore", str(file), "--replace", "--yes")
    try:
        while not await begun(database_url):
            assert running.poll() is None, "it was over before it could be killed"
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)
        assert running.poll() is None, "it was over before it could be killed"
    finally:
        running.kill()
        running.wait(10)


def started(variables: Mapping[str, str], *words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([*HERE, *words], env={**os.environ, **variables}, stderr=subprocess.DEVNULL)


async def begun(database_url: str) -> bool:
    """Whether there is something that could be taken for a database."""
    if database_url.startswith("sqlite"):
        return await asyncio.to_thread(Path(f"{database_url.removeprefix('sqlite:///')}.restoring").exists)
    database = Database(database_url)
    try:
        async with database.read() as connection:
            return (await connection.execute(text("SELECT to_regclass('restore_unfinished')"))).scalar_one() is not None
    finally:
        await database.close()


async def content(database_url: str) -> object:
    database = Database(database_url)
    try:
        return await dump(database)
    finally:
        await database.close()


async def counted(database_url: str) -> dict[str, int]:
    """What must not be left of people who withdrew."""
    queries = {
        "valid": select(func.count()).select_from(consents).where(consents.c.state.in_(("given", "renewed"))),
        "opens": select(func.count()).select_from(opens),
        "pixels": select(func.count()).select_from(pixels_table),
    }
    database = Database(database_url)
    try:
        async with database.read() as connection:
            return {name: (await connection.execute(query)).scalar_one() for name, query in queries.items()}
    finally:
        await database.close()


def run(variables: Mapping[str, str], *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [*HERE, *words], env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr
