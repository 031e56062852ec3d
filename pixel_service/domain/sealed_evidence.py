"""Evidence that outlives an erasure: locked away until its time is over, opened only with a stated reason (R12).

GDPR Art. 17(3)(e) lets a sender keep what proves a consent and nothing else. So what the ledger drops of the person, and the
mails that asked, are sealed: AES-256-SIV (RFC 5297), which needs no nonce and takes everything the row says about itself
as associated data. A row that was altered, moved to another person or made to end later does not open. What is inside is
held against the hashes that stay in the ledger, like the content of any entry.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from pixel_service.domain.errors import SealBroken
from pixel_service.domain.evidence import SentMail
from pixel_service.domain.ledger import Entry
from pixel_service.domain.messages import MessageId, SignUpId, SubscriberId
from pixel_service.domain.rights import AddressChange, ChangeId

#: Bytes of secret that a seal takes.
SECRET_LENGTH = 64
_FORMAT = "pixel-service sealed evidence 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What stands legibly on a seal, and is sealed with it."""

    subscriber_id: SubscriberId
    address_hash: str
    sealed_at: datetime
    ends_at: datetime

    def __bytes__(self) -> bytes:
        moments = (at.isoformat() for at in (self.sealed_at, self.ends_at))
        return json.dumps([_FORMAT, self.subscriber_id, self.address_hash, *moments]).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What only the seal holds of a person."""

    address: str
    #: `seq` of a ledger entry -> its content and salt.
    contents: dict[int, tuple[str, str]] = field(repr=False)
    mails: tuple[SentMail, ...] = ()
    #: Confirmed changes of address.
    moves: tuple[AddressChange, ...] = ()

    def restore(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries as they were before their contents were dropped."""
        found = {entry.seq: self.contents.get(entry.seq, (None, None)) for entry in entries}
        return [replace(entry, content=found[entry.seq][0], salt=found[entry.seq][1]) for entry in entries]


def of(address: str, entries: Sequence[Entry], mails: Sequence[SentMail], moves: Sequence[AddressChange] = ()) -> Kept:
    """What was dropped before is not there any more."""
    contents = {one.seq: (one.content, one.salt) for one in entries if one.content is not None and one.salt is not None}
    return Kept(address=address, contents=contents, mails=tuple(mails), moves=tuple(moves))


def seal(secret: bytes, label: Label, kept: Kept) -> bytes:
    """`secret` has `SECRET_LENGTH` bytes."""
    mails = [
        asdict(one) | {"sent_at": one.sent_at.isoformat(), "data": b64encode(one.data).decode()} for one in kept.mails
    ]
    moves = [{name: _text(value) for name, value in asdict(one).items()} for one in kept.moves]
    plain = {"address": kept.address, "contents": list(kept.contents.items()), "mails": mails, "moves": moves}
    return AESSIV(secret).encrypt(json.dumps(plain, ensure_ascii=False).encode(), [bytes(label)])


def unseal(secrets: Sequence[bytes], label: Label, data: bytes) -> Kept:
    """By whichever secret sealed it. Raises `SealBroken`."""
    for secret in secrets:
        try:
            plain = AESSIV(secret).decrypt(data, [bytes(label)])
        except (InvalidTag, ValueError):
            continue
        return _read(json.loads(plain))
    raise SealBroken(label.subscriber_id)


def _read(plain: dict[str, Any]) -> Kept:
    return Kept(
        address=plain["address"],
        contents={seq: (content, salt) for seq, (content, salt) in plain["contents"]},
        mails=tuple(_mail(one) for one in plain["mails"]),
        moves=tuple(_move(one) for one in plain["moves"]),
    )


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _move(plain: dict[str, str]) -> AddressChange:
    return AddressChange(
        change_id=ChangeId(plain["change_id"]),
        subscriber_id=SubscriberId(plain["subscriber_id"]),
        address=plain["address"],
        previous_address=plain["previous_address"],
        asked_at=datetime.fromisoformat(plain["asked_at"]),
        expires_at=datetime.fromisoformat(plain["expires_at"]),
        confirmed_at=datetime.fromisoformat(plain["confirmed_at"]),
    )


def _mail(plain: dict[str, Any]) -> SentMail:
    return SentMail(
        message_id=MessageId(plain["message_id"]),
        sign_up_id=SignUpId(plain["sign_up_id"]),
        subscriber_id=SubscriberId(plain["subscriber_id"]),
        sent_at=datetime.fromisoformat(plain["sent_at"]),
        relay_reply=plain["relay_reply"],
        data=b64decode(plain["data"]),
    )
