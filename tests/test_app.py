"""What the operator sets reaches what it is about."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from httpx import ASGITransport, AsyncClient
from sqlalchemy import select, update

from pixel_service.app import Service, open_service
from pixel_service.domain.opens import Verdict
from pixel_service.settings import load_settings
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import opens, pixels
from tests.journeys.service import environment
from tests.tracked_mail import add_tracked_mail

#: Networks of Microsoft 365 protection, and of somebody's reverse proxy.
SCANNER, PROXY = "40.92.13.77", "10.1.2.3"
THUNDERBIRD = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Thunderbird/140.3.0"


@asynccontextmanager
async def service(database_url: str, **changes: str) -> AsyncIterator[Service]:
    async with open_service(load_settings(environment(database_url, port=8000, smtp_port=25, **changes))) as running:
        yield running


async def token_of_a_mail(running: Service) -> str:
    async with running.ctx.db.write() as connection:
        mail = await add_tracked_mail(connection)
        await connection.execute(update(pixels).values(closes_at=running.ctx.clock() + timedelta(days=1)))
    return running.ctx.tokens.mint_pixel(mail.pixel_id)


async def load_pixel(running: Service, token: str, *, peer: str = PROXY, **headers: str) -> None:
    transport = ASGITransport(running.web, client=(peer, 1))
    async with AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as reader:
        answer = await reader.get(
            f"/o/{token}.gif", headers={name.replace("_", "-"): headers[name] for name in headers}
        )
        assert answer.headers["content-type"] == "image/gif"


@pytest.mark.parametrize("honoured, reason", [("true", "opted_out"), ("false", "forged")])
async def test_whether_signals_to_opt_out_are_honoured(database_url: str, honoured: str, reason: str) -> None:
    async with service(database_url, honour_gpc=honoured) as running:
        await load_pixel(running, "no-token", Sec_GPC="1")
    assert running.metrics.opens(reason) == 1


async def test_opens_are_stored_while_others_hold_every_connection(new_postgres: Callable[[], str]) -> None:
    async with service(new_postgres(), database_connections="2") as running:
        token = await token_of_a_mail(running)
        async with running.ctx.db.write(), running.ctx.db.write():
            await load_pixel(running, token)
            async with asyncio.timeout(5):
                while not running.metrics.opens("recorded"):  # noqa: ASYNC110  a counter tells nobody
                    await asyncio.sleep(0.05)


@pytest.mark.parametrize("trusted, verdict", [("10.1.2.0/24", Verdict.SCANNER), ("10.9.9.0/24", Verdict.HUMAN_CLIENT)])
async def test_whose_word_counts_on_who_asked(db: Database, database_url: str, trusted: str, verdict: Verdict) -> None:
    async with service(database_url, trusted_proxies=trusted) as running:
        await load_pixel(running, await token_of_a_mail(running), X_Forwarded_For=SCANNER, User_Agent=THUNDERBIRD)
    async with db.read() as connection:
        assert (await connection.execute(select(opens.c.verdict))).scalar_one() == verdict.value
