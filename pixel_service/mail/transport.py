"""The one port of the service: something that takes one mail for one recipient and says what became of it.

Outcomes are values, because every caller must handle all three. What an implementation raises is a bug of the caller
(`ValueError`) or a cancellation, never the state of a relay. How often and when to try again is not decided here.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol


async def always() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One mail to one recipient, as the relay gets it. Its repr names nobody, for it may end up in a traceback."""

    #: return path; empty for a mail that must never bounce
    mail_from: str = field(repr=False)
    rcpt_to: str = field(repr=False)
    #: the finished message: every line ends in CRLF, no NUL, not dot-stuffed
    data: bytes = field(repr=False)
    #: asked once more when the relay is ready for the content: False keeps the mail here
    still_wanted: Callable[[], Awaitable[bool]] = field(default=always, repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The relay took responsibility."""

    #: the relay's words, with its queue id where it names one; at most 500 printable characters
    reply: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not delivered for now, or not known to be: try again later with the same Message-ID."""

    #: SMTP reply code; None when no reply came (no connection, silence, lost in the middle)
    code: int | None
    #: the relay's words or the reason in ours; may name the recipient, so it is stored with the mail and never logged
    reply: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The relay will not take this mail for this recipient, now or later."""

    #: SMTP reply code, 500 to 599
    code: int
    #: as in `Deferred`
    reply: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """Not handed over, because it was no longer wanted when the relay was ready."""


Outcome = Accepted | Deferred | Rejected | Withheld


class Transport(Protocol):
    async def send(self, envelope: Envelope) -> Outcome:
        """Hand one mail over. Safe to call from many tasks at once; raises ValueError for a malformed envelope."""
        ...

    async def close(self) -> None:
        """Let go of every connection. Mails already under way finish; sending afterwards is an error."""
        ...
