"""The one writer of consent: a decision, its state row and its ledger row in one transaction (DESIGN rule 2)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update

from pixel_service.domain.consent import Event, Purpose, State, decide
from pixel_service.domain.ledger import Content, Draft
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import ledger
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import consents


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


async def record(connection: Connection, happening: Happening) -> bool:
    """Apply one event. True when it was an act worth an entry, False when nothing changed."""
    await lock_ledger(connection)
    key = (consents.c.subscriber_id == happening.subscriber_id) & (consents.c.purpose == happening.purpose)
    # FOR NO KEY UPDATE waits for recorders that share-lock the row: their opens are visible to the deletes that follow.
    row = (await connection.execute(select(consents.c.state).where(key).with_for_update(key_share=True))).first()
    before = State(row.state) if row else State.UNKNOWN
    decision = decide(before, happening.event)
    if decision.act is None:
        return False
    entry = await ledger.append(
        connection,
        Draft(
            subscriber_id=happening.subscriber_id,
            purpose=happening.purpose,
            act=decision.act,
            at=happening.at,
            content=happening.content,
            salt=happening.salt,
        ),
    )
    values = {"state": decision.state.value, "decided_at": happening.at, "ledger_seq": entry.seq}
    if row is None:
        await connection.execute(
            insert(consents).values(subscriber_id=happening.subscriber_id, purpose=happening.purpose, **values)
        )
    elif decision.state is not before or decision.state is State.RENEWED:
        await connection.execute(update(consents).where(key).values(**values))
    return True


async def consents_of(connection: Connection, subscriber_id: SubscriberId) -> dict[Purpose, Consent]:
    rows = await connection.execute(select(consents).where(consents.c.subscriber_id == subscriber_id))
    return {
        Purpose(row.purpose): Consent(state=State(row.state), decided_at=row.decided_at, ledger_seq=row.ledger_seq)
        for row in rows
    }


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


async def all_states(connection: Connection) -> dict[tuple[SubscriberId, Purpose], State]:
    """The whole table, to compare with a replay of the ledger (E2)."""
    rows = await connection.execute(select(consents.c.subscriber_id, consents.c.purpose, consents.c.state))
    return {(SubscriberId(row.subscriber_id), Purpose(row.purpose)): State(row.state) for row in rows}
