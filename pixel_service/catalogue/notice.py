"""The privacy notice: the lawyer's prose, filled with the facts of code and settings (N1).

A placeholder in a sentence stands for company data or a term (``{company}``, ``{recording_window}``); one that is a
paragraph of its own stands for a block of facts (``{stored_data}``). No block may be left out. Only the highest version
of the prose is filled: older files would tell today's facts, which nobody was shown. What was, is in the database.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from gettext import NullTranslations
from pathlib import Path

from pixel_service.catalogue.files import Reader
from pixel_service.domain.notice import Terms, blocks, notice_version, stored_facts
from pixel_service.domain.wordings import Company, Language, Notice, Processor, text_hash
from pixel_service.i18n import Catalogues, packaged_locales

#: Company data that the blocks can not do without (Art. 13(1)(a), (2)(d) GDPR).
_NEEDED = ("name", "email", "privacy_email", "supervisory_authority")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    company: Company
    terms: Terms
    processors: tuple[Processor, ...]


def read_notices(
    reader: Reader, facts: Facts, languages: Iterable[Language]
) -> tuple[str, Mapping[tuple[str, Language], Notice]]:
    """The version, which changes with every character of the texts, and the notice in each language."""
    files = list(reader.texts(reader.folder / "notice", "md"))
    newest = max((version for _, version, _, _ in files), default="")
    prose = {language: (path, text) for path, version, language, text in files if version == newest}
    reader.check_languages(f"notice/{newest or '<version>'}", ".md", languages, set(prose))
    drafts = [_draft(reader, facts, language, *prose[language]) for language in languages if language in prose]
    version = notice_version(newest, (draft.text for draft in drafts))
    return version, {(version, draft.language): replace(draft, version=version) for draft in drafts}


def _draft(reader: Reader, facts: Facts, language: Language, path: Path, prose: str) -> Notice:
    words, company = _words(language), facts.company
    told = blocks(company, facts.terms, facts.processors, language, words)
    for name in told:
        if f"{{{name}}}" not in prose.split("\n\n"):
            reader.problem(path, f"{{{name}}}: missing; it must be a paragraph of its own")
    for name in _NEEDED:
        if not getattr(company, name):
            reader.problem(path, f"{{{name}}}: this company setting is empty")
    values = {**asdict(company), **facts.terms.say(words), "company": company.name, "address": company.address, **told}
    text = reader.filled(path, prose, values)
    return Notice(
        version="", language=language, text=text, hash=text_hash(text), stored=stored_facts(facts.terms, words)
    )


@cache
def _locales() -> Catalogues:
    return Catalogues(packaged_locales())


def _words(language: Language) -> NullTranslations:
    return _locales().translations(language)
