"""One's own data in words: what we hold, what was agreed, each mail with its opens, who else gets it, and for how long (R1).

The same document is the page of the person and the command of a colleague who answers a letter.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from pixel_service.domain.consent import Act, is_valid
from pixel_service.domain.evidence import PurposeProof, Statement
from pixel_service.domain.evidence_document import Document, Fact, Quote, Section, Step
from pixel_service.domain.figures import Standing
from pixel_service.domain.personal_data import Mail, Open, PersonalData
from pixel_service.i18n import format_moment, language_name
from pixel_service.usecases.context import Context
from pixel_service.usecases.privacy_words import (
    FIELDS,
    KINDS,
    MEASURED,
    OWN_MAILS,
    SALUTATIONS,
    STANDINGS,
    STATES,
    STATUSES,
    VERDICTS,
)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Says things in one language."""

    ctx: Context
    language: str

    def say(self, message: str, **values: object) -> str:
        said = self.ctx.catalogues.translations(self.language).gettext(message)
        return said % values if values else said

    def moment(self, at: datetime) -> str:
        return format_moment(at, self.language, ZoneInfo(self.ctx.policy.timezone))


def document(ctx: Context, held: PersonalData, language: str) -> Document:
    writer = _Writer(ctx, language)
    return Document(
        title=writer.say("What we hold about %(address)s", address=held.person.address),
        facts=(
            Fact(writer.say("Controller"), f"{ctx.company.name}, {ctx.company.address}"),
            Fact(
                writer.say("Data protection officer"),
                f"{ctx.company.data_protection_officer}, {ctx.company.privacy_email}",
            ),
            Fact(writer.say("Supervisory authority"), ctx.company.supervisory_authority),
            Fact(
                writer.say("Your rights"),
                writer.say("access, correction, erasure, restriction, a copy, objection, withdrawal, and a complaint"),
            ),
            Fact(writer.say("As of"), writer.moment(held.at)),
        ),
        sections=(
            _person(writer, held),
            *(_agreed(writer, proof, held.since.get(proof.purpose)) for proof in held.purposes),
            _mails(writer, held),
            *_letters(writer, held),
            *_requests(writer, held),
            *_looks(writer, held),
            _recipients(writer),
            _periods(writer),
        ),
    )


# --- the person ---------------------------------------------------------------


def _person(writer: _Writer, held: PersonalData) -> Section:
    return Section(title=writer.say("About you"), facts=tuple(_person_facts(writer, held)))


def _person_facts(writer: _Writer, held: PersonalData) -> Iterator[Fact]:
    person = held.person
    yield Fact(writer.say("E-mail address"), person.address)
    for name, value in person.profile.given().items():
        said = writer.say(SALUTATIONS[value]) if name == "salutation" and value in SALUTATIONS else value
        yield Fact(writer.say(FIELDS[name]), said)
    for change in held.address_changes:
        told = {"old": change.previous_address, "new": change.address}
        if change.confirmed_at:
            said = writer.say("%(old)s until %(moment)s", moment=writer.moment(change.confirmed_at), **told)
            yield Fact(writer.say("Earlier address"), said)
        else:
            said = writer.say("%(new)s, since %(moment)s", moment=writer.moment(change.asked_at), **told)
            yield Fact(writer.say("Address you asked for and did not confirm"), said)
    if person.language:
        yield Fact(writer.say("Language"), language_name(person.language))
    yield Fact(writer.say("Stored since"), writer.moment(person.created_at))
    if person.last_mailed_at:
        yield Fact(writer.say("Last mail that is no longer listed"), writer.moment(person.last_mailed_at))
    if person.restricted_at:
        yield Fact(writer.say("Kept and not used, as you wished, since"), writer.moment(person.restricted_at))
    if person.objected_at:
        yield Fact(writer.say("You object to advertising since"), writer.moment(person.objected_at))
    yield Fact(writer.say("Your number with us"), person.subscriber_id, exact=True)


# --- what was agreed ----------------------------------------------------------


def _agreed(writer: _Writer, proof: PurposeProof, since: datetime | None) -> Section:
    label = writer.ctx.catalogue.label(proof.purpose, writer.language)
    text = proof.text
    if is_valid(proof.state) or proof.confirmed:
        title = writer.say("The words you agreed to")
    else:
        title = writer.say("The words of the form")
    return Section(
        title=writer.say("Your choice: %(label)s", label=label),
        facts=(
            Fact(writer.say("State"), writer.say(STATES[proof.state])),
            *((Fact(writer.say("Since"), writer.moment(since)),) if since else ()),
            *_agreed_facts(writer, proof),
        ),
        quotes=(Quote(title, text.shown.text),) if text and text.shown else (),
    )


def _agreed_facts(writer: _Writer, proof: PurposeProof) -> Iterator[Fact]:
    if asked := proof.requested:
        yield Fact(writer.say("Asked for on"), writer.moment(asked.entry.at))
        yield Fact(writer.say("Source (form)"), asked.text("form_url"), exact=True)
    if given := proof.confirmed:
        yield Fact(writer.say("Confirmed by you on"), writer.moment(given.entry.at))
    for one in proof.statements:
        if one.entry.act is Act.IMPORTED:
            yield Fact(writer.say("Source (taken over on)"), writer.moment(one.entry.at))
            yield from _imported(writer, one)
    if proof.text:
        yield Fact(writer.say("Version of the words"), f"{proof.text.version} ({proof.text.language})")


