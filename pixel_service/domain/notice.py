"""The facts of the privacy notice: what is stored, what for, on which legal basis and for how long (N1, Art. 13 GDPR).

The operator's lawyer writes the prose, as files of the catalogue; the facts come from here, from settings and from
`stored_data.py`, so the notice can not say less than the code does. A notice that would read differently is another
version: its number carries a hash of its texts. Msgids are English; `locales/<language>/notice.po` translates them.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from gettext import NullTranslations

from pixel_service.domain.accounts import SESSION_LIFE
from pixel_service.domain.stored_data import INTERNAL_NUMBERS, STORED, DataClass
from pixel_service.domain.wordings import Company, Language, Processor, StoredFact, canonical_text


class Unit(StrEnum):
    HOURS = "hours"
    DAYS = "days"
    YEARS = "years"


#: Msgids, for one and for many.
SPANS: Mapping[Unit, tuple[str, str]] = {
    Unit.HOURS: ("%(number)s hour", "%(number)s hours"),
    Unit.DAYS: ("%(number)s day", "%(number)s days"),
    Unit.YEARS: ("%(number)s year", "%(number)s years"),
}


@dataclass(frozen=True, slots=True)
class Span:
    """A period as a setting names it; a notice says "180 days" where the setting does, not "six months"."""

    number: int
    unit: Unit

    def say(self, words: NullTranslations) -> str:
        one, many = SPANS[self.unit]
        return words.ngettext(one, many, self.number) % {"number": self.number}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The settings that a notice tells; periods by the name that prose may use for them."""

    #: Mails sent here withdraw.
    unsubscribe_address: str
    #: Country codes or ``EU``, as people read them: ``DE, EU``.
    data_locations: str
    #: Where a person asks for the link to their own data.
    rights_url: str
    confirm_within: Span
    erase_unconfirmed_after: Span
    download_within: Span
    ask_again_after: Span
    recording_window: Span
    keep_opens: Span
    keep_delivery: Span
    keep_unused_consent: Span
    keep_evidence: Span
    keep_strangers: Span
    keep_audit: Span
    keep_webhooks: Span
    keep_requests: Span
    keep_journal: Span
    session_life: Span = Span(SESSION_LIFE // timedelta(hours=1), Unit.HOURS)

    def say(self, words: NullTranslations) -> Mapping[str, str]:
        """Every term by its name, in the language of `words`."""
        values = ((name, getattr(self, name)) for name in self.__slots__)
        return {name: value.say(words) if isinstance(value, Span) else value for name, value in values}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What people are told about a class of data; msgids. `kept` may name terms."""

    name: str
    purpose: str
    legal_basis: str
    kept: str


ENTRIES: Mapping[DataClass, Entry] = {
    DataClass.CONTACT: Entry(
        name="Contact data",
        purpose="To send you what you asked for and to address you as you wish.",
        legal_basis="Your consent, for newsletters (Art. 6(1)(a) GDPR, section 7(2) UWG); your request, for whitepapers "
        "(Art. 6(1)(b) GDPR).",
        kept="As long as a consent of yours stands, and after that with the proof of your consent. A consent "
        "that is not used ends by itself after %(keep_unused_consent)s. An address without consent and "
        "without e-mails is erased after %(keep_strangers)s, a new address that you do not confirm after three days.",
    ),
    DataClass.SIGN_UP: Entry(
        name="Sign-ups",
        purpose="To make sure that it was you who signed up, and for what.",
        legal_basis="Steps at your request (Art. 6(1)(b) GDPR) and our duty to prove consent (Art. 7(1) GDPR).",
        kept="Not confirmed: the link is valid for %(confirm_within)s, and we erase everything after "
        "%(erase_unconfirmed_after)s. Confirmed: as long as your contact data.",
    ),
    DataClass.CHOICES: Entry(
        name="Your choices",
        purpose="To do only what you agreed to. Before every e-mail and at every open we look here.",
        legal_basis="Our duty to respect your consent and its withdrawal (Art. 6(1)(c), Art. 7 GDPR).",
        kept="As long as your contact data. If you refused open tracking or withdrew it, no form asks you again for "
        "%(ask_again_after)s.",
    ),
    DataClass.OPENS: Entry(
        name="Opens",
        purpose="To improve topics and sending times. We take no decision about you with it.",
        legal_basis="Your separate consent to open tracking (section 25(1) TDDDG, Art. 6(1)(a) GDPR). Without it our "
        "e-mails contain no tracking pixel.",
        kept="%(keep_opens)s at most, and never longer than your consent: when you withdraw, they are erased "
        "at once, those of earlier e-mails too. Opens later than %(recording_window)s after the e-mail "
        "are not recorded.",
    ),
    DataClass.CONTENT: Entry(
        name="Content of an e-mail",
        purpose="To write the e-mail to you.",
        legal_basis="As for contact data.",
        kept="Until the e-mail is sent or given up.",
    ),
    DataClass.DELIVERY: Entry(
        name="E-mails sent",
        purpose="To notice faults in sending and not to send anything twice.",
        legal_basis="Our legitimate interest in reliable e-mail (Art. 6(1)(f) GDPR).",
        kept="%(keep_delivery)s. A download link in an e-mail is valid for %(download_within)s.",
    ),
    DataClass.EVIDENCE: Entry(
        name="Proof of your consent",
        purpose="To prove that you agreed, to what and when, and to defend ourselves against claims. For nothing else.",
        legal_basis="Our duty to prove consent (Art. 7(1) GDPR) and our legitimate interest in defending ourselves "
        "(Art. 6(1)(f), Art. 17(3)(e) GDPR).",
        kept="Also after a withdrawal: for %(keep_evidence)s, counted from the end of the year of the last "
        "e-mail or of your last act. After that only check sums are left. Apart from it lies a list of withdrawals, restrictions "
        "and erasures, without names and addresses, for %(keep_journal)s: no backup brings back what you ended.",
    ),
    DataClass.ERASED: Entry(
        name="Erased addresses",
        purpose="So that nobody who had their data erased, gave up an address, or ended what a restored backup does not "
        "know of, gets into our lists again by an import.",
        legal_basis="Our duty to see that an erasure lasts (Art. 6(1)(c), Art. 17, Art. 25 GDPR).",
        kept="For good, unless you sign up again: then it goes.",
    ),
    DataClass.REQUESTS: Entry(
        name="Requests about your data",
        purpose="To answer in time when you use your rights, and to show that we did.",
        legal_basis="Our duty to answer within a month and to account for it (Art. 6(1)(c), Art. 5(2), Art. 12(3) GDPR).",
        kept="%(keep_requests)s after it was done.",
    ),
    DataClass.INBOX: Entry(
        name="E-mails to us",
        purpose="To do what you ask for by e-mail, such as ending a newsletter, and to do it once.",
        legal_basis="Our duty to make withdrawing as easy as consenting (Art. 6(1)(c), Art. 7(3) GDPR).",
        kept="Until it is done what you ask for, and %(keep_delivery)s after that.",
    ),
    DataClass.PROCESSORS: Entry(
        name="Notices to processors",
        purpose="To tell the service providers who work with your data what you agreed to, ended or had corrected, restricted or "
        "erased, and to be sure that they heard it.",
        legal_basis="Our duty to tell recipients (Art. 6(1)(c), Art. 19 GDPR), and to let them process only on our instructions "
        "(Art. 28 GDPR).",
        kept="The notice itself until it is delivered or, as a rule after four days, given up. That it was delivered: "
        "%(keep_webhooks)s.",
    ),
    DataClass.ACCESS: Entry(
        name="Access by our colleagues",
        purpose="To protect your data: who may see it, and who did.",
        legal_basis="Our duty to keep data secure (Art. 6(1)(c), Art. 32 GDPR).",
        kept="Who looked at your data: %(keep_audit)s. Log-ins of colleagues: %(session_life)s; their "
        "accounts as long as they are used.",
    ),
}


# --- versions ---------------------------------------------------------------


def notice_version(prose_version: str, texts: Iterable[str]) -> str:
    """``2026-11`` and the texts in all languages -> ``2026-11-3f9c01ab``. At most 20 characters."""
    digest = hashlib.sha256("\0".join(sorted(canonical_text(text) for text in texts)).encode())
    return f"{prose_version}-{digest.hexdigest()[:8]}"


# --- what is told -----------------------------------------------------------


def stored_facts(terms: Terms, words: NullTranslations) -> tuple[StoredFact, ...]:
    """One per class of data, in the language of `words`."""
    values = terms.say(words)
    return tuple(
        StoredFact(
            data=data.value,
            name=words.gettext(entry.name),
            holds=tuple(words.gettext(held) for held in held_in(data)),
            purpose=words.gettext(entry.purpose),
            legal_basis=words.gettext(entry.legal_basis),
            kept=words.gettext(entry.kept) % values,
        )
        for data, entry in ENTRIES.items()
    )


def held_in(data: DataClass) -> tuple[str, ...]:
    """The words for everything stored of a class, each once; msgids."""
    told = dict.fromkeys(held.words for table in STORED.values() for held in table if held.data is data)
    return tuple(sorted(told, key=lambda words: words == INTERNAL_NUMBERS))


def blocks(
    company: Company, terms: Terms, processors: Iterable[Processor], language: Language, words: NullTranslations
) -> Mapping[str, str]:
    """The paragraphs that a notice takes over as they are, by the name of their placeholder. Markdown: headings and
    lists of ``- **Name:** text``."""
    say = words.gettext
    facts = stored_facts(terms, words)
    return {
        "controller": _controller(company, say),
        "stored_data": "\n\n".join(
            f"### {fact.name}\n\n"
            + _listed(
                (say("What"), "; ".join(fact.holds)),
                (say("What for"), fact.purpose),
                (say("Legal basis"), fact.legal_basis),
                (say("How long"), fact.kept),
            )
            for fact in facts
        ),
        "processors": _listed(*((one.name, one.described(language)) for one in processors))
        or say("None: we run servers and e-mail ourselves."),
        "rights": _rights(company, terms, words),
    }


def _controller(company: Company, say: Callable[[str], str]) -> str:
    return _listed(
        (say("Controller"), f"{company.name}, {company.address}"),
        (say("Represented by"), company.managing_directors),
        (say("E-mail"), company.email),
        (say("Phone"), company.phone),
        (say("Questions about your data"), company.privacy_email),
        (say("Data protection officer"), company.data_protection_officer),
        (say("Supervisory authority"), company.supervisory_authority),
    )


def _rights(company: Company, terms: Terms, words: NullTranslations) -> str:
    values = {
        "unsubscribe_address": terms.unsubscribe_address,
        "authority": company.supervisory_authority,
        "ask": words.gettext(WAYS) % {"page": terms.rights_url, "address": company.privacy_email},
    }
    return _listed(*((words.gettext(name), words.gettext(how) % values) for name, how in RIGHTS))


def _listed(*entries: tuple[str, str]) -> str:
    return "\n".join(f"- **{name}:** {' '.join(text.split())}" for name, text in entries if text.strip())


#: Of asking for it; a msgid.
WAYS = "at %(page)s or by e-mail to %(address)s"
#: Name and how to use it (R1-R8); msgids.
RIGHTS: tuple[tuple[str, str], ...] = (
    (
        "Withdraw consent (Art. 7(3) GDPR)",
        (
            "At any time, all of it or one choice alone, without giving reasons: by the links in every e-mail, on your "
            "preferences page, or informally by e-mail to %(unsubscribe_address)s. It ends what follows, and open tracking "
            "also in e-mails sent earlier."
        ),
    ),
    ("Access (Art. 15 GDPR)", "See everything that we hold about you, each open with it: %(ask)s."),
    ("Rectification (Art. 16 GDPR)", "Have wrong data corrected, or your address changed: %(ask)s."),
    (
        "Erasure (Art. 17 GDPR)",
        "Have everything erased but the proof of your consent, which we keep sealed until its period ends: %(ask)s.",
    ),
    ("Restriction (Art. 18 GDPR)", "Have your data kept but not used, as long as something is in dispute: %(ask)s."),
    ("Data portability (Art. 20 GDPR)", "Get your data as a file that programs can read: %(ask)s."),
    (
        "Objection (Art. 21 GDPR)",
        "Object at any time to what rests on our legitimate interest, and to advertising always: %(ask)s.",
    ),
    (
        "Complaint (Art. 77 GDPR)",
        "With any data protection authority, for example the one responsible for us: %(authority)s.",
    ),
)
