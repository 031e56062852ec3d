"""The large proofs at a small size, so that they can not rot; `make prove` runs the same functions at length."""

import random

import pytest

from tests.conftest import NewDatabase
from tests.postgres import INSTALL
from tests.proofs.killing import kill_server, kill_service
from tests.proofs.plan import GONE, plan
from tests.proofs.prove_interleavings import prove
from tests.proofs.prove_kill import killable_database
from tests.proofs.telling_apart import compare
from tests.proofs.timing import Way, measure


@pytest.mark.slow
async def test_a_killed_service_keeps_what_it_answered(database_url: str) -> None:
    found = await kill_service(database_url, kills=2, chance=random.Random(7))
    assert found.wrong == []
    assert found.promised > 40


@pytest.mark.slow
async def test_a_killed_database_keeps_what_was_answered() -> None:
    with killable_database() as ours:
        if ours is None:
            pytest.skip(INSTALL)
        server, url = ours
        found = await kill_server(server, url, kills=3, chance=random.Random(7))
    assert found.wrong == []
    assert found.promised > 60


@pytest.mark.slow
async def test_opens_and_withdrawals_in_any_order_leave_nothing_of_who_withdrew(new_database: NewDatabase) -> None:
    tally = await prove(new_database(), seed=7, first=0, rounds=2, size=300)
    assert tally.wrong == []
    assert tally.met > 100
    assert tally.outcomes["erased"] > 0
    assert tally.outcomes["refused"] > 0


def test_a_round_of_interleavings_is_made_of_its_seed_alone() -> None:
    assert plan(7, 3, 50) == plan(7, 3, 50)
    assert plan(7, 3, 50) != plan(7, 4, 50)
    assert {one.fate for one in plan(7, 3, 50).people} & set(GONE)


@pytest.mark.slow
async def test_every_kind_of_token_gets_the_same_answer_and_is_timed(database_url: str) -> None:
    """So few times tell nothing; that they could be told apart is shown below."""
    for timed in (await measure(database_url, dict.fromkeys(Way, 40), random.Random(7))).values():
        assert len(timed.answers) == 1
        assert sorted(timed.times) == ["forged", "garbled", "valid", "withdrawn"]
        assert min(len(times) for times in timed.times.values()) >= 39


def test_times_of_one_sort_are_told_apart_as_by_chance_only() -> None:
    chance = random.Random(7)
    times = {kind: [chance.gauss(1, 0.2) for _ in range(2000)] for kind in "abc"}
    assert compare(times, chance, shuffles=50).is_like_chance


@pytest.mark.parametrize("mean, spread", [(1.04, 0.2), (1.0, 0.15)], ids=["later", "narrower"])
def test_times_that_differ_by_a_fifth_of_their_spread_are_told_apart(mean: float, spread: float) -> None:
    chance = random.Random(7)
    times = {"a": [chance.gauss(1, 0.2) for _ in range(2000)], "b": [chance.gauss(mean, spread) for _ in range(2000)]}
    assert not compare(times, chance, shuffles=50).is_like_chance
