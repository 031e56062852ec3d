"""The transaction that stores opens: the hot path (DESIGN rules 3, 4).

What must hold: an open is inserted only if consent stands in the very transaction that inserts it (P3), and stood already
when it happened: what waited while consent was away is not let in by a consent given since. What is known of a message and
the figures change with its rows.
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
from pixel_service.storage.dialect import straight
from pixel_service.storage.engine import Connection

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
#: $2 are the people whose consent is locked and valid.
_LOCK_MESSAGES = """
SELECT messages.message_id FROM messages
WHERE messages.message_id IN (SELECT pixels.message_id FROM pixels
  WHERE pixels.pixel_id = ANY ($1::varchar[]) AND pixels.subscriber_id = ANY ($2::varchar[]))
ORDER BY messages.message_id
FOR NO KEY UPDATE
"""
#: What may be stored, with what is known of its message. $5 are the messages that are locked.
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
WHERE pixels.subscriber_id = ANY ($4::varchar[]) AND pixels.message_id = ANY ($5::varchar[])
  AND asked.at >= consents.decided_at AND asked.at < pixels.closes_at
ORDER BY asked.place
"""  # noqa: S608  the only insertions are constants of the domain
#: The emitted message is a WAL record that nobody reads; it makes the commit flush.
_STORE_ON_POSTGRESQL = f"""
WITH stored AS (
  INSERT INTO opens (open_id, message_id, opened_at, verdict, reason, client_family, rules)
  SELECT seen.*, {RULES_VERSION}
  FROM unnest($1::bytea[], $2::varchar[], $3::timestamptz[], $4::varchar[], $5::varchar[], $6::varchar[]) AS seen
)
SELECT pg_logical_emit_message(true, 'pixel-service', '')
"""  # noqa: S608  the only insertion is a constant of the domain
#: One statement for the batch, not executemany: each row would hand the interpreter's lock to and fro.
#: JSON has no bytes, so the ids travel beside it, 16 bytes each. CROSS JOIN keeps the order of look-ups.
_PASS_ON_SQLITE = f"""
SELECT asked.key + 1, messages.message_id, messages.campaign_id, messages.tracking,
  CAST(strftime('%s', substr(messages.sent_at, 1, 19)) AS INTEGER),
  CAST(strftime('%s', substr(pixels.handed_over_at, 1, 19)) AS INTEGER),
  EXISTS (SELECT 1 FROM opens WHERE opens.open_id = substr(?2, 1 + 16 * asked.key, 16)),
  message_opens.standing, message_opens.sessions, message_opens.first_human_at, message_opens.times
FROM json_each(?1) AS asked
CROSS JOIN pixels ON pixels.pixel_id = json_extract(asked.value, '$[0]')
CROSS JOIN consents ON consents.subscriber_id = pixels.subscriber_id
CROSS JOIN messages ON messages.message_id = pixels.message_id
LEFT JOIN message_opens ON message_opens.message_id = messages.message_id
WHERE {_CONSENT}
  AND json_extract(asked.value, '$[1]') >= consents.decided_at
  AND json_extract(asked.value, '$[1]') < pixels.closes_at
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
    #: Genuine, but consent or mapping is gone, or the recording window is over.
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


async def store(connection: Connection, batch: Sequence[Fetch]) -> Stored:
    """Insert what may be stored. A batch stored before changes nothing again."""
    if not batch:
        return Stored()
    if connection.dialect.name == "postgresql":
        passed = await _pass_on_postgresql(connection, batch)
    else:
        passed = await _pass_on_sqlite(connection, batch)
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
    await _write(connection, changes.rows)
    await known.write(connection, changes.seen)
    await figures.add(connection, changes.tally.changes())
    forged = sum([fetch.pixel_id is None for fetch in batch])
    return Stored(
        recorded=recorded,
        collapsed=collapsed,
        over_limit=over_limit,
        not_consented=len(batch) - forged - len(passed),
        forged=forged,
    )


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


async def _pass_on_postgresql(connection: Connection, batch: Sequence[Fetch]) -> Sequence[Any]:
    pixel_ids = [fetch.pixel_id or "" for fetch in batch]
    consenting = [row[0] for row in await straight(connection, _LOCK_CONSENTS, (pixel_ids,))]
    locked = [row[0] for row in await straight(connection, _LOCK_MESSAGES, (pixel_ids, consenting))]
    ids, times = [fetch.open_id for fetch in batch], [fetch.at for fetch in batch]
    return await straight(connection, _PASS_ON_POSTGRESQL, (ids, pixel_ids, times, consenting, locked))


async def _pass_on_sqlite(connection: Connection, batch: Sequence[Fetch]) -> Sequence[Any]:
    asked = [(fetch.pixel_id or "", sqlite_text(fetch.at)) for fetch in batch]
    ids = b"".join([fetch.open_id for fetch in batch])
    await straight(connection, _TOUCH_SQLITE)
    return await straight(connection, _PASS_ON_SQLITE, (json.dumps(asked), ids))


async def _write(connection: Connection, rows: Sequence[tuple[MessageId, Row]]) -> None:
    ids = [row.fetch.open_id for _, row in rows]
    if connection.dialect.name == "postgresql":
        columns = (
            ids,
            [message_id for message_id, _ in rows],
            [row.fetch.at for _, row in rows],
            *([row.sort.columns[place] for _, row in rows] for place in range(3)),
        )
        await straight(connection, _STORE_ON_POSTGRESQL, columns)
        return
    values = [(message_id, sqlite_text(row.fetch.at), *row.sort.columns) for message_id, row in rows]
    await straight(connection, _STORE_ON_SQLITE, (json.dumps(values), b"".join(ids)))
