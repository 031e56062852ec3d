"""An export verifies by itself; whatever is done to the file is found, and the first bad entry named."""

import json
from collections.abc import Callable

import pytest

from pixel_service.domain.checkpoints import public_key_of
from pixel_service.domain.errors import InvalidInput, LedgerBroken
from pixel_service.domain.ledger import GENESIS
from pixel_service.domain.ledger_file import check, checkpoint_line, entry_line, heading
from tests.domain.test_checkpoints import KEY, OTHER, SECRET, signed
from tests.domain.test_ledger import make_chain

LENGTH = 6
#: Lines before the first entry: the heading and two checkpoints.
BEFORE = 3


def exported(secret: bytes = SECRET) -> list[str]:
    entries = make_chain(LENGTH)
    return [
        heading([public_key_of(secret)]),
        checkpoint_line(signed(entries, 2, secret)),
        checkpoint_line(signed(entries, LENGTH, secret)),
        *map(entry_line, entries),
    ]


def altered(line: str, name: str, value: object) -> str:
    return json.dumps(json.loads(line) | {name: value})


def test_an_untouched_export_verifies() -> None:
    proof = check(exported())
    assert (proof.entries, proof.public_keys) == (LENGTH, (KEY,))
    assert proof.head == make_chain(LENGTH)[-1].entry_hash
    assert proof.signed is not None
    assert proof.signed.seq == LENGTH


def test_an_export_of_an_empty_ledger_verifies() -> None:
    proof = check([heading([KEY])])
    assert (proof.entries, proof.head, proof.signed) == (0, GENESIS, None)


@pytest.mark.parametrize("row", range(LENGTH))
@pytest.mark.parametrize(
    "name, value",
    [
        ("seq", 99),
        ("seq", "1"),
        ("subscriber_id", "someone"),
        ("purpose", "newsletter:other"),
        ("act", "withdrawn"),
        ("act", "never heard of"),
        ("at", "2020-01-01T00:00:00+00:00"),
        ("at", "yesterday"),
        ("content", '{"number":9}'),
        ("content", None),
        ("salt", "other"),
        ("salt", None),
        ("content_hash", "0" * 64),
        ("previous_hash", "1" * 64),
        ("entry_hash", "2" * 64),
        ("surplus", "column"),
    ],
)
def test_any_altered_value_is_found_and_its_entry_named(row: int, name: str, value: object) -> None:
    lines = exported()
    lines[BEFORE + row] = altered(lines[BEFORE + row], name, value)
    with pytest.raises(LedgerBroken) as broken:
        check(lines)
    assert broken.value.seq == row + 1


@pytest.mark.parametrize("row", range(LENGTH))
def test_a_removed_entry_is_found_the_last_one_too(row: int) -> None:
    lines = exported()
    del lines[BEFORE + row]
    with pytest.raises(LedgerBroken) as broken:
        check(lines)
    assert broken.value.seq == row + 1


@pytest.mark.parametrize("row", range(LENGTH - 1))
def test_reordered_entries_are_found(row: int) -> None:
    lines = exported()
    here, there = BEFORE + row, BEFORE + row + 1
    lines[here], lines[there] = lines[there], lines[here]
    with pytest.raises(LedgerBroken) as broken:
        check(lines)
    assert broken.value.seq == row + 1


@pytest.mark.parametrize("row", range(LENGTH))
def test_an_inserted_entry_is_found(row: int) -> None:
    lines = exported()
    lines.insert(BEFORE + row, altered(lines[BEFORE + row], "act", "withdrawn"))
    with pytest.raises(LedgerBroken) as broken:
        check(lines)
    assert broken.value.seq == row + 1


@pytest.mark.parametrize("secret_of_forger", [OTHER])
def test_a_file_made_anew_under_another_key_is_found_by_who_noted_the_key(secret_of_forger: bytes) -> None:
    forged = exported(secret_of_forger)
    assert check(forged).public_keys == (public_key_of(OTHER),)
    with pytest.raises(LedgerBroken, match="signed by a stranger"):
        check(forged, trusted=(KEY,))


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda lines: lines[:-1], "a signed checkpoint covers 6 entries"),
        (lambda lines: [*lines[:2], *lines[3:]], "the end of the file is not signed"),
        (lambda lines: [lines[0], *lines[3:]], "the end of the file is not signed"),
        (lambda lines: lines[:3], "a signed checkpoint covers 2 entries"),
        (lambda lines: [*lines, lines[1]], "does not belong there"),
        (lambda lines: [*lines, lines[0]], "does not belong there"),
        (lambda lines: [lines[0], lines[0]], "does not belong there"),
        (lambda lines: [*lines, "["], "line 10: can not be read"),
        (lambda lines: [*lines, "[]"], "line 10: can not be read"),
        (lambda lines: lines[1:], "this is not an export"),
        (lambda lines: [altered(lines[0], "format", "another"), *lines[1:]], "this is not an export"),
        (lambda lines: [altered(lines[0], "public_keys", None), *lines[1:]], "signed by a stranger"),
        (lambda lines: [lines[0], altered(lines[1], "at", 7), *lines[2:]], "a checkpoint can not be read"),
        (lambda lines: [lines[0], altered(lines[1], "more", 7), *lines[2:]], "a checkpoint can not be read"),
        (lambda lines: lines[:0], "this is not an export"),
    ],
)
def test_a_file_that_is_no_whole_export_is_told_apart(change: Callable[[list[str]], list[str]], said: str) -> None:
    with pytest.raises((LedgerBroken, InvalidInput), match=said):
        check(change(exported()))


def test_dropped_content_leaves_the_file_whole() -> None:
    lines = exported()
    for row in range(BEFORE, len(lines)):
        lines[row] = json.dumps(json.loads(lines[row]) | {"content": None, "salt": None})
    assert check(lines).entries == LENGTH
