"""Consent records after ISO/IEC TS 27560: one person, every purpose apart, every act with its text and its time (E7).

Built from ledger entries alone, so a record says what the ledger proves and nothing more. It holds no address: the
person is an opaque id, of what was typed only the names of the fields are kept. How a record looks as JSON-LD is in
`receipt_document.py`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pixel_service.domain.consent import EVENT_OF, Act, Purpose, State, decide, kind_of
from pixel_service.domain.ledger import Entry
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.wordings import Catalogue, Language


class Status(StrEnum):
    """The consent states of the W3C Data Privacy Vocabulary that we use."""

    UNKNOWN = "ConsentUnknown"
    REQUESTED = "ConsentRequested"
    GIVEN = "ConsentGiven"
    RENEWED = "RenewedConsentGiven"
    REFUSED = "ConsentRefused"
    WITHDRAWN = "ConsentWithdrawn"
    EXPIRED = "ConsentExpired"
    #: The class of all states that allow nothing: DPV has none for a consent that is kept and must not be used for now.
    UNUSABLE = "ConsentStatusInvalidForProcessing"


#: The only ones DPV calls valid for processing.
VALID_STATUSES = frozenset({Status.GIVEN, Status.RENEWED})

_OF_STATE: Mapping[State, Status] = {
    State.REQUESTED: Status.REQUESTED,
    State.GIVEN: Status.GIVEN,
    State.RENEWED: Status.RENEWED,
    State.REFUSED: Status.REFUSED,
    State.WITHDRAWN: Status.WITHDRAWN,
    State.EXPIRED: Status.EXPIRED,
    State.RESTRICTED: Status.UNUSABLE,
    # Both are the person's own no; what else they ask for is told by the act.
    State.OBJECTED: Status.WITHDRAWN,
    State.ERASED: Status.WITHDRAWN,
}
#: What an act says by itself. One that is not here says what the state says after it: a restriction of what was never
#: given leaves it at that, and its end brings back what stood before.
_OF_ACT: Mapping[Act, Status] = {
    Act.REQUESTED: Status.REQUESTED,
    Act.CONFIRMATION_SENT: Status.REQUESTED,
    Act.CONFIRMED: Status.GIVEN,
    Act.RENEWED: Status.RENEWED,
    Act.REFUSED: Status.REFUSED,
    Act.WITHDRAWN: Status.WITHDRAWN,
    Act.EXPIRED: Status.EXPIRED,
    Act.OBJECTED: Status.WITHDRAWN,
    Act.ERASED: Status.WITHDRAWN,
    Act.IMPORTED: Status.GIVEN,
}
#: Acts that do not come from the person. A request does not either: whoever typed the address has proven nothing yet.
_NOT_BY_THE_PERSON = frozenset({"requested", "confirmation_sent", "expired", "imported"})
_KINDS = frozenset({"newsletter", "whitepaper", "tracking"})
#: Only codes of ours: free text could name a person.
_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
#: BCP 47: a language nobody noted.
UNDETERMINED = "und"


def status_of(state: State) -> Status:
    """Doubt is "unknown", and unknown means no (E8)."""
    return _OF_STATE.get(state, Status.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownText:
    """An exact text a person was shown."""

    #: What was asked; None for the privacy notice.
    purpose: Purpose | None
    version: str
    language: str
    #: SHA-256, hex; None when nothing proves it.
    hash: str | None = None
    #: The words themselves, where they hash to `hash`. Not for the privacy notice: it is long and public.
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentEvent:
    #: The ledger entry, and its hash in the chain.
    seq: int
    entry_hash: str
    act: Act
    status: Status
    #: Aware UTC.
    at: datetime
    #: By the person, else by the controller.
    by_person: bool
    #: Code of how it was said, e.g. ``confirm_page``.
    method: str
    #: Of the form, without its query; None when it was not a form.
    page: str | None
    shown: tuple[ShownText, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentProcess:
    """One purpose with its own life (S2)."""

    purpose: Purpose
    label: str
    #: Now; the last event alone does not say, because a typed request never touches a choice on record.
    status: Status
    #: Names of the optional fields a person filled in; no values.
    fields: tuple[str, ...]
    #: In order of the ledger; never empty.
    events: tuple[ConsentEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRecord:
    subject: SubscriberId
    #: Never empty.
    processes: tuple[ConsentProcess, ...]

    @property
    def identifier(self) -> str:
        """Whose record, and as of which ledger entry: the same history has the same record."""
        return f"{self.subject}-{max(event.seq for process in self.processes for event in process.events)}"

    @property
    def shown(self) -> tuple[ShownText, ...]:
        """Every text once, in the order they were shown."""
        events = sorted((event for process in self.processes for event in process.events), key=lambda event: event.seq)
        return tuple(dict.fromkeys(text for event in events for text in event.shown))


def build_record(subject: SubscriberId, entries: Iterable[Entry], catalogue: Catalogue) -> ConsentRecord | None:
    """`entries` of that person in order of the ledger. None when they are about no purpose."""
    by_purpose: dict[Purpose, list[Entry]] = {}
    for entry in entries:
        if kind_of(entry.purpose) in _KINDS:
            by_purpose.setdefault(entry.purpose, []).append(entry)
    if not by_purpose:
        return None
    processes = tuple(_process(purpose, acts, catalogue) for purpose, acts in by_purpose.items())
    return ConsentRecord(subject=subject, processes=processes)


def _process(purpose: Purpose, entries: list[Entry], catalogue: Catalogue) -> ConsentProcess:
    state, events = State.UNKNOWN, []
    fields: dict[str, None] = {}
    for entry in entries:
        state = decide(state, EVENT_OF[entry.act]).state
        content = _content(entry)
        events.append(_event(entry, content, state, catalogue))
        typed = content.get("fields")
        fields |= dict.fromkeys(typed if isinstance(typed, dict) else ())
    languages = [text.language for event in events for text in event.shown]
    return ConsentProcess(
        purpose=purpose,
        label=catalogue.label(purpose, languages[-1] if languages else catalogue.languages[0]),
        status=status_of(state),
        fields=tuple(name for name in fields if name != "address"),
        events=tuple(events),
    )


def _event(entry: Entry, content: Mapping[str, object], state: State, catalogue: Catalogue) -> ConsentEvent:
    page = _page(_text(content, "form_url"))
    return ConsentEvent(
        seq=entry.seq,
        entry_hash=entry.entry_hash,
        act=entry.act,
        status=_OF_ACT.get(entry.act, status_of(state)),
        at=entry.at,
        by_person=entry.act.value not in _NOT_BY_THE_PERSON,
        method=_method(entry.act, _text(content, "source"), page),
        page=page,
        shown=tuple(_shown(entry.purpose, content, catalogue)),
    )


def _content(entry: Entry) -> Mapping[str, object]:
    """Empty once retention or erasure dropped it: then the act and its time are all that is known."""
    content = json.loads(entry.content) if entry.content is not None else {}
    return content if isinstance(content, dict) else {}


def _text(content: Mapping[str, object], name: str) -> str | None:
    value = content.get(name)
    return value if isinstance(value, str) and value else None


def _method(act: Act, source: str | None, page: str | None) -> str:
    if source is not None and _CODE.fullmatch(source):
        return source
    return "form" if page else act.value


def _page(form_url: str | None) -> str | None:
    """A site's own form may carry an address in its query, or anywhere."""
    page = form_url.partition("?")[0].partition("#")[0] if form_url else ""
    return None if not page or "@" in page or "%40" in page else page


def _shown(purpose: Purpose, content: Mapping[str, object], catalogue: Catalogue) -> Iterable[ShownText]:
    noted = _text(content, "language") or ""
    language = noted if _LANGUAGE.fullmatch(noted) else UNDETERMINED
    if version := _text(content, "wording_version"):
        yield _wording(purpose, version, language, _text(content, "wording_hash"), catalogue)
    if version := _text(content, "notice_version"):
        notice = catalogue.notices.get((version, catalogue.language(language)))
        yield ShownText(
            purpose=None,
            version=version,
            language=notice.language if notice else language,
            hash=notice.hash if notice else None,
        )


def _wording(purpose: Purpose, version: str, language: str, noted: str | None, catalogue: Catalogue) -> ShownText:
    """A form in a language without texts shows the first one: the hash in the ledger tells which words they were."""
    for spoken in (Language(language), catalogue.language(language)):
        known = catalogue.wordings.get((purpose, version, spoken))
        if known and known.hash == noted:
            return ShownText(purpose=purpose, version=version, language=spoken, hash=noted, text=known.text)
    return ShownText(purpose=purpose, version=version, language=language, hash=noted)
