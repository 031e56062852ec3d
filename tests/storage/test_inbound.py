"""Notes of incoming mails and the operator's list: what is kept, and what goes (T1, R3)."""

from datetime import UTC, datetime, timedelta

from pixel_service.domain.messages import MessageId, SubscriberId
from pixel_service.storage import inbound
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.inbound import InboundId, UnclearMail

NOW = datetime(2026, 11, 2, tzinfo=UTC)
DAY = timedelta(days=1)


async def keep(
    connection: Connection, number: int, *, person: str | None = None, sender: str = "a@x.example"
) -> InboundId:
    inbound_id = InboundId(f"{number:026}")
    await inbound.keep(
        connection,
        UnclearMail(
            inbound_id=inbound_id,
            received_at=NOW + number * DAY,
            subscriber_id=SubscriberId(person) if person else None,
            sender=sender,
            subject="",
            excerpt="",
            message_id_header=f"m{number}",
        ),
    )
    return inbound_id


async def waiting(connection: Connection) -> list[str]:
    return [mail.message_id_header for mail in (await inbound.open_mails(connection, limit=100))[0]]


async def test_a_mail_is_noted_once(db: Database) -> None:
    async with db.write() as connection:
        assert await inbound.note(connection, "f" * 64, at=NOW, verdict="bounce")
        assert not await inbound.note(connection, "f" * 64, at=NOW + DAY, verdict="unclear")
        assert await inbound.note(connection, "e" * 64, at=NOW, verdict="bounce")
        assert await inbound.counts(connection) == {"bounce": 2}


async def test_mails_that_do_not_exist_are_not_answered(db: Database) -> None:
    async with db.read() as connection:
        assert await inbound.answered(connection, [MessageId("a" * 26)]) == []
        assert await inbound.answered(connection, []) == []


async def test_the_list_is_bounded_oldest_first_and_counts_all(db: Database) -> None:
    async with db.write() as connection:
        for number in (2, 1, 3):
            await keep(connection, number)
        shown, number = await inbound.open_mails(connection, limit=2)
    assert ([mail.message_id_header for mail in shown], number) == (["m1", "m2"], 3)


async def test_a_mail_is_finished_once(db: Database) -> None:
    async with db.write() as connection:
        inbound_id = await keep(connection, 1)
        assert await inbound.finish(connection, inbound_id, at=NOW, by="me") == "m1"
        assert await inbound.finish(connection, inbound_id, at=NOW, by="me") is None
        assert await inbound.finish(connection, InboundId("z" * 26), at=NOW, by="me") is None
        assert await waiting(connection) == []


async def test_erasing_a_person_takes_every_letter_of_theirs_and_no_other(db: Database) -> None:
    async with db.write() as connection:
        await keep(connection, 1, person="p" * 26)
        await keep(connection, 2, sender="anna@x.example")
        await keep(connection, 3, person="q" * 26, sender="ben@x.example")
        done = await keep(connection, 4, person="p" * 26, sender="other@x.example")
        await inbound.finish(connection, done, at=NOW, by="me")
        assert await inbound.erase_of(connection, SubscriberId("p" * 26), "anna@x.example") == 3
        assert await waiting(connection) == ["m3"]


async def test_old_notes_and_settled_mails_go_in_slices_and_what_waits_stays(db: Database) -> None:
    async with db.write() as connection:
        for number in range(3):
            await inbound.note(connection, str(number) * 64, at=NOW - number * DAY, verdict="unclear")
        for number in (1, 2):
            await inbound.finish(connection, await keep(connection, number), at=NOW - DAY, by="me")
        await keep(connection, 3)
        until = {"noted_before": NOW, "done_before": NOW}
        gone = [await inbound.forget_before(connection, **until, limit=1) for _ in range(3)]
        assert gone == [2, 2, 0]
        assert await inbound.counts(connection) == {"unclear": 1}
        assert await waiting(connection) == ["m3"]
