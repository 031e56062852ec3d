"""Canaries in the real service: they fly when it starts, and nobody else meets them (P10)."""

import asyncio
import re

import httpx
import pytest

from pixel_service.domain.consent import State
from pixel_service.storage.engine import Database
from tests.journeys.people import Pipeline
from tests.journeys.service import AS_PROMETHEUS, Process, serving
from tests.journeys.test_the_main_job import make_key
from tests.smtp_server import SmtpServer
from tests.tracked_mail import add_tracked_mail


async def metrics_after_a_run(client: httpx.AsyncClient) -> str:
    async with asyncio.timeout(30):
        while True:
            text = (await client.get("/metrics", headers=AS_PROMETHEUS)).text
            if re.search(r'pixel_canary_runs_total\{result="\w+"\} [^0]', text):
                return text
            await asyncio.sleep(0.1)


async def seen_by_marketers(service: Process, client: httpx.AsyncClient) -> list[object]:
    pipeline = Pipeline(client, make_key(service))
    allowed = {"Authorization": f"Bearer {pipeline.key}"}
    listed = (await client.get("/v1/campaigns", headers=allowed)).json()
    funnel = (await client.get("/v1/reports/sign-ups", headers=allowed)).json()
    audience = await pipeline.send("Everybody", dry_run=True)
    return [listed["campaigns"], funnel["offers"], audience.json()["counts"]]


@pytest.mark.slow
async def test_a_clean_service_counts_a_clean_run_and_shows_no_canary(database_url: str) -> None:
    with SmtpServer() as smtp:
        async with (
            serving(database_url, smtp_port=smtp.port, canary_every_minutes="60") as service,
            httpx.AsyncClient(base_url=service.base_url, timeout=30) as client,
        ):
            text = await metrics_after_a_run(client)
            assert "consent_violations_total 0.0" in text
            assert 'pixel_canary_runs_total{result="clean"} 1.0' in text
            assert "pixel_opens_recorded_total 0.0" in text
            assert await seen_by_marketers(service, client) == [[], [], {"tracked": 0, "untracked": 0, "refused": 0}]
            assert service.run("export-consents", "--reason", "a test") == ""
            assert service.run("person", "requests", "--reason", "a test").count("\n") <= 1
            assert smtp.mails == []
            assert service.stop() == 0


@pytest.mark.slow
async def test_a_row_without_consent_is_counted_also_where_no_jobs_run(database_url: str) -> None:
    database = Database(database_url)
    async with database.write() as connection:
        mail = await add_tracked_mail(connection, State.REFUSED)
    await database.close()
    with SmtpServer() as smtp:
        async with (
            serving(
                database_url, smtp_port=smtp.port, arguments=("serve", "--no-jobs"), canary_every_minutes="60"
            ) as service,
            httpx.AsyncClient(base_url=service.base_url, timeout=30) as client,
        ):
            text = await metrics_after_a_run(client)
            assert "consent_violations_total 1.0" in text
            assert 'pixel_canary_runs_total{result="violation"} 1.0' in text
            assert (await client.get("/health/ready")).status_code == 200
            assert service.stop() == 0
            log = service.log.read_text()
            assert '"level": "error"' in log
            assert "rows_without_consent" in log
            assert "@" not in log
            assert mail.subscriber_id not in log
