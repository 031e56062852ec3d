"""Signed checkpoints: what a chain alone can not tell, a missing end and a chain made anew."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pixel_service.domain.checkpoints import Checkpoint, LedgerCheck, is_genuine, public_key_of, sign
from pixel_service.domain.errors import LedgerBroken
from pixel_service.domain.ledger import Entry
from pixel_service.domain.tokens import Tokens
from tests.domain.test_ledger import START, make_chain

SECRET, OTHER = b"s" * 32, b"o" * 32
KEY = public_key_of(SECRET)


def signed(entries: list[Entry], seq: int, secret: bytes = SECRET) -> Checkpoint:
    return sign(secret, seq=seq, head=entries[seq - 1].entry_hash, at=START + timedelta(days=seq))


def check(entries: list[Entry], *checkpoints: Checkpoint) -> LedgerCheck:
    found = LedgerCheck(checkpoints, {KEY})
    for entry in entries:
        found.add(entry)
    found.finish()
    return found


def test_a_signed_chain_verifies_and_tells_how_far_it_is_signed() -> None:
    entries = make_chain(5)
    found = check(entries, signed(entries, 2), signed(entries, 4))
    assert (found.entries, found.head) == (5, entries[-1].entry_hash)
    assert found.covered == signed(entries, 4)
    assert check(entries).covered is None


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_removed_last_entries_are_found_and_the_first_of_them_named(kept: int) -> None:
    entries = make_chain(4)
    with pytest.raises(LedgerBroken, match="a signed checkpoint covers 4 entries") as broken:
        check(entries[:kept], signed(entries, 4))
    assert broken.value.seq == kept + 1


def test_a_chain_made_anew_is_found() -> None:
    """Every hash in it is right; only the signature knows better."""
    entries = make_chain(4)
    anew = make_chain(5)[1:]
    forged = [replace(one, seq=number) for number, one in enumerate(anew, start=1)]
    with pytest.raises(LedgerBroken):
        check(forged, signed(entries, 4))
    other = signed(make_chain(4), 3)
    with pytest.raises(LedgerBroken, match="ledger entry 3: not the entry that was signed on 2026-11-25"):
        check(entries, sign(SECRET, seq=3, head="0" * 64, at=other.at))


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 3},
        {"seq": 9},
        {"head": "0" * 64},
        {"at": START},
        {"signature": "00" * 64},
        {"signature": "no hex"},
        {"public_key": public_key_of(OTHER)},
        {"public_key": "00"},
    ],
)
def test_any_altered_column_of_a_checkpoint_is_found(change: dict[str, object]) -> None:
    entries = make_chain(5)
    altered = replace(signed(entries, 4), **change)  # type: ignore[arg-type]  # one field per case, of its own type
    assert not is_genuine(altered)
    with pytest.raises(LedgerBroken, match="does not verify"):
        check(entries, altered)


def test_a_strangers_signature_counts_for_nothing() -> None:
    entries = make_chain(3)
    assert is_genuine(signed(entries, 2, OTHER))
    with pytest.raises(LedgerBroken, match="signed by a stranger"):
        check(entries, signed(entries, 2, OTHER))


def test_derived_secrets_differ_by_use_and_by_key_and_stay_the_same() -> None:
    one, both = Tokens([b"a" * 32]), Tokens([b"b" * 32, b"a" * 32])
    assert both.secrets_for("x")[1:] == one.secrets_for("x")
    assert len({*both.secrets_for("x"), *both.secrets_for("y")}) == 4
    assert {len(secret) for secret in both.secrets_for("x")} == {32}
