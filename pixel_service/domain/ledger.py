"""The append-only ledger: what an entry holds, how it is chained, and how state is replayed from it (E1-E3).

The chain covers `content_hash`, not the content: erasure and retention may drop an entry's content and salt
and the chain still verifies. The salt keeps a dropped content from being guessed from its hash.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pixel_service.domain.consent import EVENT_OF, Act, Purpose, State, decide
from pixel_service.domain.errors import LedgerBroken
from pixel_service.domain.messages import SubscriberId

Content = Mapping[str, object]

#: `previous_hash` of the first entry.
GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    #: Position in the chain, from 1, without gaps.
    seq: int
    #: Opaque reference to the person.
    subscriber_id: SubscriberId
    purpose: Purpose
    act: Act
    #: Aware UTC.
    at: datetime
    #: Canonical JSON: wording version and hash, notice version, language, form URL, fields entered. None once dropped.
    content: str | None
    #: Hex, 128 bit. None once the content was dropped.
    salt: str | None
    #: SHA-256 hex over salt and content.
    content_hash: str
    previous_hash: str
    #: SHA-256 hex over everything above but content and salt.
    entry_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry before it has its place in the chain."""

    subscriber_id: SubscriberId
    purpose: Purpose
    act: Act
    at: datetime
    content: Content
    salt: str


def canonical(content: Content) -> str:
    """One spelling for one content (sorted keys, no blanks), so that equal contents hash equally."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def chain(draft: Draft, *, seq: int, previous_hash: str) -> Entry:
    content = canonical(draft.content)
    content_hash = _content_hash(draft.salt, content)
    return Entry(
        seq=seq,
        subscriber_id=draft.subscriber_id,
        purpose=draft.purpose,
        act=draft.act,
        at=draft.at,
        content=content,
        salt=draft.salt,
        content_hash=content_hash,
        previous_hash=previous_hash,
        entry_hash=_entry_hash(seq, draft, content_hash, previous_hash),
    )


def _content_hash(salt: str, content: str) -> str:
    return hashlib.sha256(f"{salt}\n{content}".encode()).hexdigest()


def _entry_hash(seq: int, entry: "Draft | Entry", content_hash: str, previous_hash: str) -> str:
    signed = [seq, entry.subscriber_id, entry.purpose, entry.act, entry.at.isoformat(), content_hash, previous_hash]
    return hashlib.sha256(json.dumps(signed, separators=(",", ":")).encode()).hexdigest()


class ChainCheck:
    """Takes entries in order of `seq`; raises `LedgerBroken` at the first that does not verify.

    A removed last entry is found by comparing `entries` and `head` with what was noted before, not here.
    """

    def __init__(self) -> None:
        self.entries = 0
        self.head = GENESIS

    def add(self, entry: Entry) -> None:
        _verify_one(entry, self.entries + 1, self.head)
        self.entries, self.head = entry.seq, entry.entry_hash


def _verify_one(entry: Entry, expected_seq: int, previous_hash: str) -> None:
    if entry.seq != expected_seq:
        raise LedgerBroken(expected_seq, f"missing, next found is {entry.seq}")
    if entry.previous_hash != previous_hash:
        raise LedgerBroken(entry.seq, "previous_hash does not match the entry before")
    if (entry.content is None) != (entry.salt is None):
        raise LedgerBroken(entry.seq, "content and salt must be dropped together")
    if entry.content is not None and _content_hash(entry.salt or "", entry.content) != entry.content_hash:
        raise LedgerBroken(entry.seq, "content does not match content_hash")
    if _entry_hash(entry.seq, entry, entry.content_hash, entry.previous_hash) != entry.entry_hash:
        raise LedgerBroken(entry.seq, "entry_hash does not match the entry")


def is_intact(entry: Entry) -> bool:
    """Whether one entry is what its own hashes say; its place in the chain, only a walk over all of it tells."""
    try:
        _verify_one(entry, entry.seq, entry.previous_hash)
    except LedgerBroken:
        return False
    return True


class Replay:
    """Takes entries in order of `seq`; `states` is the consent table as the ledger alone tells it (E2)."""

    def __init__(self) -> None:
        self.states: dict[tuple[SubscriberId, Purpose], State] = {}
        #: Whose evidence ended: of the newest entry only hashes are left.
        self.dropped: set[tuple[SubscriberId, Purpose]] = set()

    def add(self, entry: Entry) -> None:
        key = entry.subscriber_id, entry.purpose
        (self.dropped.add if entry.content is None else self.dropped.discard)(key)
        self.states[key] = decide(self.states.get(key, State.UNKNOWN), EVENT_OF[entry.act]).state
