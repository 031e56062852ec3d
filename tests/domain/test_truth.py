"""Mailings of which everything is known, put through the rules: does the report find out what people really did?

The truth here is the share of people with a tracked mail whose own opening loads its images: in a program that shows them,
or in one where Apple loaded them before and hides the opening. Who has images switched off opens unseen and is in no
number, nor in this truth. Scanners give themselves away by name, by network or by their haste; one that waits and poses as
a person's browser would be counted as a person, here as in life.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from pixel_service.domain.consent import Purpose
from pixel_service.domain.figures import Standing
from pixel_service.domain.messages import CampaignId, Tracking
from pixel_service.domain.opens import Fetch, Judgement, Network
from pixel_service.domain.rates import Rate
from pixel_service.domain.reports import Campaign, Figures, report
from pixel_service.domain.settling import Letter, seconds, settle
from pixel_service.domain.user_agents import judge

RUNS = 200
SENT = datetime(2026, 11, 3, 9, tzinfo=UTC)
LETTER = Letter(seconds(SENT), seconds(SENT) - 2)

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
GMAIL_AHEAD = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
APPLE_AHEAD = "Mozilla/5.0"
OUTLOOK = "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)"
THUNDERBIRD = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.3.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
DIRECT = (CHROME, OUTLOOK, THUNDERBIRD, IPHONE)
BARRACUDA = "Barracuda Sentinel (EE)"
CURL = "curl/8.5.0"

#: Seconds after acceptance, user agent, network.
Request = tuple[float, str, Network]


@dataclass(frozen=True, slots=True)
class World:
    """Shares, 0 to 1, drawn anew for every mailing."""

    people: int
    consent: float
    opens: float
    apple: float
    gmail: float
    yahoo: float
    blocked: float
    scanned: float

    @staticmethod
    def drawn(chance: random.Random) -> "World":
        return World(
            people=chance.randint(300, 2500),
            consent=chance.uniform(0.3, 0.9),
            opens=chance.uniform(0.1, 0.6),
            apple=chance.uniform(0, 0.6),
            gmail=chance.uniform(0.1, 0.3),
            yahoo=chance.uniform(0, 0.1),
            blocked=chance.uniform(0, 0.03),
            scanned=chance.uniform(0, 0.3),
        )


@dataclass(frozen=True, slots=True)
class Mailing:
    told: tuple[Rate, Rate, Rate]
    #: Of the people with a tracked mail.
    truth: float
    #: What a count of everything that fetched would say.
    naive: float


def mailing(seed: int) -> Mailing:
    chance = random.Random(seed)
    world = World.drawn(chance)
    tracked = loaded = fetched = 0
    standings: Counter[Standing] = Counter()
    for _ in range(world.people):
        # Without consent there is no pixel: whatever they do, nothing can be fetched.
        if chance.random() >= world.consent:
            continue
        tracked += 1
        did, requests = person(chance, world)
        loaded += did
        fetched += bool(requests)
        seen = settle(None, LETTER, [fetch(request) for request in requests]).seen
        if seen is not None:
            standings[seen.standing] += 1
    figures = Figures(messages={Tracking.TRACKED: tracked}, standings=standings)
    found = report(CAMPAIGN, figures)
    assert found.floor is not None
    assert found.estimate is not None
    assert found.ceiling is not None
    return Mailing((found.floor, found.estimate, found.ceiling), loaded / tracked, fetched / tracked)


def person(chance: random.Random, world: World) -> tuple[bool, list[Request]]:
    """Whether their own opening loaded the images, and everything that fetched the pixel."""
    opens = chance.random() < world.opens
    requests = list(machines(chance)) if chance.random() < world.scanned else []
    kind = chance.random()
    if kind < world.apple:
        return opens, requests + list(apple(chance, opens))
    if chance.random() < world.blocked:
        return False, requests
    if kind < world.apple + (1 - world.apple) * world.gmail:
        if chance.random() < 0.05:
            requests.append((chance.uniform(1, 9000), GMAIL_AHEAD, Network.ELSEWHERE))
        return opens, requests + [(at, GMAIL, Network.ELSEWHERE) for at in openings(chance, opens)]
    if chance.random() < world.yahoo:
        # Its proxy may ask up to four times at once.
        times = [at + again for at in openings(chance, opens) for again in (0, 0.2, 0.4, 0.6)]
        return opens, requests + [(at, YAHOO, Network.ELSEWHERE) for at in times]
    agent = chance.choice(DIRECT)
    return opens, requests + [(at, agent, Network.ELSEWHERE) for at in openings(chance, opens)]


def openings(chance: random.Random, opens: bool) -> list[float]:
    """Half within six hours, most within a week; some come back."""
    if not opens:
        return []
    first = 12 + chance.lognormvariate(9.9, 1.6)
    return [first + again * chance.uniform(5, 90_000) for again in range(chance.choice((1, 1, 1, 2, 4)))]


def apple(chance: random.Random, opens: bool) -> Iterator[Request]:
    """Loaded ahead of time for nearly everybody, else at the opening; the same to look at. A few also open elsewhere."""
    times = openings(chance, opens)
    if chance.random() < 0.98:
        yield chance.uniform(60, 40_000), APPLE_AHEAD, Network.ELSEWHERE
    elif times:
        yield times[0], APPLE_AHEAD, Network.ELSEWHERE
    if times and chance.random() < 0.03:
        yield times[-1] + 600, chance.choice((GMAIL, OUTLOOK)), Network.ELSEWHERE


def machines(chance: random.Random) -> Iterator[Request]:
    sorts: tuple[Callable[[], Request], ...] = (
        lambda: (chance.uniform(-3, 90_000), BARRACUDA, Network.ELSEWHERE),
        lambda: (chance.uniform(-3, 9), CHROME, Network.ELSEWHERE),
        lambda: (chance.uniform(0, 90_000), CHROME, Network.SCANNER),
        lambda: (chance.uniform(0, 599), CHROME, Network.GATEWAY),
        lambda: (chance.uniform(0, 90_000), CURL, Network.ELSEWHERE),
        lambda: (chance.uniform(0, 90_000), "", Network.ELSEWHERE),
    )
    for sort in chance.sample(sorts, chance.randint(1, 2)):
        yield sort()


def fetch(request: Request) -> Fetch:
    after, agent, network = request
    return Fetch(
        open_id=b"0" * 16,
        pixel_id=None,
        at=SENT + timedelta(seconds=after),
        judgement=judged(agent),
        network=network,
    )


@cache
def judged(agent: str) -> Judgement:
    return judge(agent)


CAMPAIGN = Campaign(
    campaign_id=CampaignId("a" * 26),
    name="Known",
    purpose=Purpose("newsletter:blog"),
    tags=(),
    created_at=SENT,
    first_sent_at=SENT,
    is_whole=True,
)


@pytest.fixture(scope="module")
def mailings() -> list[Mailing]:
    return [mailing(seed) for seed in range(RUNS)]


def test_the_truth_lies_within_the_estimates_interval_in_95_of_100_mailings(mailings: list[Mailing]) -> None:
    hit = [one.told[1].low <= one.truth <= one.told[1].high for one in mailings]
    assert sum(hit) >= 0.95 * RUNS


def test_the_truth_lies_between_floor_and_ceiling_in_every_mailing(mailings: list[Mailing]) -> None:
    assert [one for one in mailings if not one.told[0].value <= one.truth <= one.told[2].value] == []


def test_counting_everything_that_fetched_would_be_wrong_nearly_always(mailings: list[Mailing]) -> None:
    """So that the two tests above have something to find."""
    hit = [one.told[1].low <= one.naive <= one.told[1].high for one in mailings]
    assert sum(hit) <= 0.2 * RUNS
