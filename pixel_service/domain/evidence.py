"""What proves the consents of one person: put together from ledger entries, published texts and the mails that asked (E5).

What courts ask for is the concrete declaration, its text, the mail that asked and the act that answered (BGH I ZR 164/09);
IP addresses prove nothing and are not part of it (E6). Everything here is derived from what is handed in.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pixel_service.domain.checkpoints import Checkpoint
from pixel_service.domain.consent import Act, Purpose, State, is_valid
from pixel_service.domain.ledger import Entry, Replay, is_intact
from pixel_service.domain.messages import MessageId, SignUpId, SubscriberId
from pixel_service.domain.rights import AddressChange
from pixel_service.domain.wordings import text_hash

#: Purpose, version and language of a published text.
TextKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMail:
    """A confirmation mail as it was handed to the relay."""

    message_id: MessageId
    sign_up_id: SignUpId
    subscriber_id: SubscriberId
    sent_at: datetime
    relay_reply: str
    #: Holds a link and an address: never part of a traceback.
    data: bytes = field(repr=False)

    @property
    def hash(self) -> str:
        """SHA-256 in hex; the ledger holds it too."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMail:
    """The same mail as a person reads it."""

    sent: SentMail
    headers: tuple[tuple[str, str], ...]
    text: str
    #: Whether the ledger names exactly these bytes.
    in_ledger: bool
    #: Whether its confirmation link has not expired: until then, whoever has the bytes can act for the person.
    link_lives: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownText:
    """A wording as it was published."""

    text: str
    published_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One ledger entry, read."""

    entry: Entry
    #: Empty once it was dropped.
    content: Mapping[str, object]
    #: Whether entry and content are what their hashes say.
    intact: bool

    def text(self, name: str) -> str:
        """A value of the content, empty where there is none."""
        value = self.content.get(name)
        return value if isinstance(value, str) else ""

    def moment(self, name: str) -> datetime:
        """A time of the content; that of the entry once the content was dropped."""
        return datetime.fromisoformat(self.text(name)) if self.text(name) else self.entry.at

    @property
    def fields(self) -> Mapping[str, object]:
        """What was typed into the form."""
        value = self.content.get("fields")
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreedText:
    version: str
    language: str
    #: As the ledger holds it.
    hash: str
    #: None when the text on file is missing.
    shown: ShownText | None

    @property
    def matches(self) -> bool:
        return self.shown is not None and text_hash(self.shown.text) == self.hash


@dataclass(frozen=True, slots=True, kw_only=True)
class PurposeProof:
    """Everything about one purpose, oldest entry first. What is named singly is the newest of its kind."""

    purpose: Purpose
    state: State
    statements: tuple[Statement, ...]
    text: AgreedText | None

    @property
    def valid(self) -> bool:
        return is_valid(self.state)

    @property
    def requested(self) -> Statement | None:
        return self._newest(Act.REQUESTED)

    @property
    def confirmed(self) -> Statement | None:
        return self._newest(Act.CONFIRMED, Act.RENEWED)

    @property
    def imported(self) -> Statement | None:
        return self._newest(Act.IMPORTED)

    @property
    def confirmed_at(self) -> datetime | None:
        """When the person last said yes, here or where the consent was imported from."""
        if self.confirmed:
            return self.confirmed.entry.at
        return self.imported.moment("confirmed_at") if self.imported else None

    @property
    def refused(self) -> Statement | None:
        return self._newest(Act.REFUSED)

    @property
    def withdrawn(self) -> Statement | None:
        return self._newest(Act.WITHDRAWN)

    @property
    def expired(self) -> Statement | None:
        return self._newest(Act.EXPIRED)

    @property
    def erased(self) -> Statement | None:
        return self._newest(Act.ERASED)

    def _newest(self, *acts: Act) -> Statement | None:
        return next((one for one in reversed(self.statements) if one.entry.act in acts), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What the person's entries hang in."""

    #: Entries of the whole ledger.
    entries: int
    #: The newest signed checkpoint.
    covered: Checkpoint | None
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSince:
    """The person had themselves erased; this evidence is what was kept."""

    sealed_at: datetime
    #: Deleted then.
    ends_at: datetime
    #: False where the seal was altered or its key is not in the settings: then only hashes are left to show.
    opens: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    address: str
    subscriber_id: SubscriberId
    #: When, by whom and why this was put together.
    at: datetime
    by: str
    reason: str
    purposes: tuple[PurposeProof, ...]
    mails: tuple[ReadMail, ...]
    chain: Chain
    #: Confirmed from the new mailbox; what was entered before stands under the address of its time.
    moves: tuple[AddressChange, ...] = ()
    #: None for a person on record.
    sealed: SealedSince | None = None
    #: Of the same address before earlier erasures, newest first.
    earlier: "tuple[Evidence, ...]" = ()

    @property
    def seals_open(self) -> bool:
        """Whether everything that was sealed is shown."""
        return all(one.sealed is None or one.sealed.opens for one in (self, *self.earlier))

    @property
    def statements(self) -> list[Statement]:
        """All entries of the person in the order of the ledger."""
        return sorted((one for proof in self.purposes for one in proof.statements), key=lambda one: one.entry.seq)


def read(entries: Sequence[Entry]) -> list[Statement]:
    return [
        Statement(entry=entry, content=json.loads(entry.content) if entry.content else {}, intact=is_intact(entry))
        for entry in entries
    ]


def texts_named(statements: Sequence[Statement]) -> set[TextKey]:
    """The published texts that these entries point to."""
    return {key for one in statements if (key := _key(one))}


def prove(statements: Sequence[Statement], texts: Mapping[TextKey, ShownText]) -> tuple[PurposeProof, ...]:
    """One proof per purpose, in the order in which the purposes first came up."""
    replay = Replay()
    by_purpose: dict[Purpose, list[Statement]] = {}
    for one in statements:
        replay.add(one.entry)
        by_purpose.setdefault(one.entry.purpose, []).append(one)
    return tuple(
        PurposeProof(
            purpose=purpose,
            state=replay.states[own[0].entry.subscriber_id, purpose],
            statements=tuple(own),
            text=_agreed(own, texts),
        )
        for purpose, own in by_purpose.items()
    )


def names_mail(statements: Sequence[Statement], mail: SentMail) -> bool:
    """Whether an intact entry vouches for exactly these bytes."""
    return any(
        one.intact and one.entry.act is Act.CONFIRMATION_SENT and one.text("mail_hash") == mail.hash
        for one in statements
    )


def _key(one: Statement) -> TextKey | None:
    version, language = one.text("wording_version"), one.text("language")
    return (one.entry.purpose, version, language) if version and language else None


def _agreed(statements: Sequence[Statement], texts: Mapping[TextKey, ShownText]) -> AgreedText | None:
    """The words of the newest consent; where there is none, those of the newest request."""
    with_text = [one for one in statements if _key(one)]
    given = [one for one in with_text if one.entry.act in {Act.CONFIRMED, Act.RENEWED, Act.IMPORTED}]
    if not with_text:
        return None
    chosen = (given or with_text)[-1]
    return AgreedText(
        version=chosen.text("wording_version"),
        language=chosen.text("language"),
        hash=chosen.text("wording_hash"),
        shown=texts.get((chosen.entry.purpose, chosen.text("wording_version"), chosen.text("language"))),
    )
