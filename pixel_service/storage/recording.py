"""The transaction that stores opens: the hot path (DESIGN rules 3, 4).

What must hold: an open is inserted only if consent stands in the very transaction that inserts it (P3), and stood already
when it happened: what waited while consent was away is not let in by a consent given since, nor what waited while the person
had their opens deleted. What is known of a message and the figures change with its rows.
On PostgreSQL the recorder share-locks the consent rows first and looks second: a withdrawal, which takes its consent row
FOR UPDATE before it deletes, either waits for the recorder and then deletes what it stored, or is seen by it. A single
statement would not do: while it waits for the lock, its snapshot still shows the pixel mapping that the withdrawal
deletes, and a consent given anew in that moment would let an open of an erased mail in. The messages are locked next, in
their order: two recorders with opens of one message take turns, the second sees what the first stored. SQLite has one
writer.

Every batch says the same statements and writes to disk, also one that stores nothing: otherwise its time would tell a
forged or withdrawn pixel from a living one (P1).
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pixel_service.domain.consent import TRACKING_OPENS, VALID_STATES
from pixel_service.domain.messages import CampaignId, MessageId
from pixel_service.domain.opens import Fetch
from pixel_service.domain.settling import RULES_VERSION, Letter, Row, Seen, Settled, settle
from pixel_service.domain.tally import Tally
from pixel_service.storage import figures, seen as known
from pixel_service.storage.columns import sqlite_text
from pixel_service.storage.dialect import Statement, at_once, straight, together
from pixel_service.storage.engine import Connection, Database

_STATES = ", ".join(f"'{state.value}'" for state in sorted(VALID_STATES))
_CONSENT = f"consents.purpose = '{TRACKING_OPENS}' AND consents.state IN ({_STATES})"

#: One order of locking for all recorders: people, then messages; ARRAY, because all people are locked before the first message.
#: The locks are held until the commit.
_LOCK = f"""
WITH people AS MATERIALIZED (
  SELECT consents.subscriber_id, pixels.message_id
  FROM pixels JOIN consents ON consents.subscriber_id = pixels.subscriber_id AND {_CONSENT}
  WHERE pixels.pixel_id = ANY ($1::varchar[])
  ORDER BY consents.subscriber_id
  FOR SHARE OF consents
)
SELECT messages.message_id FROM messages
WHERE messages.message_id = ANY (ARRAY (SELECT people.message_id FROM people))
ORDER BY messages.message_id
FOR NO KEY UPDATE
"""  # noqa: S608  the only insertions are constants of the domain
#: What may be stored, with what is known of its message. $4 are the messages that are locked, and so are their people.
_PASS_ON_POSTGRESQL = f"""
SELECT asked.place, messages.message_id, messages.campaign_id, messages.tracking,
  floor(extract(epoch FROM messages.sent_at))::bigint, floor(extract(epoch FROM pixels.handed_over_at))::bigint,
  EXISTS (SELECT FROM opens WHERE opens.open_id = asked.open_id),
  message_opens.standing, message_opens.sessions, message_opens.first_human_at, message_opens.times::text
FROM unnest($1::bytea[], $2::varchar[], $3::timestamptz[]) WITH ORDINALITY AS asked (open_id, pixel_id, at, place)
JOIN pixels ON pixels.pixel_id = asked.pixel_id
JOIN consents ON consents.subscriber_id = pixels.subscriber_id AND {_CONSENT}
JOIN messages ON messages.message_id = pixels.message_id
LEFT JOIN message_opens ON message_opens.message_id = messages.message_id
WHERE pixels.message_id = ANY ($4::varchar[])
  AND asked.at >= consents.decided_at AND asked.at < pixels.closes_at
  AND (pixels.reopened_at IS NULL OR asked.at >= pixels.reopened_at)
