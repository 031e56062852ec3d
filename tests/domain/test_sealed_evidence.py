"""A seal opens under any of its keys, and not at all once anything in it or on it was altered."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pixel_service.domain import sealed_evidence
from pixel_service.domain.consent import Act
from pixel_service.domain.errors import SealBroken
from pixel_service.domain.ledger import is_intact
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.rights import AddressChange, ChangeId
from pixel_service.domain.sealed_evidence import SECRET_LENGTH, Label, seal, unseal
from tests.domain.test_evidence import ANNA, MAIL, START, entries

NEW, OLD = b"n" * SECRET_LENGTH, b"o" * SECRET_LENGTH
LABEL = Label(subscriber_id=ANNA, address_hash="ab" * 32, sealed_at=START, ends_at=START + timedelta(days=900))
ENTRIES = entries((Act.REQUESTED, {"fields": {"address": "anna@example.com"}}), (Act.CONFIRMED, {"source": "page"}))
DROPPED = [replace(one, content=None, salt=None) for one in ENTRIES]
MOVE = AddressChange(
    change_id=ChangeId("c" * 26),
    subscriber_id=ANNA,
    address="anna@example.com",
    previous_address="anna.old@example.com",
    asked_at=START,
    expires_at=START + timedelta(days=2),
    confirmed_at=START + timedelta(hours=1),
)
KEPT = sealed_evidence.of("anna@example.com", ENTRIES, [MAIL], [MOVE])


def test_what_was_sealed_comes_out_as_it_went_in_and_fits_the_hashes_of_the_ledger() -> None:
    opened = unseal([NEW], LABEL, seal(NEW, LABEL, KEPT))
    assert opened == KEPT
    assert opened.restore(DROPPED) == ENTRIES
    assert all(is_intact(one) for one in opened.restore(DROPPED))


def test_an_old_key_still_opens_and_a_forgotten_one_does_not() -> None:
    data = seal(OLD, LABEL, KEPT)
    assert unseal([NEW, OLD], LABEL, data) == KEPT
    with pytest.raises(SealBroken) as broken:
        unseal([NEW], LABEL, data)
    assert "anna does not open" in str(broken.value)


@pytest.mark.parametrize(
    "label",
    [
        replace(LABEL, subscriber_id=SubscriberId("bo")),
        replace(LABEL, address_hash="cd" * 32),
        replace(LABEL, sealed_at=START - timedelta(seconds=1)),
        replace(LABEL, ends_at=datetime(2099, 1, 1, tzinfo=UTC)),
    ],
    ids=["person", "address", "begin", "end"],
)
def test_a_seal_is_bound_to_everything_that_stands_on_it(label: Label) -> None:
    with pytest.raises(SealBroken):
        unseal([NEW], label, seal(NEW, LABEL, KEPT))


def test_every_altered_byte_is_noticed() -> None:
    data = seal(NEW, LABEL, KEPT)
    altered = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(0, len(data), 17)]
    for one in [*altered, data[:-1], data + b"x", b""]:
        with pytest.raises(SealBroken):
            unseal([NEW], LABEL, one)


def test_nothing_of_a_person_is_legible_in_a_seal_or_in_its_repr() -> None:
    assert b"anna" not in seal(NEW, LABEL, KEPT)
    assert "fields" not in repr(KEPT)


def test_content_that_was_dropped_before_stays_dropped() -> None:
    kept = sealed_evidence.of("anna@example.com", [DROPPED[0], ENTRIES[1]], [])
    assert [one.content is None for one in kept.restore(DROPPED)] == [True, False]
