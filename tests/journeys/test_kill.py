"""SIGKILL at any moment: no answered open is lost, no accepted mail is lost, and no mail gets a second identity."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from sqlalchemy import func, select

from pixel_service.storage.engine import Database
from pixel_service.storage.schema import messages as messages_table, opens as opens_table
from tests.journeys.people import MAIL_CLIENT, Pipeline
from tests.journeys.seed import Sent, agreeing_people, sent_mails
from tests.journeys.service import environment, free_port, process, serving, until_ready
from tests.scale import scaled
from tests.smtp_server import SmtpServer

ROUNDS = scaled(100, quick=2)
PEOPLE = scaled(300, quick=60)
#: Seconds. An answer that took longer may be the one given at the deadline, before the commit.
WITH_ITS_COMMIT = 0.2


@pytest.mark.slow
async def test_kills_under_pixel_load_lose_no_answered_open(database_url: str) -> None:
    chance = random.Random(7)
    database = Database(database_url)
    mails = await sent_mails(database, 600 * ROUNDS)
    left = iter(mails)
    answered: set[str] = set()
    port = free_port()
    for _ in range(ROUNDS):
        async with serving(database_url, smtp_port=1, port=port, arguments=("serve", "--no-jobs")) as service:
            enough = Enough(answered, len(answered) + chance.randint(20, 200))
            loading = [asyncio.create_task(load(service.base_url, left, enough)) for _ in range(8)]
            await asyncio.wait_for(enough.reached.wait(), 60)
            await asyncio.sleep(chance.uniform(0, 0.05))
            service.kill()
            await asyncio.gather(*loading)
    async with database.read() as connection:
        rows = await connection.execute(
            select(opens_table.c.message_id, func.count().label("n")).group_by(opens_table.c.message_id)
        )
        stored = {row.message_id: row.n for row in rows}
    await database.close()
    assert answered <= stored.keys(), f"{len(answered - stored.keys())} of {len(answered)} answered opens are lost"
    assert set(stored.values()) == {1}


@dataclass(slots=True)
class Enough:
    """What was answered so far, and how many of these a kill waits for."""

    answered: set[str]
    target: int
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, message_id: str) -> None:
        self.answered.add(message_id)
        if len(self.answered) >= self.target:
            self.reached.set()


async def load(base_url: str, mails: Iterator[Sent], enough: Enough) -> None:
    """Open one pixel after the other until the server is gone; note only what was answered."""
    async with httpx.AsyncClient(base_url=base_url, headers={"User-Agent": MAIL_CLIENT}, timeout=10) as client:
        for mail in mails:
            try:
                answer = await client.get(mail.path)
            except httpx.TransportError:
                return
            assert answer.status_code == 200
            if answer.elapsed.total_seconds() < WITH_ITS_COMMIT:
                enough.note(mail.message_id)


@pytest.mark.slow
async def test_killed_workers_lose_no_mail_and_give_none_a_second_identity(database_url: str) -> None:
    database = Database(database_url)
    addresses = await agreeing_people(database, PEOPLE)
    with SmtpServer() as smtp:
        variables = environment(
            database_url, port=free_port(), smtp_port=smtp.port, lease_seconds="5", smtp_timeout_seconds="1"
        )
        with process(variables, "serve", "--no-jobs") as service:
            await until_ready(service)
            key = service.run("key", "create", "--name", "p", "--scope", "send", "--scope", "report").strip()
            async with httpx.AsyncClient(base_url=service.base_url, timeout=60) as client:
                pipeline = Pipeline(client, key)
                answer = await pipeline.send("November", recipients=[{"address": one} for one in addresses])
                assert answer.status_code == 202, answer.text
                for target in (PEOPLE // 10, PEOPLE * 3 // 10, PEOPLE // 2):
                    with process(variables, "work") as worker:
                        await asyncio.to_thread(smtp.wait_for, target, 30)
                        worker.kill()
                with process(variables, "work") as worker:
                    await pipeline.delivered(answer.json()["send_id"], PEOPLE)
                    assert worker.stop() == 0
        received = list(smtp.mails)
    async with database.read() as connection:
        states = await connection.execute(
            select(messages_table.c.status, func.count()).group_by(messages_table.c.status)
        )
        assert [tuple(row) for row in states] == [("sent", PEOPLE)]
    await database.close()
    identities = {(mail.rcpt_to, str(mail.message["Message-ID"])) for mail in received}
    assert sorted(address for address, _ in identities) == sorted(addresses)
    # A repeat is the price of a kill, never of a healthy worker: at most one batch per kill.
    assert sum(Counter(mail.rcpt_to for mail in received).values()) - PEOPLE <= 3 * 40
