"""A relay that can do everything relays do, and the mails it took, read from their bytes as a recipient could."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as modern
from typing import Protocol

from pixel_service.mail.transport import Accepted, Deferred, Envelope, Outcome, Rejected, Withheld
from tests.access import Clock
from tests.builders import BASE_URL
from tests.journeys.consent_model import TRACKING

_URL = re.compile(rf"{re.escape(BASE_URL)}/([a-z])/([^\s\"'<>)?]+)")
_BOUNCE = re.compile(r"bounce-([a-z2-7]{26})@")


@dataclass(slots=True)
class Mail:
    """A mail the relay took, as bytes; everything else is read from them."""

    address: str
    #: Of the return path: which message of the outbox this is.
    message: str
    message_id: str
    #: None for service mail.
    purpose: str | None
    campaign: str | None
    subject: str
    #: kind of link -> tokens
    links: dict[str, list[str]]
    handed_over_at: datetime
    #: How often everything measured of this person had been erased by then.
    generation: int


def read_mail(envelope: Envelope, at: datetime, generation: int) -> Mail:
    parsed = BytesParser(policy=modern).parsebytes(envelope.data)
    assert isinstance(parsed, EmailMessage)
    parts = [part.get_content() for part in parsed.walk() if part.get_content_maintype() == "text"]
    text = " ".join([*(str(value) for value in parsed.values()), *parts]).replace("&amp;", "&")
    links: dict[str, list[str]] = {}
    for kind, token in _URL.findall(text):
        if token not in links.setdefault(kind, []):
            links[kind].append(token)
    bounce = _BOUNCE.match(envelope.mail_from)
    assert bounce is not None
    list_id = str(parsed.get("List-Id", ""))
    slug = list_id.strip("<>").partition(".")[0]
    return Mail(
        address=envelope.rcpt_to,
        message=bounce[1],
        message_id=str(parsed["Message-ID"]),
        purpose=f"newsletter:{slug}" if slug else None,
        campaign=str(parsed["Feedback-ID"]).partition(":")[0] if slug else None,
        subject=str(parsed["Subject"]),
        links=links,
        handed_over_at=at,
        generation=generation,
    )


class Permissions(Protocol):
    """What the relay asks a model."""

    #: address -> how often everything measured of them was erased.
    erasures: Counter[str]
    #: Messages that must never be handed over.
    buried: set[str]

    def agrees(self, address: str, purpose: str) -> bool: ...


class WorkerDied(Exception):
    """Told to the test, never to the service."""


@dataclass(slots=True)
class Relay:
    """Takes mail as planned: "accept", "defer", "reject", or "die": it takes the mail, and the worker is no more."""

    model: Permissions
    clock: Clock
    plan: list[str] = field(default_factory=list)
    #: Happens once: `early` while the relay is being connected to, else while it has the mail.
    meanwhile: Callable[[], Awaitable[None]] | None = None
    early: bool = False
    taken: list[Mail] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    worker: "asyncio.Task[int] | None" = None
    died: bool = False

    async def send(self, envelope: Envelope) -> Outcome:
        if self.early:
            await self._let_happen()
        if not await envelope.still_wanted():
            return Withheld()
        mail = read_mail(envelope, self.clock(), self.model.erasures[envelope.rcpt_to])
        self._look_at(mail)
        await self._let_happen()
        answer = self.plan.pop(0) if self.plan else "accept"
        match answer:
            case "defer":
                return Deferred(450, "450 4.2.0 not now")
            case "reject":
                return Rejected(550, "550 5.1.1 nobody here")
        self.taken.append(mail)
        if answer == "die":
            self.died = True
            assert self.worker is not None
            self.worker.cancel()
            await asyncio.Event().wait()
        return Accepted("250 2.0.0 taken")

    async def _let_happen(self) -> None:
        if self.meanwhile is not None:
            happening, self.meanwhile = self.meanwhile, None
            await happening()

    async def close(self) -> None:
        return

    def _look_at(self, mail: Mail) -> None:
        """At the moment of hand-over, whatever the relay says then."""
        agrees = self.model.agrees
        if mail.message in self.model.buried:
            self.violations.append("an erased person got mail")
        if mail.purpose is not None and not agrees(mail.address, mail.purpose):
            self.violations.append(f"{mail.purpose} was handed over without consent")
        measured = {"o", "t"} & mail.links.keys()
        if measured and (mail.purpose is None or not agrees(mail.address, TRACKING)):
            self.violations.append(f"a mail without tracking consent carried {measured}")
        if len(mail.links.get("o", [])) > 1:
            self.violations.append("two pixels in one mail")
