"""The proof in words that somebody who never saw this service can follow: first what stands, then what was agreed, the mail
that asked, every entry of the ledger, and how a reader checks it. The words are msgids of `locales/*/evidence.po`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from pixel_service.domain.consent import State
from pixel_service.domain.evidence import Evidence, PurposeProof, ReadMail, Statement
from pixel_service.domain.evidence_document import Document, Fact, Quote, Section, Step
from pixel_service.i18n import format_moment
from pixel_service.usecases.context import Context
from pixel_service.usecases.evidence_words import ACTS, FIELDS, SEALED, STATES, WAYS


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

    def label(self, proof: PurposeProof) -> str:
        return self.ctx.catalogue.label(proof.purpose, self.language)

    def way(self, statement: Statement) -> str:
        source = statement.text("source")
        return self.say(WAYS[source]) if source in WAYS else source

    def typed(self, one: Statement) -> str:
        typed = "; ".join(f"{self.say(FIELDS.get(name, name))}: {value}" for name, value in one.fields.items())
        return typed or self.say("no longer kept")

    def yes(self, holds: bool) -> str:
        return self.say("yes") if holds else self.say("NO")


def document(ctx: Context, evidence: Evidence, language: str) -> Document:
    writer = _Writer(ctx, language)
    company = ctx.company
    return Document(
        title=writer.say("Evidence of consent: %(address)s", address=evidence.address),
        facts=(
            Fact(writer.say("Sender"), f"{company.name}, {company.address}"),
            Fact(writer.say("Made on"), writer.moment(evidence.at)),
            Fact(writer.say("Asked for by"), evidence.by),
            Fact(writer.say("Reason"), evidence.reason),
            *_person(writer, evidence),
        ),
        sections=(*_proof(writer, evidence), *_earlier(writer, evidence), _checking(writer, evidence)),
    )


def _person(writer: _Writer, evidence: Evidence) -> Iterator[Fact]:
    yield Fact(writer.say("Number of the person in the ledger"), evidence.subscriber_id, exact=True)
    for move in evidence.moves:
        at = move.confirmed_at or move.asked_at
        said = writer.say(
            "on %(moment)s, from %(old)s to %(new)s",
            moment=writer.moment(at),
            old=move.previous_address,
            new=move.address,
        )
        yield Fact(writer.say("Address changed, confirmed from the new mailbox"), said)
    if evidence.sealed:
        yield Fact(writer.say("Sealed since"), writer.moment(evidence.sealed.sealed_at))
        yield Fact(writer.say("Deleted on"), writer.moment(evidence.sealed.ends_at))
        yield Fact(writer.say("The seal is unbroken"), writer.yes(evidence.sealed.opens))


def _proof(writer: _Writer, evidence: Evidence) -> Iterator[Section]:
    yield _summary(writer, evidence)
    yield from (_agreed(writer, proof) for proof in evidence.purposes)
    yield from (_mail(writer, mail) for mail in evidence.mails)
    yield _entries(writer, evidence)


def _earlier(writer: _Writer, evidence: Evidence) -> Iterator[Section]:
    for one in evidence.earlier:
        yield Section(
            title=writer.say("Before an earlier erasure"),
            paragraphs=(writer.say("What follows is about the same address, under another number."),),
            facts=tuple(_person(writer, one)),
        )
        yield from _proof(writer, one)


# --- what stands ------------------------------------------------------------


def _summary(writer: _Writer, evidence: Evidence) -> Section:
    told = tuple(_stands(writer, proof) for proof in evidence.purposes)
    if evidence.sealed:
        told = (writer.say(SEALED[evidence.sealed.opens]), *told)
    nothing = writer.say("Nobody ever asked this address for consent, and there is none.")
    return Section(title=writer.say("In short"), paragraphs=told or (nothing,))


def _stands(writer: _Writer, proof: PurposeProof) -> str:
    given, ended = proof.confirmed_at, proof.erased or proof.withdrawn or proof.expired
    values: dict[str, object] = {
        "label": writer.label(proof),
        "state": writer.say(STATES[proof.state]),
        "at": writer.moment(proof.statements[-1].entry.at),
        "given": writer.moment(given) if given else "",
        "ended": writer.moment(ended.entry.at) if ended else "",
    }
    if given and proof.valid:
        return writer.say("%(label)s: %(state)s. The person confirmed on %(given)s.", **values)
    if given and ended:
        return writer.say("%(label)s: %(state)s on %(ended)s. The person had confirmed on %(given)s.", **values)
    return writer.say("%(label)s: %(state)s. There is no consent. Last entry: %(at)s.", **values)


# --- what was agreed --------------------------------------------------------


def _agreed(writer: _Writer, proof: PurposeProof) -> Section:
    text = proof.text
    quote = text.shown.text if text and text.shown else writer.say("The text is not on file.")
    return Section(
        title=writer.say("What was agreed: %(label)s", label=writer.label(proof)),
        facts=tuple(_agreed_facts(writer, proof)),
        quotes=(Quote(writer.say("The exact words that were shown"), quote),) if text else (),
    )


def _agreed_facts(writer: _Writer, proof: PurposeProof) -> Iterator[Fact]:
    yield Fact(writer.say("State now"), writer.say(STATES[proof.state]))
    if asked := proof.requested:
        yield Fact(writer.say("Asked for on"), writer.moment(asked.entry.at))
        yield Fact(writer.say("By the form at"), asked.text("form_url"), exact=True)
        yield Fact(writer.say("Typed into the form"), writer.typed(asked))
        yield Fact(writer.say("Privacy notice that was linked"), asked.text("notice_version"))
    if given := proof.confirmed:
        yield Fact(writer.say("Confirmed on"), writer.moment(given.entry.at))
        yield Fact(writer.say("How"), writer.way(given))
    if taken := proof.imported:
        yield from _imported(writer, taken)
    if (refused := proof.refused) and proof.state is State.REFUSED:
        yield Fact(writer.say("Refused on"), writer.moment(refused.entry.at))
    if (ended := proof.withdrawn) and not proof.valid:
        yield Fact(writer.say("Withdrawn on"), writer.moment(ended.entry.at))
        yield Fact(writer.say("How it was withdrawn"), writer.way(ended))
    if erased := proof.erased:
        yield Fact(writer.say("Erased on"), writer.moment(erased.entry.at))
    if proof.text:
        yield Fact(writer.say("Version of the words"), f"{proof.text.version} ({proof.text.language})")
        yield Fact(writer.say("SHA-256 of the words, from the ledger"), proof.text.hash, exact=True)
        yield Fact(writer.say("The words below have this hash"), writer.yes(proof.text.matches))


def _imported(writer: _Writer, taken: Statement) -> Iterator[Fact]:
    yield Fact(writer.say("Imported on"), writer.moment(taken.entry.at))
    yield Fact(writer.say("Imported from"), taken.text("origin") or writer.say("no longer kept"))
    if not taken.content:
        return
    place = f"{taken.content['row']}, {taken.text('file_hash')}"
    yield Fact(writer.say("Row of the imported file, and its SHA-256"), place, exact=True)
    yield Fact(writer.say("Asked there on"), writer.moment(taken.moment("requested_at")))
    yield Fact(writer.say("By the form at"), taken.text("form_url"), exact=True)
    yield Fact(writer.say("Typed into the form"), writer.typed(taken))
    yield Fact(writer.say("Confirmed there (double opt-in) on"), writer.moment(taken.moment("confirmed_at")))
    if reference := taken.text("reference"):
        yield Fact(writer.say("Proof kept there"), reference, exact=True)


# --- the mail ---------------------------------------------------------------


def _mail(writer: _Writer, mail: ReadMail) -> Section:
    headers = "\n".join(f"{name}: {value}" for name, value in mail.headers)
    named = {name.lower(): value for name, value in mail.headers}
    return Section(
        title=writer.say("The mail that asked, %(at)s", at=writer.moment(mail.sent.sent_at)),
        paragraphs=(
            writer.say(
                "This mail was kept as it was sent. Its confirmation link is shortened here, so that only the "
                "person can press its button."
            ),
        ),
        facts=(
            Fact(writer.say("To"), named.get("to", "")),
            Fact("Message-ID", named.get("message-id", ""), exact=True),
            Fact(writer.say("Accepted by the mail relay"), writer.moment(mail.sent.sent_at)),
            Fact(writer.say("Reply of the relay"), mail.sent.relay_reply, exact=True),
            Fact(writer.say("SHA-256 of the mail"), mail.sent.hash, exact=True),
            Fact(writer.say("The ledger names exactly this mail"), writer.yes(mail.in_ledger)),
        ),
        quotes=(Quote(writer.say("Headers"), headers), Quote(writer.say("Text"), mail.text)),
    )


# --- the ledger -------------------------------------------------------------


def _entries(writer: _Writer, evidence: Evidence) -> Section:
    labels = {proof.purpose: writer.label(proof) for proof in evidence.purposes}
    return Section(
        title=writer.say("Every entry of the ledger on this person"),
        steps=tuple(_step(writer, one, labels[one.entry.purpose]) for one in evidence.statements),
    )


def _step(writer: _Writer, one: Statement, label: str) -> Step:
    entry = one.entry
    facts = [
        Fact(writer.say("When"), f"{writer.moment(entry.at)} ({entry.at.isoformat()})"),
        Fact(writer.say("Position in the chain"), str(entry.seq), exact=True),
        Fact(writer.say("Hash of this entry"), entry.entry_hash, exact=True),
        Fact(writer.say("Hash of the entry before"), entry.previous_hash, exact=True),
        Fact(writer.say("Entry and content match their hashes"), writer.yes(one.intact)),
    ]
    if way := writer.way(one):
        facts.insert(1, Fact(writer.say("How"), way))
    if not one.content:
        facts.append(Fact(writer.say("Content"), writer.say("no longer kept")))
    return Step(f"{entry.seq}. {writer.say(ACTS[entry.act])}: {label}", tuple(facts))


def _checking(writer: _Writer, evidence: Evidence) -> Section:
    chain = evidence.chain
    signed = chain.covered
    return Section(
        title=writer.say("How this can be checked"),
        paragraphs=(
            writer.say(
                "Each entry holds the hash of the entry before it, so none can be altered, removed or inserted "
                "without breaking all that follow. The newest entry is signed once a day."
            ),
            writer.say(
                "`pixel-service ledger verify` walks the whole chain and its signatures; "
                "`pixel-service ledger export` writes a file that anybody can check without this service."
            ),
            writer.say(
                "IP addresses are neither stored nor needed for this proof: they do not say who acted. The words, "
                "the mail, the button behind its link and the chain do."
            ),
        ),
        facts=(
            Fact(writer.say("Entries in the whole ledger"), str(chain.entries)),
            Fact(
                writer.say("Signed up to entry"),
                f"{signed.seq}, {writer.moment(signed.at)}" if signed else writer.say("not signed yet"),
            ),
            Fact(writer.say("Public key of the signatures"), chain.public_key, exact=True),
        ),
    )