ORDER BY asked.place
"""  # noqa: S608  the only insertions are constants of the domain
_STORE_ON_POSTGRESQL = f"""
INSERT INTO opens (open_id, message_id, opened_at, verdict, reason, client_family, rules)
SELECT seen.*, {RULES_VERSION}
FROM unnest($1::bytea[], $2::varchar[], $3::timestamptz[], $4::varchar[], $5::varchar[], $6::varchar[]) AS seen
"""  # noqa: S608  the only insertion is a constant of the domain
#: A WAL record that nobody reads; it makes the commit flush.
_TOUCH_POSTGRESQL = "SELECT pg_logical_emit_message(true, 'pixel-service', '')"
#: One statement for the batch, not executemany, and one row as its answer: each row hands the interpreter's lock to and fro.
#: JSON has no bytes, so the ids travel beside it, 16 bytes each. CROSS JOIN keeps the order of look-ups.
_PASS_ON_SQLITE = f"""
SELECT json_group_array(json_array(asked.key + 1, messages.message_id, messages.campaign_id, messages.tracking,
  CAST(strftime('%s', substr(messages.sent_at, 1, 19)) AS INTEGER),
  CAST(strftime('%s', substr(pixels.handed_over_at, 1, 19)) AS INTEGER),
  EXISTS (SELECT 1 FROM opens WHERE opens.open_id = substr(?2, 1 + 16 * asked.key, 16)),
  message_opens.standing, message_opens.sessions, message_opens.first_human_at, message_opens.times))
FROM json_each(?1) AS asked
CROSS JOIN pixels ON pixels.pixel_id = json_extract(asked.value, '$[0]')
CROSS JOIN consents ON consents.subscriber_id = pixels.subscriber_id
CROSS JOIN messages ON messages.message_id = pixels.message_id
LEFT JOIN message_opens ON message_opens.message_id = messages.message_id
WHERE {_CONSENT}
  AND json_extract(asked.value, '$[1]') >= consents.decided_at
  AND json_extract(asked.value, '$[1]') < pixels.closes_at
  AND (pixels.reopened_at IS NULL OR json_extract(asked.value, '$[1]') >= pixels.reopened_at)
"""  # noqa: S608  the only insertions are constants of the domain
_STORE_ON_SQLITE = f"""
INSERT INTO opens (open_id, message_id, opened_at, verdict, reason, client_family, rules)
SELECT substr(?2, 1 + 16 * seen.key, 16), json_extract(seen.value, '$[0]'), json_extract(seen.value, '$[1]'),
  json_extract(seen.value, '$[2]'), json_extract(seen.value, '$[3]'), json_extract(seen.value, '$[4]'), {RULES_VERSION}
FROM json_each(?1) AS seen
"""  # noqa: S608  the only insertion is a constant of the domain
#: Writes the first page of the file; the number means nothing.
_TOUCH_SQLITE = "PRAGMA user_version = 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What became of a batch, in requests."""

    #: Stored, now or by the commit of the same batch whose answer got lost.
    recorded: int = 0
    #: One mail program asked again at once.
    collapsed: int = 0
    #: The message has as many rows as are kept.
    over_limit: int = 0
    #: Genuine, but consent or mapping is gone, or it happened outside the recording window.
    not_consented: int = 0
    forged: int = 0


class _Mail:
    """A message that was fetched, as it is locked."""

    __slots__ = ("campaign_id", "fetches", "letter", "repeated", "seen", "tracking")

    def __init__(self, campaign_id: CampaignId | None, tracking: str, letter: Letter, seen: Seen | None) -> None:
        self.campaign_id, self.tracking, self.letter, self.seen = campaign_id, tracking, letter, seen
        self.fetches: list[Fetch] = []
        #: Fetches that an earlier try has stored.
        self.repeated = 0


@dataclass(slots=True)
class _Changes:
    """What a batch comes to."""

    stored: Stored = field(default_factory=Stored)
    rows: list[tuple[MessageId, Row]] = field(default_factory=list)
    seen: dict[MessageId, Seen] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    def note(self, message_id: MessageId, mail: _Mail, settled: Settled) -> None:
        if not settled.rows or settled.seen is None:
            return
        self.rows += [(message_id, row) for row in settled.rows]
        self.seen[message_id] = settled.seen
        if mail.campaign_id is not None:
            self.tally.add_message(mail.campaign_id, mail.tracking, mail.letter, mail.seen, settled)


async def store_alone(db: Database, batch: Sequence[Fetch]) -> Stored:
    """`store` in a transaction of its own. Raises `StorageUnavailable` when it was not stored."""
    if not batch:
        return Stored()
    if db.is_sqlite:
        return await db.write_at_once(lambda driver: _store_on_sqlite(driver, batch))
    async with db.write() as connection:
        return await store(connection, batch)


