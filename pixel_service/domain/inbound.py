"""What an incoming mail asks of us (W6, D9): pure, total, and in doubt a person decides.

A withdrawal is harmless and must be as easy as consent (GDPR Art. 7(3)), so a signed link or clear words act at once.
Words count only in what the sender wrote above the quotation; how a sentence is read is in removal_words.py. Everything
that is neither clear nor a machine's goes to the operator's list, never to the bin. Not here: MIME (mail/parse.py) and
who the sender is (usecases/receive_mail.py).
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from pixel_service.domain.messages import MessageId
from pixel_service.domain.removal_words import Asked, Scope, read_words

__all__ = ["Scope"]

MAX_EXCERPT = 2000
MAX_SUBJECT = 200

_TOKEN = re.compile(r"[a-z2-7]{40,300}")
_IDENTITY = re.compile(r"[a-z2-7]{26}")
#: A link or an id of ours, and one that mail programs broke into short pieces, quoted-printable and quotation marks included.
_SECRET = re.compile(r"[a-z2-7]{26,}")
_BROKEN_SECRET = re.compile(r"[a-z2-7](?:(?:=?[ \t]*\n[ \t>|]*)?[a-z2-7]){25,}")
#: Characters of a secret that stay, to compare two by eye; at least 90 bits of each are gone.
_SHOWN = 8
_DIGIT = re.compile(r"[2-7]")
#: A subject that answers or forwards is ours, not the sender's words.
_ANSWER = re.compile(r"\s*(re|aw|antw|antwort|wg|fw|fwd|sv|vs)\s*(\[\d+\])?\s*:", re.IGNORECASE)
_MACHINE_PRECEDENCE = frozenset({"bulk", "junk", "list", "auto_reply"})


class Kind(StrEnum):
    """What sort of mail its structure says it is."""

    LETTER = "letter"
    #: multipart/report: a bounce (RFC 3464) or a complaint (RFC 5965).
    REPORT = "report"
    #: A read receipt (RFC 8098).
    READ_RECEIPT = "read_receipt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A mail as far as it can be read: bounded, free of control characters, header names long gone."""

    #: Message-ID, without angle brackets; empty when there is none.
    message_id: str
    #: The address in From; empty when there is none, or none that can be read.
    sender: str
    subject: str
    #: As the sender dated it; only to tell two mails apart.
    date: str
    #: What a reader would see first, quotation included.
    text: str
    #: Whom it was delivered and addressed to, lower-case, envelope first.
    recipients: tuple[str, ...]
    #: Message-IDs it answers, nearest first.
    references: tuple[str, ...]
    kind: Kind = Kind.LETTER
    auto_submitted: str = ""
    precedence: str = ""
    #: List-Id, or one of the headers that only auto-responders write.
    has_machine_header: bool = False
    #: The envelope's sender, or Return-Path, is there and empty.
    has_empty_return_path: bool = False
    #: Something in it could not be decoded: its words prove nothing.
    broken: bool = False

    @property
    def heading(self) -> str:
        """The subject, as the operator's list shows it."""
        return _without_secrets(self.subject)

    @property
    def excerpt(self) -> str:
        """What the operator's list shows of the text."""
        return _without_secrets(self.text.strip())[:MAX_EXCERPT]


def _without_secrets(text: str) -> str:
    """Who answers a mail of ours quotes its links: whoever reads the answer must not be able to open that person's pages.

    Words at the ends of two lines are no secret; one that is broken into pieces tells itself by a digit."""
    shortened = _SECRET.sub(lambda found: _short(found[0]), text)
    return _BROKEN_SECRET.sub(lambda found: _short(found[0]) if _DIGIT.search(found[0]) else found[0], shortened)


