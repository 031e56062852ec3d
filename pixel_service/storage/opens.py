"""Opens on disk: the hot path of recording, and their erasure.

What must hold: an open is inserted only if consent stands in the very transaction that inserts it (P3, DESIGN rule 3),
and stood already when it happened: what waited while consent was away is not let in by a consent given since.
On PostgreSQL the recorder share-locks the consent rows first and looks second: a withdrawal, which takes its consent row
FOR UPDATE before it deletes, either waits for the recorder and then deletes what it stored, or is seen by it. A single
statement would not do: while it waits for the lock, its snapshot still shows the pixel mapping that the withdrawal
deletes, and a consent given anew in that moment would let an open of an erased mail in. SQLite has one writer.

Every batch writes to disk, also one that stores nothing: otherwise a commit without fsync would tell a forged or
withdrawn pixel from a living one by its answer time (P1).
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, update

from pixel_service.domain.consent import TRACKING_OPENS, VALID_STATES
from pixel_service.domain.errors import StorageUnavailable
from pixel_service.domain.messages import SubscriberId, Tracking
from pixel_service.domain.opens import Fetch
from pixel_service.storage import scrub
from pixel_service.storage.columns import sqlite_text
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import messages, opens, pixels

_STATES = ", ".join(f"'{state.value}'" for state in sorted(VALID_STATES))
_CONSENT = f"consents.purpose = '{TRACKING_OPENS}' AND consents.state IN ({_STATES})"

#: One order of locking for all recorders. The locks are held until the commit.
_LOCK_CONSENTS = f"""
SELECT consents.subscriber_id FROM consents
WHERE {_CONSENT}
  AND consents.subscriber_id IN (SELECT pixels.subscriber_id FROM pixels WHERE pixels.pixel_id = ANY ($1::varchar[]))
ORDER BY consents.subscriber_id
FOR SHARE
"""  # noqa: S608  the only insertions are constants of the domain
#: $7 are the people whose consent is locked and valid. The emitted message is a WAL record that nobody reads; it makes
#: the commit flush.
_STORE_ON_POSTGRESQL = f"""
WITH stored AS (
  INSERT INTO opens (open_id, message_id, opened_at, verdict, reason, client_family)
  SELECT seen.open_id, pixels.message_id, seen.opened_at, seen.verdict, seen.reason, seen.client_family
  FROM unnest($1::bytea[], $2::varchar[], $3::timestamptz[], $4::varchar[], $5::varchar[], $6::varchar[])
    AS seen (open_id, pixel_id, opened_at, verdict, reason, client_family)
  JOIN pixels ON pixels.pixel_id = seen.pixel_id
  JOIN consents ON consents.subscriber_id = pixels.subscriber_id AND {_CONSENT}
  WHERE pixels.subscriber_id = ANY ($7::varchar[])
    AND seen.opened_at >= consents.decided_at AND seen.opened_at < pixels.closes_at
  ON CONFLICT (open_id) DO NOTHING
  RETURNING 1
)
SELECT count(*), pg_logical_emit_message(true, 'pixel-service', '') FROM stored
"""  # noqa: S608  the only insertions are constants of the domain
#: One statement for the batch, not executemany: each row would hand the interpreter's lock to and fro.
#: JSON has no bytes, so the ids travel beside it, 16 bytes each. CROSS JOIN keeps the order of look-ups.
_STORE_ON_SQLITE = f"""
INSERT INTO opens (open_id, message_id, opened_at, verdict, reason, client_family)
SELECT substr(?2, 1 + 16 * seen.key, 16), pixels.message_id, json_extract(seen.value, '$[1]'),
  json_extract(seen.value, '$[2]'), json_extract(seen.value, '$[3]'), json_extract(seen.value, '$[4]')
FROM json_each(?1) AS seen
CROSS JOIN pixels ON pixels.pixel_id = json_extract(seen.value, '$[0]')
CROSS JOIN consents ON consents.subscriber_id = pixels.subscriber_id
WHERE {_CONSENT}
  AND json_extract(seen.value, '$[1]') >= consents.decided_at
  AND json_extract(seen.value, '$[1]') < pixels.closes_at
ON CONFLICT (open_id) DO NOTHING
RETURNING 1
"""  # noqa: S608  the only insertions are constants of the domain
#: Writes the first page of the file; the number means nothing.
_TOUCH_SQLITE = "PRAGMA user_version = 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What a withdrawal deleted, in rows."""

    opens: int
    pixels: int


