"""What must hold after every step, whatever happened: the rows of the database against the model and the mails."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Table, select

from pixel_service.domain.messages import CampaignId
from pixel_service.domain.opens import LIKELY_HUMAN, MACHINE
from pixel_service.domain.reports import CampaignReport
from pixel_service.domain.settling import MAX_ROWS, REPEAT
from pixel_service.storage.reports import campaign_report
from pixel_service.storage.schema import campaigns, consents, ledger, messages, metadata, opens, pixels, subscribers
from pixel_service.usecases.ledger import replay, verify
from tests.figures import differences
from tests.journeys.consent_model import TRACKING
from tests.journeys.machine import World
from tests.tracked_mail import LONG_AGO

Rows = list[Row[Any]]
#: Two of one mail program are one, and times are told apart in whole seconds.
_REPEAT = timedelta(seconds=REPEAT + 1)
_WORDS = {"given": "valid", "renewed": "valid"}


@dataclass(frozen=True, slots=True)
class Books:
    """Every row that matters, read at one moment."""

    #: Also of those who were erased: the name under which the model remembers them.
    addresses: Mapping[str, str]
    messages: Mapping[str, Row[Any]]
    pixels: Rows
    opens: Rows
    consents: Rows
    ledger: Rows


async def read_books(world: World) -> Books:
    async with world.db.read() as connection:

        async def all_of(table: Table) -> Rows:
            return list((await connection.execute(select(table))).all())

        return Books(
            addresses=world.ghosts | {row.subscriber_id: row.address for row in await all_of(subscribers)},
            messages={row.message_id: row for row in await all_of(messages)},
            pixels=await all_of(pixels),
            opens=await all_of(opens),
            consents=await all_of(consents),
            ledger=await all_of(ledger),
        )


async def check(world: World, before: Books | None) -> Books:
    """What did not change since `before` is not proven again."""
    books = await read_books(world)
    assert world.relay.violations == []
    check_consent(world, books)
    check_ledger(world, books)
    check_measuring(world, books)
    check_opens(world, books)
    check_mails(world, books)
    await check_erased(world, books)
    if before is None or (books.messages, books.opens) != (before.messages, before.opens):
        await check_reports(world, books)
        assert await differences(world.db) == [], "the figures are not what the rows say"
    if before is None or books.ledger != before.ledger:
        assert (await verify(world.ctx, lambda _: None)).entries == len(books.ledger)
        assert await replay(world.ctx) == []
    return books


def check_consent(world: World, books: Books) -> None:
    table = {
        (books.addresses[row.subscriber_id], row.purpose): _WORDS.get(row.state, row.state) for row in books.consents
    }
    assert table == world.model.states


def check_ledger(world: World, books: Books) -> None:
    """Every act is told, and nothing else."""
    told = Counter((books.addresses[row.subscriber_id], row.purpose, row.act) for row in books.ledger)
    assert told == world.model.acts + _confirmations_sent(world, books)


def _confirmations_sent(world: World, books: Books) -> Counter[tuple[str, str, str]]:
    """Of each mail that asks, once the service knows that the relay took it."""
    asking = {mail.message: mail.links["c"][0] for mail in world.mails_with("c")}
    requests = [
        world.model.requests[world.sign_up_of(token)]
        for message, token in asking.items()
        # Of the erased, the model remembers it.
        if message in books.messages and books.messages[message].status == "sent"
    ]
    return Counter((one.address, purpose, "confirmation_sent") for one in requests for purpose in one.asked)


def check_measuring(world: World, books: Books) -> None:
    """Only of people who agree: a pixel, and a message that is told to carry one."""
    for pixel in books.pixels:
        message = books.messages[pixel.message_id]
        assert message.subscriber_id == pixel.subscriber_id
        assert message.purpose != "service"
        assert world.model.agrees(books.addresses[pixel.subscriber_id], TRACKING), "a pixel outlived its consent"
    mapped = {pixel.message_id for pixel in books.pixels}
    tracked = {message_id for message_id, message in books.messages.items() if message.tracking == "tracked"}
    assert tracked == mapped
    carried = {mail.message for mail in world.relay.taken if "o" in mail.links}
    for message_id, message in books.messages.items():
        if message.status == "failed" or (message.status == "sent" and message_id not in carried):
            assert message.tracking == "none", "told to carry a pixel, and never did"


def check_opens(world: World, books: Books) -> None:
    rows = Counter((row.message_id, row.opened_at) for row in books.opens)
    heard = [one for address in world.model.opens for one in world.model.opens[address]]
    allowed: Counter[tuple[str, datetime]] = Counter((one.message, one.at) for one in heard)
    assert rows <= allowed, "an open without consent"
    times: dict[str, list[datetime]] = {}
    for message, at in rows:
        times.setdefault(message, []).append(at)
    for one in heard:
        kept = times.get(one.message, [])
        repeated = any(abs(one.at - at) < _REPEAT for at in kept)
        assert not one.certain or repeated or len(kept) >= MAX_ROWS - 1, "an open that was answered is lost"


def check_mails(world: World, books: Books) -> None:
    identities = {(mail.message, mail.message_id) for mail in world.relay.taken}
    assert _once(message for message, _ in identities), "one message under two Message-IDs"
    assert _once(message_id for _, message_id in identities), "two messages under one Message-ID"
    received = {
        (mail.address, mail.campaign, mail.message)
        for mail in world.relay.taken
        if mail.campaign is not None
        and mail.message in books.messages
        and books.messages[mail.message].status == "sent"
    }
    assert _once((address, campaign) for address, campaign, _ in received), "one campaign twice to one person"
    alive = [one for one in books.messages.values() if one.status in {"queued", "sent"} and one.purpose != "service"]
    assert _once((one.subscriber_id, one.campaign_id) for one in alive), "one campaign twice for one person"
    for message in books.messages.values():
        if message.status == "queued" and message.purpose != "service":
            assert world.model.agrees(books.addresses[message.subscriber_id], message.purpose), "waits without consent"
        if message.status != "queued":
            assert message.variables == {}, "values of a person were kept"


#: Where an erased person goes on as an opaque id.
_OPAQUE = {"ledger", "rights_requests", "audit_log", "sealed_evidence"}


async def check_erased(world: World, books: Books) -> None:
    """No other table knows the id of an erased person, and none at all an address that nobody living has."""
    gone = {ghost.partition(" ")[0] for ghost in world.ghosts.values()} - set(books.addresses.values())
    async with world.db.read() as connection:
        for table in metadata.sorted_tables if world.ghosts else ():
            told = repr([tuple(row) for row in (await connection.execute(select(table))).all()])
            assert not [address for address in gone if address in told], f"an erased address stands in {table}"
            if table.name not in _OPAQUE:
                assert not [person for person in world.ghosts if person in told], f"an erased person stands in {table}"
    of_ghosts = [row for row in books.ledger if row.subscriber_id in world.ghosts]
    assert {(row.content, row.salt) for row in of_ghosts} <= {(None, None)}


def _once(things: Iterable[object]) -> bool:
    return all(number == 1 for number in Counter(things).values())


async def check_reports(world: World, books: Books) -> None:
    async with world.db.read() as connection:
        for name in (await connection.execute(select(campaigns.c.campaign_id))).scalars().all():
            report = await campaign_report(connection, CampaignId(name), whole_since=LONG_AGO)
            assert report is not None
            assert figures(report) == counted(books, name)


def figures(report: CampaignReport) -> dict[str, int]:
    names = (
        *("sent", "tracked", "untracked", "withdrawn_since", "restricted", "unique_opens", "total_opens"),
        *("unique_machine_opens", "total_machine_opens", "unique_unknown_opens", "total_unknown_opens"),
    )
    return {name: getattr(report, name) for name in names}


def counted(books: Books, campaign_id: str) -> dict[str, int]:
    """The same figures, by going through all rows one by one."""
    mine = {key: row for key, row in books.messages.items() if row.campaign_id == campaign_id}
    opened = {row.message_id for row in books.opens if row.message_id in mine}
    seen = [row for row in books.opens if row.message_id in mine and mine[row.message_id].tracking == "tracked"]
    out = [row.tracking for key, row in mine.items() if row.sent_at is not None or key in opened]
    human = [row.message_id for row in seen if row.verdict in LIKELY_HUMAN]
    machine = [row.message_id for row in seen if row.verdict in MACHINE]
    unknown = [row.message_id for row in seen if row.verdict not in LIKELY_HUMAN | MACHINE]
    return {
        "sent": len(out),
        "tracked": out.count("tracked"),
        "untracked": out.count("none"),
        "withdrawn_since": out.count("withdrawn"),
        "restricted": out.count("restricted"),
        "unique_opens": len(set(human)),
        "total_opens": len(human),
        "unique_machine_opens": len(set(machine)),
        "total_machine_opens": len(machine),
        "unique_unknown_opens": len(set(unknown)),
        "total_unknown_opens": len(unknown),
    }