async def store(connection: Connection, batch: Sequence[Fetch]) -> Stored:
    """Insert what may be stored. A batch stored before changes nothing again."""
    if not batch:
        return Stored()
    if connection.dialect.name != "postgresql":
        return await at_once(connection, lambda driver: _store_on_sqlite(driver, batch))
    changes = _settle(batch, await _pass_on_postgresql(connection, batch))
    # What is dropped looks at what was added: it can not be said together with it.
    rows, seen, added, *dropped = _writing("postgresql", changes)
    for statement, parameters in (together([rows, seen, added], _TOUCH_POSTGRESQL), *dropped):
        await straight(connection, statement, parameters)
    return changes.stored


def _store_on_sqlite(driver: sqlite3.Connection, batch: Sequence[Fetch]) -> Stored:
    asked = [(fetch.pixel_id or "", sqlite_text(fetch.at)) for fetch in batch]
    ids = b"".join([fetch.open_id for fetch in batch])
    driver.execute(_TOUCH_SQLITE)
    ((passed,),) = driver.execute(_PASS_ON_SQLITE, (json.dumps(asked), ids))
    changes = _settle(batch, json.loads(passed))
    for statement, parameters in _writing("sqlite", changes):
        driver.execute(statement, parameters)
    return changes.stored


async def _pass_on_postgresql(connection: Connection, batch: Sequence[Fetch]) -> Sequence[Any]:
    pixel_ids = [fetch.pixel_id or "" for fetch in batch]
    locked = [row[0] for row in await straight(connection, _LOCK, (pixel_ids,))]
    ids, times = [fetch.open_id for fetch in batch], [fetch.at for fetch in batch]
    return await straight(connection, _PASS_ON_POSTGRESQL, (ids, pixel_ids, times, locked))


def _settle(batch: Sequence[Fetch], passed: Sequence[Any]) -> _Changes:
    changes = _Changes()
    recorded = collapsed = over_limit = 0
    for message_id, mail in _by_message(batch, passed).items():
        if mail.repeated:
            # A batch is stored whole: the others of this message were settled then.
            recorded += mail.repeated
            collapsed += len(mail.fetches)
            continue
        settled = settle(mail.seen, mail.letter, mail.fetches)
        recorded += len(settled.rows)
        collapsed += settled.repeats
        over_limit += settled.over_limit
        changes.note(message_id, mail, settled)
    forged = sum([fetch.pixel_id is None for fetch in batch])
    changes.stored = Stored(
        recorded=recorded,
        collapsed=collapsed,
        over_limit=over_limit,
        not_consented=len(batch) - forged - len(passed),
        forged=forged,
    )
    return changes


def _by_message(batch: Sequence[Fetch], passed: Sequence[Any]) -> dict[MessageId, _Mail]:
    mails: dict[MessageId, _Mail] = {}
    for place, message_id, campaign_id, tracking, accepted, handed_over, repeated, *state in passed:
        mail = mails.get(message_id)
        if mail is None:
            seen = known.read(*state) if state[0] is not None else None
            mail = mails[message_id] = _Mail(campaign_id, tracking, Letter(accepted, handed_over), seen)
        if repeated:
            mail.repeated += 1
        else:
            mail.fetches.append(batch[place - 1])
    return mails


def _writing(dialect: str, changes: _Changes) -> list[Statement]:
    """Rows, what is known of their messages, figures; one more when figures fall."""
    return [
        _writing_rows(dialect, changes.rows),
        known.writing(dialect, changes.seen),
        *figures.additions(dialect, changes.tally.changes()),
    ]


def _writing_rows(dialect: str, rows: Sequence[tuple[MessageId, Row]]) -> Statement:
    ids = [row.fetch.open_id for _, row in rows]
    if dialect == "postgresql":
        return _STORE_ON_POSTGRESQL, (
            ids,
            [message_id for message_id, _ in rows],
            [row.fetch.at for _, row in rows],
            *([row.sort.columns[place] for _, row in rows] for place in range(3)),
        )
    values = [(message_id, sqlite_text(row.fetch.at), *row.sort.columns) for message_id, row in rows]
    return _STORE_ON_SQLITE, (json.dumps(values), b"".join(ids))
