"""The ledger table: appended in a chain, read in pages, per person, exactly as it was written."""

from datetime import timedelta, timezone

from sqlalchemy import insert, select

from pixel_service.domain.consent import Act, newsletter
from pixel_service.domain.ledger import GENESIS, ChainCheck, Draft, Entry, chain
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import ledger
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.ledger import append, entries_of, read_pages
from pixel_service.storage.schema import ledger as table
from tests.tracked_mail import NOW, new_id

ANNA, BO = SubscriberId(new_id()), SubscriberId(new_id())


def draft(person: SubscriberId = ANNA, number: int = 0) -> Draft:
    return Draft(
        subscriber_id=person,
        purpose=newsletter("blog"),
        act=Act.REQUESTED,
        at=NOW + timedelta(seconds=number),
        content={"number": number, "name": "Zoë ✓", "nested": {"b": 1, "a": None}},
        salt=new_id(),
    )


async def pages(connection: Connection) -> list[list[Entry]]:
    return [page async for page in read_pages(connection)]


async def test_entries_are_read_as_they_were_appended_and_hang_together(db: Database) -> None:
    async with db.write() as connection:
        written = [await append(connection, draft(number=number)) for number in range(3)]
    async with db.read() as connection:
        (read,) = await pages(connection)
    assert read == written
    assert [entry.seq for entry in read] == [1, 2, 3]
    assert read[0].previous_hash == GENESIS
    check = ChainCheck()
    for entry in read:
        check.add(entry)
    assert (check.entries, check.head) == (3, read[-1].entry_hash)


async def test_a_time_of_another_zone_is_the_same_moment_in_the_chain(db: Database) -> None:
    """The hash covers the time as it is read back: UTC, to the microsecond."""
    there = NOW.astimezone(timezone(timedelta(hours=2)))
    async with db.write() as connection:
        one = draft()
        await append(connection, Draft(**{name: getattr(one, name) for name in one.__slots__} | {"at": NOW}))
        (read,) = (await pages(connection))[0]
    assert read.at == there
    ChainCheck().add(read)


async def test_a_persons_entries_are_theirs_alone_and_in_order(db: Database) -> None:
    async with db.write() as connection:
        for number, person in enumerate((ANNA, BO, ANNA)):
            await append(connection, draft(person, number))
        assert [entry.seq for entry in await entries_of(connection, ANNA)] == [1, 3]
        assert [entry.seq for entry in await entries_of(connection, BO)] == [2]
        assert await entries_of(connection, SubscriberId(new_id())) == []


async def test_a_long_ledger_is_read_in_pages_without_a_gap(db: Database) -> None:
    number = ledger._PAGE * 2 + 1
    async with db.write() as connection:
        entries: list[Entry] = []
        for seq in range(1, number + 1):
            head = entries[-1].entry_hash if entries else GENESIS
            entries.append(chain(draft(number=seq), seq=seq, previous_hash=head))
        await connection.execute(
            insert(table), [{name: getattr(one, name) for name in one.__slots__} for one in entries]
        )
        read = await pages(connection)
    assert [len(page) for page in read] == [ledger._PAGE, ledger._PAGE, 1]
    assert [entry for page in read for entry in page] == entries


async def test_an_empty_ledger_has_no_page(db: Database) -> None:
    async with db.read() as connection:
        assert await pages(connection) == []
        assert (await connection.execute(select(table))).all() == []
