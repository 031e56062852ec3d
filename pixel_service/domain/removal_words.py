"""Does a letter say "take me off", in German or English? Bounded word rules, sentence by sentence.

A sentence that names a removal and also negates, asks, reports or puts conditions is doubtful, and one doubtful sentence
makes the whole letter a person's to read. So a wrong guess costs an operator a minute, never a person their choice.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

#: Lines and characters of the sender's own words; who writes more wants to be read by a person.
MAX_LINES = 20
MAX_CHARACTERS = 2000
#: Words in a sentence that is an order by being short: "Stop!", "Keine Mails mehr".
_SHORT = 4

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "’": "'", "‘": "'", "\u00ad": None, "\u200b": None})


class Scope(StrEnum):
    """How much is to end."""

    #: What the answered mail was about.
    MAIL = "mail"
    TRACKING = "tracking"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Asked:
    scope: Scope
    #: A question or a request beside it that words alone can not settle.
    needs_answer: bool


# --- the words, in the spelling of `_plain`: lower case, ae for ä, ss for ß --------------------------------------------


def _words(pattern: str) -> re.Pattern[str]:
    """Whole words, wherever the mail program broke the line. Every gap is bounded, so that no text makes this slow."""
    gaps = pattern.replace("<gap>", "[^.!?]{0,40}").replace(" ", r"\s+")
    return re.compile(rf"\b(?:{gaps})(?!\w)")


_WHAT = r"(?:newsletter|e-?mails?|mails?|mailings?|abo|abonnement|messung|tracking|zusendung|auswertung)"
_REMOVAL = _words(
    r"abmelden|abmelde|abmeldung|abbestell\w{0,4}|austragen|austrag|widerruf\w{0,2}|widerspr[eiu]ch\w{0,2}"
    r"|meld\w{1,3} <gap>(?:mich|uns|adresse) <gap>ab|trag\w{1,3} <gap>(?:mich|uns|adresse) <gap>aus"
    rf"|bestell\w{{1,2}} <gap>{_WHAT} <gap>ab"
    rf"|{_WHAT} <gap>(?:abstellen|abschalten|beenden|einstellen|kuendigen|stoppen)"
    rf"|(?:stellen|schalten|beenden|kuendigen|stoppen) sie <gap>{_WHAT}"
    r"|(?:entfernen?|streichen?|nehmen|nehmt|loeschen?) <gap>(?:mich|uns|meine\w?|adresse|verteiler|daten)"
    r"|(?:mich|uns|meine\w?|adresse|verteiler|daten) <gap>(?:entfernen|streichen|nehmen|loeschen)"
    r"|unsubscribe|unsub|(?:remove|delete) (?:me|us|my)|take (?:me|us|my address) off|opt(?:ing)?[- ]?out"
    r"|(?:cancel|end|stop) my (?:subscription|newsletter)|(?:withdraw|revoke) <gap>consents?"
    r"|stop (?:sending|mailing|e-?mailing|measuring|tracking|these|this|the|all|your)|stopp?en sie"
)
_BARE_STOP = _words("stopp?")
#: These say no by themselves: their own negation is no doubt.
_NO_MORE = _words(
    r"kein\w{0,2} (?:weiter\w{1,2} |zusaetzlich\w{1,2} )?(?:newsletter|e-?mails?|mails?|werbung|werbemails?|nachrichten"
    r"|zusendungen)(?: mehr)?"
    r"|nicht (?:mehr|weiter|laenger) (?:an|zu)?(?:schreiben|schicken|senden|kontaktieren|erhalten|bekommen|messen)"
    r"|no (?:more|further) (?:e-?mails?|mails?|newsletters?|messages|tracking)"
    r"|(?:do not|don't|dont) (?:want|wish) <gap>(?:e-?mails?|mails?|newsletters?|messages)"
    r"|(?:do not|don't|dont|never) (?:send|e-?mail|mail|contact|write|track|measure)(?: to)?(?: me)?"
)
_WISH = _words(
    r"bitte|moechten?|will|wollen|wuenschen?|please|pls|want|wish|would like|do not|don't|dont|never|hiermit"
)
_DOUBT = _words(
    r"nicht|kein\w{0,2}|nie|niemals|ohne|ob|wie|wann|wenn|falls|warum|weshalb|wieso|wer|ausser|sondern|erst|aber"
    r"|jedoch|trotzdem|weiter\w{0,3}|behalten|bleiben|statt|verpass\w{0,3}|kunden?|kolleg\w{1,3}|versehen\w{0,5}"
    r"|not|\w{2,6}n't|dont|no|never|without|how|why|when|whether|if|who|unless|except|instead|later|but|however|keep"
    r"|continue|miss|customers?|colleagues?|accident\w{0,5}"
)
_TRACKING = _words(r"tracking|track|messung\w{0,2}|messen|measur\w{1,6}|(?:zaehl)?pixel\w?|oeffnung\w{0,8}|auswertung")
_MAILING = _words(r"newsletter\w?|e-?mails?|mails?|mailings?|verteilern?|werbung")
_EVERYTHING = _words(r"alle[nmrs]?|saemtliche\w?|komplett|all|everything|any|einwilligung\w{0,2}|consents?")
_FOR_A_PERSON = _words(
    r"daten\w{0,12}|data|auskunft|dsgvo|gdpr|loesch\w{0,4}|delete|erase|anwalt|lawyer|beschwerde|complaint"
)

# --- where the sender's own words end ---------------------------------------------------------------------------------

#: Also a line with a link: our own mails are full of them and of the word "unsubscribe", and some programs quote without
#: any sign.
_QUOTATION = re.compile(
    r"\s*(?:>|\||-{2,}\s*(?:urspruengliche|original|weitergeleitete|forwarded|reply|antwort)|[-_]{10,}\s*$"
    r"|\*?(?:von|from|gesendet|sent|datum|date|betreff|subject|an|to)\s?:|(?:am|on) .{4,100}(?:schrieb|wrote)\b"
    r"|(?:am|on) .{0,20}\d{4}.{0,100}$|.{0,120}\b(?:schrieb|wrote)\s?:?\s*$|.{0,120}>\s(?:schrieb|wrote)\b"
    r"|begin forwarded message|anfang der weitergeleiteten|.{0,500}https?://)"
)
_SIGNATURE = re.compile(
    r"--\s*$|\s*(?:mit )?(?:freundliche|herzliche|beste|viele|schoene|liebe)\w{0,2} gruess|\s*(?:gruss|gruesse|mfg|lg|vg)\b"
    r"|\s*(?:(?:kind|best|warm|many) )?regards\b|\s*(?:sincerely|cheers)\b|\s*(?:gesendet|sent|von meinem) "
)
_SENTENCE = re.compile(r"[^.!?;]+[.!?;]*")


def read_words(subject: str, text: str) -> Asked | None:
    """What the sender's own words ask for; None when they do not clearly ask for an end."""
    own_words = _own_words(text)
    if own_words is None:
        return None
    sentences = [*_sentences(subject), *_sentences(own_words)]
    removing = [sentence for sentence in sentences if _names_removal(sentence)]
    if not removing or any(map(_is_doubtful, removing)):
        return None
    asks_more = any(sentence.endswith("?") or _FOR_A_PERSON.search(sentence) for sentence in sentences)
    return Asked(_scope("\n".join(removing)), asks_more)