def _imported(writer: _Writer, one: Statement) -> Iterator[Fact]:
    """What was given elsewhere, as far as the evidence of its row is still kept."""
    if one.content:
        yield Fact(writer.say("Source (from)"), one.text("origin"))
        yield Fact(writer.say("Source (form)"), one.text("form_url"), exact=True)
        yield Fact(writer.say("Asked for on"), writer.moment(datetime.fromisoformat(one.text("requested_at"))))
        yield Fact(writer.say("Confirmed by you on"), writer.moment(datetime.fromisoformat(one.text("confirmed_at"))))


# --- mails and opens ------------------------------------------------------------


def _mails(writer: _Writer, held: PersonalData) -> Section:
    counts = held.counts
    told = [writer.say("Mails: %(mails)s, opens: %(opens)s.", mails=counts.mails, opens=counts.opens)]
    if counts.mails > len(held.mails):
        told.append(
            writer.say("Here you see the newest %(shown)s; the download has all of them.", shown=len(held.mails))
        )
    if not counts.opens:
        told.append(writer.say("No open of yours is stored."))
    return Section(
        title=writer.say("Mails to you, and your opens"),
        paragraphs=tuple(told),
        steps=tuple(_mail(writer, one) for one in held.mails),
    )


def _mail(writer: _Writer, mail: Mail) -> Step:
    at = writer.moment(mail.sent_at or mail.queued_at)
    return Step(f"{_name(writer, mail)}, {at}", tuple(_mail_facts(writer, mail)))


def _name(writer: _Writer, mail: Mail) -> str:
    """The subject as it was written, unless it is filled in per person: those values are no longer kept."""
    if mail.template:
        return writer.say(OWN_MAILS.get(mail.template, mail.template))
    if mail.subject and "{" not in mail.subject:
        return mail.subject
    return mail.campaign or writer.say("Mail")


def _mail_facts(writer: _Writer, mail: Mail) -> Iterator[Fact]:
    yield Fact(writer.say("State"), writer.say(STATUSES[mail.status]))
    if mail.campaign:
        yield Fact(writer.say("Mailing"), mail.campaign)
    yield Fact(writer.say("Measured"), writer.say(MEASURED[mail.tracking]))
    for one in mail.opens:
        yield Fact(writer.say("Opened: images loaded"), _open(writer, one))
    if mail.standing is not None:
        yield Fact(writer.say("Counted"), _counted(writer, mail.standing, mail.sessions))


def _counted(writer: _Writer, standing: Standing, sessions: int) -> str:
    told = writer.say(STANDINGS[standing])
    return f"{told}; {writer.say('times: %(times)s', times=sessions)}" if sessions else told


def _open(writer: _Writer, one: Open) -> str:
    """When, by whom as far as it can be told, with what, and the rule that says so."""
    parts = (writer.moment(one.at), writer.say(VERDICTS[one.verdict]), one.client_family)
    rule = writer.say("rule: %(rule)s", rule=one.reason)
    return f"{'; '.join(filter(None, parts))} ({rule})"


# --- letters, requests, looks -----------------------------------------------------


def _letters(writer: _Writer, held: PersonalData) -> Iterator[Section]:
    if held.letters:
        steps = tuple(
            Step(
                one.subject or writer.say("Mail without a subject"),
                (
                    Fact(writer.say("Received"), writer.moment(one.received_at)),
                    Fact(
                        writer.say("Dealt with"), writer.moment(one.done_at) if one.done_at else writer.say("not yet")
                    ),
                ),
            )
            for one in held.letters
        )
        yield Section(title=writer.say("Mails from you"), steps=steps)


def _requests(writer: _Writer, held: PersonalData) -> Iterator[Section]:
    if held.requests:
        facts = tuple(
            Fact(
                writer.say(KINDS[one.kind]),
                writer.say(
                    "%(asked)s, done %(done)s", asked=writer.moment(one.asked_at), done=writer.moment(one.done_at)
                )
                if one.done_at
                else writer.say(
                    "%(asked)s, to be answered by %(due)s",
                    asked=writer.moment(one.asked_at),
                    due=writer.moment(one.due_at),
                ),
            )
            for one in held.requests
        )
        yield Section(title=writer.say("Rights you made use of"), facts=facts)


def _looks(writer: _Writer, held: PersonalData) -> Iterator[Section]:
    if held.looks:
        yield Section(
            title=writer.say("When colleagues looked at your data"),
            facts=tuple(Fact(writer.moment(one.at), one.reason) for one in held.looks),
        )


# --- who else, and for how long -----------------------------------------------------


def _recipients(writer: _Writer) -> Section:
    catalogue = writer.ctx.catalogue
    known = catalogue.language(writer.language)
    facts = tuple(Fact(one.name, one.described(known)) for one in catalogue.processors)
    nobody = (writer.say("Nobody: we run servers and e-mail ourselves."),)
    return Section(title=writer.say("Who else gets it"), facts=facts, paragraphs=() if facts else nobody)


def _periods(writer: _Writer) -> Section:
    notice = writer.ctx.catalogue.notice(writer.language)
    return Section(
        title=writer.say("What for, on which legal basis, and how long"),
        steps=tuple(
            Step(
                fact.name,
                (
                    Fact(writer.say("What for"), fact.purpose),
                    Fact(writer.say("Legal basis"), fact.legal_basis),
                    Fact(writer.say("How long"), fact.kept),
                ),
            )
            for fact in notice.stored
        ),
    )
