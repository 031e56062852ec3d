"""The verdict on one request, by enumeration of what mail programs, browsers and machines really send."""

import re
from collections.abc import Callable

import crawlerdetect
import crawleruseragents
import is_bot
import pytest

from pixel_service.domain.opens import LIKELY_HUMAN, Judgement, Verdict
from pixel_service.domain.user_agents import CLIENT_FAMILIES, MAX_USER_AGENT, REMEMBERED, _judge_agent, judge
from tests.domain.vectors import groups, rows

KNOWN = rows("user_agents.tsv")
#: What no table can hold: a row has a user agent that begins and ends with something to read.
UNWRITABLE = [
    ("unknown", "no_user_agent", "", ""),
    ("unknown", "unrecognised", "", "Mozilla/5.0 "),
    ("unknown", "unrecognised", "", "Ünïcode \x00 \ud800"),
]
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
)
BARE_WEBKIT = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE_MAIL = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
)
PUBLIC_LISTS: dict[str, Callable[[str], bool | None]] = {
    "crawler-user-agents": crawleruseragents.is_crawler,
    "crawlerdetect": crawlerdetect.CrawlerDetect().isCrawler,
    "is-bot": is_bot.Bots().is_bot,
}


@pytest.mark.parametrize("verdict, reason, family, user_agent", [*KNOWN, *UNWRITABLE])
def test_each_known_user_agent_gets_its_verdict(verdict: str, reason: str, family: str, user_agent: str) -> None:
    assert judge(user_agent) == Judgement(Verdict(verdict), reason, family)


def test_at_least_200_user_agents_are_real_and_say_where_they_come_from() -> None:
    facts, *packages = groups("user_agents.tsv").items()
    assert facts[0].startswith("FACTS.md, section 1")
    assert all(
        re.match(r"\S+ \d[\d.]+ \((Python|npm) package, (MIT|BSD-2-Clause|Apache-2\.0)\)", name) for name, _ in packages
    )
    assert len({row[-1] for _, found in packages for row in found}) >= 200
    assert len({row[-1] for row in KNOWN}) == len(KNOWN)


def test_we_differ_from_the_public_lists_exactly_where_we_say_why() -> None:
    """A list that learns something new fails here: take it over into the tables, or say why not."""
    found = {
        (",".join(wrong), f"{verdict}/{reason}", user_agent)
        for verdict, reason, _, user_agent in KNOWN
        if (wrong := [name for name, says in PUBLIC_LISTS.items() if bool(says(user_agent)) is not _is_bot(verdict)])
    }
    assert found == set(rows("disagreements.tsv"))


def _is_bot(verdict: str) -> bool:
    return verdict in {Verdict.BOT, Verdict.SCANNER}


def test_no_crawler_of_the_public_list_counts_as_a_person_but_where_we_say_why() -> None:
    crawlers = [agent for entry in crawleruseragents.CRAWLER_USER_AGENTS_DATA for agent in entry["instances"]]
    counted = {agent for agent in crawlers if judge(agent).verdict in LIKELY_HUMAN | {Verdict.PREFETCH}}
    assert len(crawlers) > 2000
    assert counted <= {user_agent for *_, user_agent in rows("disagreements.tsv")}


@pytest.mark.parametrize(
    "purpose", ["prefetch", "Prefetch", "prefetch;prerender", "prerender", "prefetch;anonymous-client-ip"]
)
@pytest.mark.parametrize("user_agent", [CHROME, "Mozilla/5.0", "curl/8.5.0", ""])
def test_a_prefetch_header_decides_before_the_user_agent(purpose: str, user_agent: str) -> None:
    assert judge(user_agent, purpose) == Judgement(Verdict.PREFETCH, "header")
    assert judge(user_agent) != Judgement(Verdict.PREFETCH, "header")


def test_another_purpose_header_decides_nothing() -> None:
    assert judge(CHROME, "navigation").verdict is Verdict.HUMAN_CLIENT


def test_apple_prefetch_is_the_whole_user_agent_and_nothing_else() -> None:
    assert judge("Mozilla/5.0").reason == "apple_mpp"
    assert {judge(agent).reason for agent in ("mozilla/5.0", "Mozilla/5.0;", " Mozilla/5.0", BARE_WEBKIT)}.isdisjoint(
        {"apple_mpp"}
    )