def _own_words(text: str) -> str | None:
    """The lines above quotation and signature; None when they are more than a short letter."""
    lines: list[str] = []
    for line in _plain(text):
        if _QUOTATION.match(line) or _SIGNATURE.match(line):
            break
        lines.append(line.strip())
    kept = "\n".join(lines)
    too_long = len(kept) > MAX_CHARACTERS or len(list(filter(None, lines))) > MAX_LINES
    return None if too_long else kept


def _plain(text: str) -> list[str]:
    """Lines in one spelling: lower case, umlauts as two letters. What is beyond any short letter is left out."""
    lines = unicodedata.normalize("NFKC", text[: 8 * MAX_CHARACTERS]).splitlines()
    return ["".join(line[: 2 * MAX_CHARACTERS].casefold().translate(_UMLAUTS)) for line in lines]


def _sentences(text: str) -> Iterator[str]:
    """A line break ends none, for people and programs break lines anywhere; an empty line does."""
    for paragraph in "\n".join(_plain(text)).split("\n\n"):
        for found in _SENTENCE.finditer(paragraph):
            if sentence := found[0].strip():
                yield sentence


def _names_removal(sentence: str) -> bool:
    if _REMOVAL.search(sentence) or (_NO_MORE.search(sentence) and _WISH.search(sentence)):
        return True
    short = [line for line in sentence.split("\n") if len(line.split()) <= _SHORT]
    return any(_BARE_STOP.search(line) or _NO_MORE.search(line) for line in short)


def _is_doubtful(sentence: str) -> bool:
    return sentence.endswith("?") or bool(_DOUBT.search(_NO_MORE.sub(" ", sentence)))


def _scope(removing: str) -> Scope:
    mailing, tracking = _MAILING.search(removing), _TRACKING.search(removing)
    if tracking and not mailing:
        # "Alle Messungen" is not "alles".
        return Scope.TRACKING
    return Scope.ALL if tracking or _EVERYTHING.search(removing) else Scope.MAIL
