"""The chain: whatever is altered, removed or reordered is found, and the first bad entry named."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from pixel_service.domain.consent import TRACKING_OPENS, Act, Event, Purpose, State, decide
from pixel_service.domain.errors import LedgerBroken
from pixel_service.domain.ledger import GENESIS, ChainCheck, Draft, Entry, Replay, canonical, chain
from pixel_service.domain.messages import SubscriberId

START = datetime(2026, 11, 22, 9, tzinfo=UTC)


def make_chain(length: int) -> list[Entry]:
    entries: list[Entry] = []
    for number in range(length):
        draft = Draft(
            subscriber_id=SubscriberId(f"person{number % 2}"),
            purpose=TRACKING_OPENS,
            act=Act.REQUESTED,
            at=START + timedelta(seconds=number),
            content={"wording_version": "2026-11", "number": number},
            salt=f"salt{number}",
        )
        entries.append(chain(draft, seq=number + 1, previous_hash=entries[-1].entry_hash if entries else GENESIS))
    return entries


def check(entries: list[Entry]) -> ChainCheck:
    found = ChainCheck()
    for entry in entries:
        found.add(entry)
    return found


def test_an_untouched_chain_verifies_and_tells_its_head() -> None:
    entries = make_chain(5)
    assert (check(entries).entries, check(entries).head) == (5, entries[-1].entry_hash)


@pytest.mark.parametrize(
    "change",
    [
        {"subscriber_id": SubscriberId("someone")},
        {"purpose": Purpose("newsletter:blog")},
        {"act": Act.CONFIRMED},
        {"at": START},
        {"content": '{"number":9}'},
        {"salt": "other"},
        {"salt": None},
        {"content": None},
        {"content_hash": "0" * 64},
        {"previous_hash": "0" * 64},
        {"entry_hash": "0" * 64},
    ],
)
def test_any_altered_column_is_found_and_the_entry_named(change: dict[str, object]) -> None:
    entries = make_chain(5)
    entries[2] = replace(entries[2], **change)  # type: ignore[arg-type]  # one field per case, each of its own type
    with pytest.raises(LedgerBroken) as broken:
        check(entries)
    assert broken.value.seq == 3


def test_a_removed_entry_is_found() -> None:
    entries = make_chain(5)
    del entries[2]
    with pytest.raises(LedgerBroken, match="ledger entry 3: missing"):
        check(entries)


def test_reordered_entries_are_found() -> None:
    entries = make_chain(5)
    entries[1], entries[2] = entries[2], entries[1]
    with pytest.raises(LedgerBroken, match="ledger entry 2"):
        check(entries)


def test_an_inserted_entry_is_found() -> None:
    entries = make_chain(5)
    entries.insert(3, replace(entries[3], entry_hash="f" * 64))
    with pytest.raises(LedgerBroken):
        check(entries)


def test_dropped_content_leaves_the_chain_whole() -> None:
    entries = [replace(entry, content=None, salt=None) for entry in make_chain(5)]
    assert check(entries).entries == 5


def test_the_same_content_hashes_differently_for_two_people() -> None:
    one, other = make_chain(2)
    assert (
        chain(
            Draft(
                subscriber_id=one.subscriber_id,
                purpose=one.purpose,
                act=one.act,
                at=one.at,
                content={"number": 0, "wording_version": "2026-11"},
                salt=other.salt or "",
            ),
            seq=1,
            previous_hash=GENESIS,
        ).content_hash
        != one.content_hash
    )


def test_canonical_content_does_not_depend_on_order() -> None:
    assert canonical({"b": 1, "a": "ü"}) == '{"a":"ü","b":1}' == canonical({"a": "ü", "b": 1})


@given(st.lists(st.sampled_from(list(Event)), max_size=30))
def test_replaying_the_acts_gives_the_state_the_events_gave(events: list[Event]) -> None:
    state, replayed, previous = State.UNKNOWN, Replay(), GENESIS
    seq = 0
    for event in events:
        decision = decide(state, event)
        state = decision.state
        if decision.act is not None:
            seq += 1
            entry = chain(
                Draft(
                    subscriber_id=SubscriberId("p"),
                    purpose=TRACKING_OPENS,
                    act=decision.act,
                    at=START,
                    content={},
                    salt="s",
                ),
                seq=seq,
                previous_hash=previous,
            )
            previous = entry.entry_hash
            replayed.add(entry)
    assert replayed.states.get((SubscriberId("p"), TRACKING_OPENS), State.UNKNOWN) is state