async def store(connection: Connection, batch: Sequence[Fetch]) -> int:
    """Insert what may be stored; returns how many rows. A batch stored before inserts nothing again."""
    if not batch:
        return 0
    if connection.dialect.name == "postgresql":
        return await _store_on_postgresql(connection, batch)
    return await _store_on_sqlite(connection, batch)


async def _store_on_postgresql(connection: Connection, batch: Sequence[Fetch]) -> int:
    pixel_ids = [fetch.pixel_id or "" for fetch in batch]
    locked = await connection.exec_driver_sql(_LOCK_CONSENTS, (pixel_ids,))
    consenting = [row[0] for row in locked]
    stored = await connection.exec_driver_sql(
        _STORE_ON_POSTGRESQL,
        (
            [fetch.open_id for fetch in batch],
            pixel_ids,
            [fetch.at for fetch in batch],
            [fetch.judgement.verdict.value for fetch in batch],
            [fetch.judgement.reason for fetch in batch],
            [fetch.judgement.client_family for fetch in batch],
            consenting,
        ),
    )
    return int(stored.one()[0])


async def _store_on_sqlite(connection: Connection, batch: Sequence[Fetch]) -> int:
    """Straight to the driver: one hop to its thread per statement instead of three."""
    rows = [
        (
            fetch.pixel_id or "",
            sqlite_text(fetch.at),
            fetch.judgement.verdict,
            fetch.judgement.reason,
            fetch.judgement.client_family,
        )
        for fetch in batch
    ]
    ids = b"".join([fetch.open_id for fetch in batch])
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    try:
        await driver.execute_fetchall(_TOUCH_SQLITE)
        return len(await driver.execute_fetchall(_STORE_ON_SQLITE, (json.dumps(rows), ids)))
    except sqlite3.Error as error:
        raise StorageUnavailable(type(error).__name__) from error


async def erase_opens(connection: Connection, subscriber_id: SubscriberId) -> Erased:
    """Delete a person's opens and pixel mappings and mark their messages. The caller holds their consent row.

    The messages are locked first: a delivery that is just giving one a pixel finishes, and its mapping is deleted too.
    """
    of_person = messages.c.subscriber_id == subscriber_id
    await connection.execute(select(messages.c.message_id).where(of_person).with_for_update(key_share=True))
    erased = await connection.execute(
        delete(opens).where(opens.c.message_id.in_(select(messages.c.message_id).where(of_person)))
    )
    unmapped = await connection.execute(delete(pixels).where(pixels.c.subscriber_id == subscriber_id))
    await connection.execute(
        update(messages)
        .where(of_person, messages.c.tracking.in_([Tracking.TRACKED.value, Tracking.RESTRICTED.value]))
        .values(tracking=Tracking.WITHDRAWN.value)
    )
    if erased.rowcount or unmapped.rowcount:
        await scrub.ask(connection, scrub.Scope.OPENS)
    return Erased(opens=erased.rowcount, pixels=unmapped.rowcount)


async def delete_opens(connection: Connection, subscriber_id: SubscriberId) -> int:
    """Delete the opens so far; pixels stay and count on (R9). The caller holds the consent row: recorders that saw it
    have ended, and what they stored is deleted too."""
    theirs = select(messages.c.message_id).where(messages.c.subscriber_id == subscriber_id)
    deleted = await connection.execute(delete(opens).where(opens.c.message_id.in_(theirs)))
    if deleted.rowcount:
        await scrub.ask(connection, scrub.Scope.OPENS)
    return deleted.rowcount


async def set_aside(connection: Connection, subscriber_id: SubscriberId) -> None:
    """Out of every figure, and kept (GDPR Art. 18). The caller holds the messages."""
    await _turn(connection, subscriber_id, Tracking.TRACKED, Tracking.RESTRICTED)


async def put_back(connection: Connection, subscriber_id: SubscriberId) -> None:
    """The opposite of `set_aside`."""
    await _turn(connection, subscriber_id, Tracking.RESTRICTED, Tracking.TRACKED)


async def _turn(connection: Connection, subscriber_id: SubscriberId, was: Tracking, becomes: Tracking) -> None:
    await connection.execute(
        update(messages)
        .where(messages.c.subscriber_id == subscriber_id, messages.c.tracking == was.value)
        .values(tracking=becomes.value)
    )
