"""What becomes of a fetch once its message is known, by tables; times are seconds after the relay's acceptance."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from pixel_service.domain.figures import Group, Standing
from pixel_service.domain.opens import Fetch, Judgement, Network, Verdict
from pixel_service.domain.settling import MAX_ROWS, Letter, Row, Seen, Settled, final, seconds, seen_in, settle, sort_of
from tests.tracked_mail import GMAIL, NOW, fetch

ACCEPTED = seconds(NOW)
SENT = Letter(ACCEPTED, None)
OUTLOOK = Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook")
OLD = Judgement(Verdict.UNKNOWN, "old_browser")
MPP = Judgement(Verdict.PREFETCH, "apple_mpp", "Apple Mail")
BOT = Judgement(Verdict.BOT, "http_tool")
PREVIEW = Judgement(Verdict.PREVIEW, "own")
APPLE = Judgement(Verdict.HUMAN_CLIENT, "ios_mail", "Apple Mail")


def at(after: float, judgement: Judgement = OUTLOOK, network: Network = Network.ELSEWHERE) -> Fetch:
    return fetch(None, at=NOW + timedelta(seconds=after), judgement=judgement)._replace(network=network)


def seen_after(*fetches: Fetch, before: Seen | None = None) -> Seen:
    seen = settle(before, SENT, fetches).seen
    assert seen is not None
    return seen


# --- the verdict ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "judgement, network, after, verdict, reason",
    [
        (OUTLOOK, Network.ELSEWHERE, -1, "prefetch", "early"),
        (OUTLOOK, Network.ELSEWHERE, 9, "prefetch", "early"),
        (OUTLOOK, Network.ELSEWHERE, 10, "human_client", "mail_client"),
        (OLD, Network.ELSEWHERE, 9, "prefetch", "early"),
        (OLD, Network.ELSEWHERE, 10, "unknown", "old_browser"),
        (GMAIL, Network.ELSEWHERE, -1, "prefetch", "early"),
        (GMAIL, Network.ELSEWHERE, 0, "proxy_open", "gmail"),
        (GMAIL, Network.SCANNER, 0, "proxy_open", "gmail"),
        (GMAIL, Network.GATEWAY, 0, "proxy_open", "gmail"),
        (OUTLOOK, Network.SCANNER, 9, "prefetch", "early"),
        (OUTLOOK, Network.SCANNER, 10, "scanner", "network"),
        (OUTLOOK, Network.SCANNER, 1_000_000, "scanner", "network"),
        (OLD, Network.SCANNER, 10, "scanner", "network"),
        (OUTLOOK, Network.GATEWAY, 10, "scanner", "gateway"),
        (OUTLOOK, Network.GATEWAY, 599, "scanner", "gateway"),
        (OUTLOOK, Network.GATEWAY, 600, "human_client", "mail_client"),
        (OLD, Network.GATEWAY, 600, "unknown", "old_browser"),
        (MPP, Network.SCANNER, -1, "prefetch", "apple_mpp"),
        (BOT, Network.SCANNER, -1, "bot", "http_tool"),
        (PREVIEW, Network.SCANNER, -1, "preview", "own"),
    ],
)
def test_time_and_network_decide_where_the_request_alone_does_not(
    judgement: Judgement, network: Network, after: int, verdict: str, reason: str
) -> None:
    found = final(at(after, judgement, network), SENT, ACCEPTED + after)
    assert (found.verdict, found.reason, found.client_family) == (verdict, reason, judgement.client_family)


@pytest.mark.parametrize(
    "judgement, network, after, reason",
    [
        (OUTLOOK, Network.ELSEWHERE, -30, "early"),
        (OUTLOOK, Network.ELSEWHERE, 9, "early"),
        (OUTLOOK, Network.ELSEWHERE, 10, "mail_client"),
        (OUTLOOK, Network.GATEWAY, 599, "gateway"),
        (OUTLOOK, Network.GATEWAY, 600, "mail_client"),
        (GMAIL, Network.ELSEWHERE, -30, "gmail"),
    ],
)
def test_while_the_acceptance_is_not_known_the_hand_over_stands_in(
    judgement: Judgement, network: Network, after: int, reason: str
) -> None:
    handed_over = Letter(None, ACCEPTED)
    assert final(at(after, judgement, network), handed_over, ACCEPTED + after).reason == reason


@pytest.mark.parametrize("judgement, reason", [(OUTLOOK, "early"), (GMAIL, "early"), (MPP, "apple_mpp")])
def test_what_was_never_handed_over_is_too_early(judgement: Judgement, reason: str) -> None:
    assert final(at(1e6, judgement), Letter(None, None), ACCEPTED).reason == reason


# --- repeats ----------------------------------------------------------------------------------------------------------


def outcome(settled: Settled) -> tuple[int, int, int]:
    return len(settled.rows), settled.repeats, settled.over_limit


@pytest.mark.parametrize(
    "fetches, rows",
    [
        ([at(100), at(100)], 1),
        ([at(100), at(159)], 1),
        ([at(100), at(160)], 2),
        ([at(100), at(150), at(200)], 2),
        ([at(100), at(100, GMAIL)], 2),
        ([at(100, APPLE), at(100, MPP)], 2),
        # What was too early is no proof against the person who looks right after it.
        ([at(5), at(12)], 2),
        ([at(100, BOT), at(100, replace(BOT, reason="bot_word"))], 1),
    ],
)
def test_one_mail_program_that_asks_again_within_a_minute_is_one_open(fetches: list[Fetch], rows: int) -> None:
    together = settle(None, SENT, fetches)
    assert outcome(together) == (rows, len(fetches) - rows, 0)
    assert outcome(settle(None, SENT, fetches[::-1])) == outcome(together)


def test_the_same_holds_across_batches_also_for_one_that_comes_late() -> None:
    seen = seen_after(at(100), at(500))
    assert [outcome(settle(seen, SENT, [at(after)])) for after in (40, 41, 159, 160, 440, 441, 559, 560)] == [
        (1, 0, 0),
        (0, 1, 0),
        (0, 1, 0),
        (1, 0, 0),
        (1, 0, 0),
        (0, 1, 0),
        (0, 1, 0),
        (1, 0, 0),
    ]
    assert settle(seen, SENT, [at(100)]).seen is seen


# --- the cap ----------------------------------------------------------------------------------------------------------


def many(number: int, judgement: Judgement) -> list[Fetch]:
    return [at(1000 + 60 * each, judgement) for each in range(number)]


def test_machines_leave_the_last_place_to_a_person() -> None:
    full = settle(None, SENT, many(60, BOT))
    assert outcome(full) == (MAX_ROWS - 1, 0, 11)
    assert outcome(settle(full.seen, SENT, [at(50, OLD)])) == (0, 0, 1)
    person = settle(full.seen, SENT, [at(50)])
    assert outcome(person) == (1, 0, 0)
    assert person.seen is not None
    assert person.seen.standing is Standing.HUMAN
    assert outcome(settle(person.seen, SENT, [at(900)])) == (0, 0, 1)


def test_whoever_is_known_to_read_shares_all_places() -> None:
    assert outcome(settle(None, SENT, [at(50), *many(60, BOT)])) == (MAX_ROWS, 0, 11)
    assert outcome(settle(None, SENT, many(60, OUTLOOK))) == (MAX_ROWS, 0, 10)


# --- sessions, first open, standing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "times, sessions",
    [([100], 1), ([100, 1899], 1), ([100, 1900], 2), ([100, 1899, 3698], 1), ([100, 5000, 9000], 3)],
)
def test_half_an_hour_of_silence_ends_a_session(times: list[int], sessions: int) -> None:
    assert seen_after(*map(at, times)).sessions == sessions


def test_an_open_that_comes_late_joins_two_sessions_and_may_be_the_first() -> None:
    seen = seen_after(at(1000), at(4000, GMAIL))
    assert (seen.sessions, seen.first_human_at) == (2, NOW + timedelta(seconds=1000))
    seen = seen_after(at(2500), before=seen)
    assert seen.sessions == 1
    seen = seen_after(at(200), before=seen)
    assert (seen.sessions, seen.first_human_at) == (1, NOW + timedelta(seconds=200))


def test_machines_begin_no_session() -> None:
    seen = seen_after(at(100, BOT), at(9000, OLD), at(50_000, MPP))
    assert (seen.sessions, seen.first_human_at) == (0, None)


@pytest.mark.parametrize(
    "judgements, standing",
    [
        ([BOT], Standing.MACHINE),
        ([BOT, OLD], Standing.UNKNOWN),
        ([OLD, BOT], Standing.UNKNOWN),
        ([OLD, MPP, BOT], Standing.MPP),
        ([MPP, OUTLOOK], Standing.HUMAN),
        ([GMAIL, MPP, BOT, OLD], Standing.HUMAN),
        ([PREVIEW], Standing.UNKNOWN),
    ],
)
def test_a_standing_only_rises(judgements: Sequence[Judgement], standing: Standing) -> None:
    assert seen_after(*(at(100 * number, one) for number, one in enumerate(judgements, start=1))).standing is standing


def test_a_judgement_is_sorted_once() -> None:
    assert sort_of(GMAIL)[2:] == (0, Group.OPENS, "human/Gmail", "proxy_open/gmail/Gmail")
    assert sort_of(MPP)[2:] == (1, Group.MACHINE, "mpp/Apple Mail", "prefetch/apple_mpp/Apple Mail")
    assert sort_of(OLD)[2:] == (2, Group.UNKNOWN, "unknown/", "unknown/old_browser/")
    assert sort_of(BOT)[2:] == (3, Group.MACHINE, "machine/", "bot/http_tool/")


# --- from the rows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_what_is_known_follows_from_the_rows_in_whatever_batches_they_came(seed: int) -> None:
    chance = random.Random(seed)
    judgements = (OUTLOOK, GMAIL, MPP, BOT, OLD, APPLE)
    fetches = [at(chance.choice([1, 100, 5000]) * chance.randrange(60), chance.choice(judgements)) for _ in range(80)]
    seen: Seen | None = None
    rows: list[Row] = []
    while fetches:
        batch, fetches = fetches[:7], fetches[7:]
        settled = settle(seen, SENT, batch)
        assert len(settled.rows) + settled.repeats + settled.over_limit == len(batch)
        seen, rows = settled.seen, [*rows, *settled.rows]
        assert seen_in((row.fetch.at, row.sort.judgement) for row in rows) == seen
    assert len(rows) <= MAX_ROWS


def test_without_rows_nothing_is_known() -> None:
    assert seen_in([]) is None
    assert settle(None, SENT, []) == Settled(None, [], 0, 0)