def _short(secret: str) -> str:
    return f"{secret[:_SHOWN]}…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What is ours: by it a mail proves what it is about."""

    #: Domain of our Message-IDs and return paths.
    mail_domain: str
    unsubscribe_address: str
    #: Whether a token is an unsubscribe link we signed.
    is_genuine: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Carries a link we signed: as if it had been pressed."""

    token: str


@dataclass(frozen=True, slots=True)
class RemoveMe:
    """Clear words. `answers` names the mails of ours it may answer, the surest first."""

    scope: Scope
    answers: tuple[MessageId, ...]
    #: It also asks something that a person must answer.
    needs_answer: bool


@dataclass(frozen=True, slots=True)
class BounceLater:
    """A delivery report."""


@dataclass(frozen=True, slots=True)
class AutoReply:
    """Written by a machine: nobody asked for anything."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """For a person to read."""

    answers: tuple[MessageId, ...]


Verdict = Unsubscribe | RemoveMe | BounceLater | AutoReply | Unclear


def fingerprint(mail: Parsed, verdict: Verdict) -> str:
    """One for each mail and each link it carries, however often and by whichever way it is delivered. Mails that programs
    send to ``stop+token@`` for two people may differ in nothing but that link."""
    link = verdict.token if isinstance(verdict, Unsubscribe) else ""
    told_apart = (mail.message_id, mail.sender, mail.date, mail.subject, mail.text, link)
    return hashlib.sha256("\0".join(told_apart).encode()).hexdigest()


def classify(mail: Parsed, own: Own) -> Verdict:
    """A signed link decides alone, whoever sends it: mail programs and providers send these by themselves."""
    for token in _tokens(mail):
        if own.is_genuine(token):
            return Unsubscribe(token)
    if mail.kind is Kind.REPORT:
        return BounceLater()
    if mail.kind is Kind.READ_RECEIPT or _is_automatic(mail):
        return AutoReply()
    return _read(mail, own)


def _tokens(mail: Parsed) -> Iterator[str]:
    """In the subject (List-Unsubscribe) or in the extension of a recipient: ``stop+token@``."""
    yield from _TOKEN.findall(mail.subject.lower())
    for recipient in mail.recipients:
        yield from _TOKEN.findall(recipient.rpartition("@")[0])


def _is_automatic(mail: Parsed) -> bool:
    """RFC 3834, and what programs wrote before it."""
    return (
        mail.auto_submitted not in {"", "no"}
        or mail.precedence in _MACHINE_PRECEDENCE
        or mail.has_machine_header
        or mail.has_empty_return_path
    )


def _read(mail: Parsed, own: Own) -> RemoveMe | Unclear:
    answers = tuple(dict.fromkeys(_answered(mail, own)))
    if mail.broken:
        return Unclear(answers)
    subject = "" if _ANSWER.match(mail.subject) else mail.subject
    asked = read_words(subject, mail.text)
    if asked is None and not subject.strip() and not mail.text.strip() and _is_to_unsubscribe(mail, own):
        # An empty mail to an address that is there for nothing else.
        asked = Asked(Scope.MAIL, needs_answer=False)
    return RemoveMe(asked.scope, answers, asked.needs_answer) if asked else Unclear(answers)


def _is_to_unsubscribe(mail: Parsed, own: Own) -> bool:
    return own.unsubscribe_address.lower() in mail.recipients


def _answered(mail: Parsed, own: Own) -> Iterator[MessageId]:
    """A message's id is 128 random bits that only its recipient was told, so naming it proves what the mail is about:
    as our return path ``bounce-<id>@``, or as our Message-ID ``<id>@`` in the headers of an answer."""
    yield from _ours(mail.recipients, own.mail_domain, prefix="bounce-")
    yield from _ours(mail.references, own.mail_domain, prefix="")


def _ours(names: Iterable[str], domain: str, *, prefix: str) -> Iterator[MessageId]:
    for name in names:
        local, _, host = name.lower().rpartition("@")
        identity = local.removeprefix(prefix)
        if host == domain.lower() and local.startswith(prefix) and _IDENTITY.fullmatch(identity):
            yield MessageId(identity)
