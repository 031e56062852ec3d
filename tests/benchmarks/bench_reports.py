"""The report of one campaign over ten thousand, a million and ten million opens, as programs and colleagues ask for it; beside
counting the same rows anew (O5).

Every size has a service of its own. Rounds alternate between the sizes, so that a busy machine slows all of them.

    python -m tests.benchmarks.bench_reports [--sizes 10000 100000]
"""

import argparse
import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import httpx
from sqlalchemy import distinct, func, select

from pixel_service.domain.messages import CampaignId
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.figures_check import take_time
from pixel_service.storage.schema import campaign_figures, messages, opens
from tests.benchmarks.database import NewDatabase, databases
from tests.benchmarks.seed_opens import seed_opens
from tests.benchmarks.table import Line, show
from tests.benchmarks.timings import Timings
from tests.figures import differences
from tests.journeys.service import environment, free_port, process, until_ready

_SIZES = (10_000, 1_000_000, 10_000_000)
_WARM_UP, _ROUNDS = 5, 60
#: Counting every row anew takes minutes above it.
_CHECKED_WHOLE = 100_000
#: Counting is not repeated when it has taken so long.
_COUNTING_SECONDS = 10
_EMAIL, _PASSWORD = "mia@example.com", "correct horse battery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    url: str
    #: Of its opens.
    size: int
    campaign_id: CampaignId
    #: Knows the key of a program and the session of a colleague.
    client: httpx.Client
    by_program: Timings = field(default_factory=Timings)
    on_the_page: Timings = field(default_factory=Timings)

    def measure(self) -> None:
        self._ask(f"/v1/campaigns/{self.campaign_id}/report", self.by_program)
        self._ask(f"/console/campaigns/{self.campaign_id}", self.on_the_page)

    def _ask(self, path: str, timings: Timings) -> None:
        with timings.one():
            answer = self.client.get(path)
        assert answer.status_code == 200, answer.text

    def warm_up(self) -> None:
        """And see that the report is of all opens."""
        for _ in range(_WARM_UP):
            self.measure()
        for timings in (self.by_program, self.on_the_page):
            timings.seconds.clear()
        told = self.client.get(f"/v1/campaigns/{self.campaign_id}/report").json()
        shown = sum(told[f"total_{group}"] for group in ("opens", "machine_opens", "unknown_opens"))
        assert shown == self.size, f"the report shows {shown} of {self.size} opens"


@contextmanager
def _campaign(url: str, size: int) -> Iterator[Campaign]:
    (campaign_id,) = seed_opens(url, size, campaigns=1).campaign_ids
    if size <= _CHECKED_WHOLE:
        assert not asyncio.run(_differences(url)), "the figures are not what the rows say"
    with (
        process(environment(url, port=free_port(), smtp_port=9), "serve", "--no-jobs") as service,
        httpx.Client(base_url=service.base_url, timeout=60) as client,
    ):
        asyncio.run(until_ready(service))
        service.run("user", "create", "--email", _EMAIL, "--password-stdin", given=_PASSWORD)
        key = service.run("key", "create", "--name", "bench", "--scope", "report").strip()
        form = {"name": _EMAIL, "password": _PASSWORD, "next": "/console/"}
        logged_in = client.post("/console/login", data=form, headers={"Sec-Fetch-Site": "same-origin"})
        assert logged_in.status_code == 303, logged_in.text
        client.headers["Authorization"] = f"Bearer {key}"
        yield Campaign(url=url, size=size, campaign_id=CampaignId(campaign_id), client=client)


async def _differences(url: str) -> bool:
    database = Database(url)
    found = await differences(database)
    await database.close()
    return bool(found)


# --- the peer: what a report would be that is not kept added up ------------------------------------------------------------

_COUNTED_ANEW = (
    select(opens.c.verdict, func.count(), func.count(distinct(opens.c.message_id)))
    .join(messages, messages.c.message_id == opens.c.message_id)
    .group_by(opens.c.verdict)
)


async def _counting(campaign: Campaign) -> tuple[Timings, int]:
    """And how many figures are kept instead."""
    database, timings = Database(campaign.url), Timings()
    async with database.snapshot() as connection:
        await take_time(connection)
        while len(timings.seconds) < _ROUNDS and sum(timings.seconds) < _COUNTING_SECONDS:
            with timings.one():
                await _count(connection, campaign)
        kept = select(func.count()).where(campaign_figures.c.campaign_id == campaign.campaign_id)
        figures = int((await connection.execute(kept)).scalar_one())
    await database.close()
    return timings, figures


async def _count(connection: Connection, campaign: Campaign) -> None:
    rows = await connection.execute(_COUNTED_ANEW.where(messages.c.campaign_id == campaign.campaign_id))
    assert sum(row[1] for row in rows) == campaign.size


def measure(name: str, new_database: NewDatabase, sizes: list[int]) -> list[Line]:
    with ExitStack() as stack:
        campaigns = [stack.enter_context(_campaign(new_database(), size)) for size in sizes]
        for campaign in campaigns:
            campaign.warm_up()
        for _ in range(_ROUNDS):
            for campaign in campaigns:
                campaign.measure()
        counted = [asyncio.run(_counting(campaign)) for campaign in campaigns]
    smallest = campaigns[0]
    lines = []
    for campaign, (counting, figures) in zip(campaigns, counted, strict=True):
        for way, timings, base in (
            ("JSON", campaign.by_program, smallest.by_program),
            ("page", campaign.on_the_page, smallest.on_the_page),
        ):
            lines.append(
                Line(
                    what=f"{name}: report over {campaign.size:,} opens, {way}, {figures:,} figures",
                    ours=timings.told(),
                    peer=f"counting {campaign.size:,} rows: {1000 * counting.median:,.0f} ms",
                    ratio=timings.median / base.median,
                    at_most=None if campaign is smallest else 1.5,
                )
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES)
    sizes = sorted(parser.parse_args().sizes)
    lines: list[Line] = []
    with databases() as found:
        for name, new_database in found.items():
            lines += measure(name, new_database, sizes)
    show(f"Reports, ratio to the one over {sizes[0]:,} opens", lines)


if __name__ == "__main__":
    main()
