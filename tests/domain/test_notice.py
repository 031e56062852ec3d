"""The facts of the privacy notice: complete, in every language, and another version whenever they read differently."""

import re
from dataclasses import replace

import pytest
from babel.messages.pofile import read_po

from pixel_service.domain.notice import ENTRIES, RIGHTS, SPANS, WAYS, Span, Unit, blocks, held_in, notice_version
from pixel_service.domain.stored_data import INTERNAL_NUMBERS, STORED, DataClass
from pixel_service.domain.wordings import Language, Processor
from pixel_service.i18n import Catalogues, packaged_locales
from tests.company import nordlicht, terms

CATALOGUES = Catalogues(packaged_locales())
GERMAN, ENGLISH = (Language(code) for code in ("de", "en"))
PARTNER = Processor(
    name="Übersee Inc.",
    roles={GERMAN: "Versand", ENGLISH: "sending"},
    countries={GERMAN: "USA", ENGLISH: "USA"},
    safeguards={GERMAN: "Angemessenheitsbeschluss", ENGLISH: "adequacy decision"},
)


def told(language: Language = ENGLISH, processors: tuple[Processor, ...] = (PARTNER,), **changes: object) -> str:
    words = CATALOGUES.translations(language)
    return "\n\n".join(blocks(nordlicht(), terms(**changes), processors, language, words).values())


# --- what is stored -----------------------------------------------------------


@pytest.mark.parametrize("data", DataClass)
def test_every_class_of_data_holds_something_and_says_what_why_and_how_long(data: DataClass) -> None:
    assert held_in(data)
    entry = ENTRIES[data]
    assert INTERNAL_NUMBERS not in held_in(data)[:-1]
    assert all(len(text) > 4 for text in (entry.name, entry.purpose, entry.legal_basis, entry.kept))
    assert re.search(r"Art\. |As for", entry.legal_basis)


def test_what_is_told_in_words_belongs_to_a_class_and_the_other_way_round() -> None:
    assert [held for table in STORED.values() for held in table if bool(held.words) != (held.data is not None)] == []


def test_no_column_may_be_named_like_an_internet_address_or_a_user_agent() -> None:
    columns = {column for table in STORED.values() for held in table for column in held}
    assert [name for name in columns if re.search(r"(^|_)ip(_|$)|user_agent|referr?er|cookie|location", name)] == []


@pytest.mark.parametrize("language", [GERMAN, ENGLISH])
def test_a_notice_names_everything_that_is_held(language: Language) -> None:
    text, words = told(language), CATALOGUES.translations(language)
    for data in DataClass:
        assert f"### {words.gettext(ENTRIES[data].name)}" in text
        assert [one for one in held_in(data) if words.gettext(one) not in text] == []
    assert not re.search(r"%\(|%s|\{", text)


# --- languages ----------------------------------------------------------------


def _msgids() -> list[str]:
    entries = [text for one in ENTRIES.values() for text in (one.name, one.purpose, one.legal_basis, one.kept)]
    held = [words for data in DataClass for words in held_in(data)]
    return [*entries, *held, *(text for right in RIGHTS for text in right)]


def test_every_fact_is_translated_and_no_translation_is_left_over() -> None:
    labels = {
        *("What", "What for", "Legal basis", "How long", "Controller", "Represented by", "E-mail", "Phone"),
        *("Questions about your data", "Data protection officer", "Supervisory authority"),
        *("None: we run servers and e-mail ourselves.", WAYS),
    }
    for language in ("de", "en"):
        with (packaged_locales() / language / "notice.po").open("rb") as source:
            known = {message.id: message for message in read_po(source, locale=language) if message.id}
        assert set(known) == {*_msgids(), *labels, *SPANS.values()}
        if language == "de":
            assert [key for key, message in known.items() if not message.string or message.fuzzy] == []
            for key, message in known.items():
                assert set(re.findall(r"%\(\w+\)s", str(key))) == set(re.findall(r"%\(\w+\)s", str(message.string)))


@pytest.mark.parametrize(
    "span, german, english",
    [
        (Span(1, Unit.DAYS), "1 Tag", "1 day"),
        (Span(14, Unit.DAYS), "14 Tage", "14 days"),
        (Span(3, Unit.YEARS), "3 Jahre", "3 years"),
        (Span(12, Unit.HOURS), "12 Stunden", "12 hours"),
    ],
)
def test_a_period_is_said_in_the_unit_of_its_setting(span: Span, german: str, english: str) -> None:
    assert [span.say(CATALOGUES.translations(one)) for one in (GERMAN, ENGLISH)] == [german, english]


# --- who and how ----------------------------------------------------------------


def test_a_processor_is_named_with_role_country_and_safeguard() -> None:
    assert "- **Übersee Inc.:** Versand; USA; Angemessenheitsbeschluss" in told(GERMAN)
    assert "- **Übersee Inc.:** sending; USA\n" in told(processors=(replace(PARTNER, safeguards={}),)) + "\n"


def test_a_company_without_processors_says_so() -> None:
    assert "None: we run servers and e-mail ourselves." in told(processors=())


def test_what_a_company_does_not_have_leaves_no_empty_line() -> None:
    words = CATALOGUES.translations("en")
    company = nordlicht(data_protection_officer="", phone=" ")
    controller = blocks(company, terms(), (), ENGLISH, words)["controller"]
    assert "officer" not in controller
    assert "Phone" not in controller


def test_every_right_says_how_to_use_it() -> None:
    said = told(rights_url="https://news.example/my-data")
    for article in ("7(3)", "15", "16", "17", "18", "20", "21", "77"):
        assert f"(Art. {article} GDPR):**" in said
    assert said.count(f"at https://news.example/my-data or by e-mail to {nordlicht().privacy_email}.") == 6
    assert "informally by e-mail to stop@news.example" in said
    assert nordlicht().supervisory_authority in said.splitlines()[-1]


# --- versions -------------------------------------------------------------------


def test_a_version_carries_the_hash_of_all_its_texts_and_fits_its_column() -> None:
    one = notice_version("2026-11-01a", ["Deutsch", "English"])
    assert re.fullmatch(r"2026-11-01a-[0-9a-f]{8}", one)
    assert len(one) == 20
    assert one == notice_version("2026-11-01a", ["English\r\n", "Deutsch"])
    assert one != notice_version("2026-11-01a", ["Deutsch", "English."])
    assert one != notice_version("2026-12", ["Deutsch", "English"])
