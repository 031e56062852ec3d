"""The one writer of consent: a decision, its state row and its ledger row in one transaction (DESIGN rule 2)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, insert, select, update

from pixel_service.domain.consent import Act, Event, Purpose, State, decide
from pixel_service.domain.ledger import Content, Draft
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import ledger
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import consents

_Key = tuple[SubscriberId, Purpose]


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """The record of one person and purpose."""

    state: State
    decided_at: datetime
    #: The ledger entry that made it so.
    ledger_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """An event with everything the ledger keeps of it."""

    subscriber_id: SubscriberId
    purpose: Purpose
    event: Event
    at: datetime
    content: Content
    #: Fresh id; keeps dropped content from being guessed from its hash.
    salt: str
    #: When the person decided, where that was before `at`: consent given elsewhere has a past.
    since: datetime | None = None


async def record(connection: Connection, happening: Happening) -> bool:
    """Apply one event. True when it was an act worth an entry, False when nothing changed."""
    (acted,) = await record_all(connection, [happening])
    return acted


async def record_all(connection: Connection, happenings: Sequence[Happening]) -> list[bool]:
    """`record` for at most some hundreds, in their order and with a few statements. What each of them was."""
    await lock_ledger(connection)
    before = await _held_states(connection, happenings)
    after = dict(before)
    drafts: list[Draft] = []
    acted: list[bool] = []
    #: Who changed, with the place of the draft that did it.
    changed: dict[_Key, int] = {}
    for one in happenings:
        key = one.subscriber_id, one.purpose
        was = after.get(key, State.UNKNOWN)
        decision = decide(was, one.event)
        acted.append(decision.act is not None)
        if decision.act is None:
            continue
        if key not in after or decision.state is not was or decision.state is State.RENEWED:
            changed[key] = len(drafts)
        after[key] = decision.state
        drafts.append(_draft(one, decision.act))
    entries = await ledger.append_all(connection, drafts)
    since = [one.since or one.at for one, was_act in zip(happenings, acted, strict=True) if was_act]
    rows: list[dict[str, object]] = [
        {
            "subscriber_id": key[0],
            "purpose": key[1],
            "state": after[key].value,
            "decided_at": since[place],
            "ledger_seq": entries[place].seq,
        }
        for key, place in changed.items()
    ]
    await _store(connection, rows, before)
    return acted


def _draft(one: Happening, act: Act) -> Draft:
    return Draft(
        subscriber_id=one.subscriber_id, purpose=one.purpose, act=act, at=one.at, content=one.content, salt=one.salt
    )


async def _held_states(connection: Connection, happenings: Sequence[Happening]) -> dict[_Key, State]:
    """FOR NO KEY UPDATE waits for recorders that share-lock the rows: their opens are visible to the deletes that follow."""
    rows = await connection.execute(
        select(consents.c.subscriber_id, consents.c.purpose, consents.c.state)
        .where(
            consents.c.subscriber_id.in_({one.subscriber_id for one in happenings}),
            consents.c.purpose.in_({one.purpose for one in happenings}),
        )
        .order_by(consents.c.subscriber_id, consents.c.purpose)
        .with_for_update(key_share=True)
    )
    return {(SubscriberId(row.subscriber_id), Purpose(row.purpose)): State(row.state) for row in rows}


async def _store(connection: Connection, rows: list[dict[str, object]], before: Mapping[_Key, State]) -> None:
    known = [row for row in rows if (row["subscriber_id"], row["purpose"]) in before]
    new = [row for row in rows if (row["subscriber_id"], row["purpose"]) not in before]
    if new:
        await connection.execute(insert(consents), new)
    if known:
        # A column's own name is taken in an UPDATE of many rows.
        keyed = [{"of_subscriber": row.pop("subscriber_id"), "of_purpose": row.pop("purpose"), **row} for row in known]
        await connection.execute(
            update(consents).where(
                consents.c.subscriber_id == bindparam("of_subscriber"), consents.c.purpose == bindparam("of_purpose")
            ),
            keyed,
        )


async def consents_of(connection: Connection, subscriber_id: SubscriberId) -> dict[Purpose, Consent]:
    rows = await connection.execute(select(consents).where(consents.c.subscriber_id == subscriber_id))
    return {
        Purpose(row.purpose): Consent(state=State(row.state), decided_at=row.decided_at, ledger_seq=row.ledger_seq)
        for row in rows
    }


async def hold(connection: Connection, subscriber_id: SubscriberId, purpose: Purpose) -> None:
    """Lock one record as a change of it would: recorders that read it before have ended then."""
    key = (consents.c.subscriber_id == subscriber_id) & (consents.c.purpose == purpose)
    await connection.execute(select(consents.c.state).where(key).with_for_update(key_share=True))


async def consents_of_all(
    connection: Connection,
    subscriber_ids: Iterable[SubscriberId],
    purposes: Iterable[Purpose],
    *,
    hold: bool = False,
) -> dict[tuple[SubscriberId, Purpose], Consent]:
    """For a batch of at most some hundreds of people. `hold` share-locks the rows, in one order for everybody,
    so that nobody can withdraw before this transaction ends."""
    query = (
        select(consents)
        .where(consents.c.subscriber_id.in_(tuple(subscriber_ids)), consents.c.purpose.in_(tuple(purposes)))
        .order_by(consents.c.subscriber_id, consents.c.purpose)
    )
    rows = await connection.execute(query.with_for_update(read=True) if hold else query)
    return {
        (SubscriberId(row.subscriber_id), Purpose(row.purpose)): Consent(
            state=State(row.state), decided_at=row.decided_at, ledger_seq=row.ledger_seq
        )
        for row in rows
    }


async def said_no_at(connection: Connection, subscriber_ids: Iterable[SubscriberId]) -> dict[SubscriberId, datetime]:
    """When each of a batch of people last withdrew or objected to what they have not agreed to again; without those who
    did not."""
    rows = await connection.execute(
        select(consents.c.subscriber_id, func.max(consents.c.decided_at).label("at"))
        .where(
            consents.c.subscriber_id.in_(tuple(subscriber_ids)),
            consents.c.state.in_((State.WITHDRAWN.value, State.OBJECTED.value)),
        )
        .group_by(consents.c.subscriber_id)
    )
    return {SubscriberId(row.subscriber_id): row.at for row in rows}


async def all_states(connection: Connection) -> dict[tuple[SubscriberId, Purpose], State]:
    """The whole table, to compare with a replay of the ledger (E2)."""
    rows = await connection.execute(select(consents.c.subscriber_id, consents.c.purpose, consents.c.state))
    return {(SubscriberId(row.subscriber_id), Purpose(row.purpose)): State(row.state) for row in rows}