def test_a_proxy_that_borrows_a_browsers_or_a_bots_name_is_asked_for_first() -> None:
    for borrowed in (CHROME, "curl/8.5.0", "Googlebot/2.1", BARE_WEBKIT, "proofpoint", "https://example.org"):
        assert judge(f"{borrowed} (via ggpht.com GoogleImageProxy)").reason == "gmail"


@pytest.mark.parametrize(
    "other",
    [
        "Safari/604.1",
        "CriOS/150.0",
        "GSA/439.4",
        "[FBAN/FBIOS]",
        "FxiOS/155",
        "EdgiOS/150.0",
        "Version/26.4",
        "Instagram 448.0",
        "Twitter for iPhone/10.91",
        "[LinkedInApp]/9.30",
    ],
)
def test_a_browser_on_an_iphone_is_no_mail_program(other: str) -> None:
    assert judge(f"{IPHONE_MAIL} {other}").reason not in {"ios_mail", "ios_view"}
    assert judge(f"{IPHONE_MAIL} (5603877424)").reason == judge(IPHONE_MAIL).reason == "ios_mail"
    assert judge(f"{IPHONE_MAIL} SomeMail/3.1") == Judgement(Verdict.HUMAN_CLIENT, "ios_view", "iOS mail app")


def test_only_a_mac_sends_a_bare_webkit() -> None:
    assert judge(BARE_WEBKIT).reason == "bare_webkit"
    assert judge(BARE_WEBKIT.replace("Macintosh", "X11")).verdict is Verdict.UNKNOWN
    assert judge(BARE_WEBKIT + " Something/1.0").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "oldest, user_agent",
    [
        (115, "Mozilla/5.0 Chrome/{}.0 Safari/537.36 Edg/{}.0"),
        (101, "Mozilla/5.0 Chrome/150.0 Safari/537.36 OPR/{}.0"),
        (23, "Mozilla/5.0 SamsungBrowser/{}.0 Chrome/150.0 Mobile Safari/537.36"),
        (270, "Mozilla/5.0 (iPhone) GSA/{}.0 Mobile/15E148 Safari/604.1"),
        (115, "Mozilla/5.0 Gecko/20100101 Firefox/{}.0"),
        (115, "Mozilla/5.0 Chrome/{}.0 Safari/537.36"),
        (16, "Mozilla/5.0 (Macintosh) Version/{}.1 Safari/605.1.15"),
    ],
)
def test_a_browser_that_is_years_behind_is_unknown(oldest: int, user_agent: str) -> None:
    assert judge(user_agent.replace("{}", str(oldest))).verdict is Verdict.HUMAN_CLIENT
    assert judge(user_agent.replace("{}", str(oldest - 1))) == Judgement(Verdict.UNKNOWN, "old_browser")


def test_what_follows_the_bound_is_not_looked_at() -> None:
    padding = "x" * MAX_USER_AGENT
    assert judge(padding + "GoogleImageProxy").verdict is Verdict.UNKNOWN
    assert judge(padding[:-20] + "GoogleImageProxy").verdict is Verdict.PROXY_OPEN
    assert judge(CHROME, padding + "prefetch").verdict is Verdict.HUMAN_CLIENT


def test_a_huge_version_number_is_no_error() -> None:
    assert judge(CHROME.replace("150", "9" * 700)).verdict is Verdict.HUMAN_CLIENT


def test_what_is_remembered_stays_bounded_whatever_strangers_make_up() -> None:
    for number in range(REMEMBERED + 100):
        judge(f"{number}" + "x" * 2 * MAX_USER_AGENT)
    remembered = _judge_agent.cache_info()
    assert remembered.currsize == remembered.maxsize == REMEMBERED
    assert judge("y" * (MAX_USER_AGENT + 1)) is judge("y" * (MAX_USER_AGENT + 2))
    assert _judge_agent.cache_info().hits == remembered.hits + 1  # only the part within the bound is a key


def test_every_reason_and_family_fits_its_column() -> None:
    assert all(len(reason) <= 40 and len(family) <= 40 for _, reason, family, _ in KNOWN)


def test_every_family_is_in_the_fixed_set() -> None:
    assert {family for _, _, family, _ in KNOWN} == CLIENT_FAMILIES
