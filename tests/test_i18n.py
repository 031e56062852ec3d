"""Languages come from files alone; headers of strangers and half-done translations never break a page."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies

from pixel_service.i18n import Catalogues, format_day, format_moment, format_number, language_name, packaged_locales

HEADER = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
BERLIN = ZoneInfo("Europe/Berlin")
MORNING = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)


def locale(folder: Path, language: str, **domains: str) -> None:
    place = folder / language
    place.mkdir()
    for domain, entries in domains.items():
        (place / f"{domain}.po").write_text(HEADER + entries, encoding="utf-8")


@pytest.fixture
def packaged() -> Catalogues:
    return Catalogues(packaged_locales())


def test_german_and_english_ship(packaged: Catalogues) -> None:
    assert set(packaged.languages) >= {"de", "en"}
    assert packaged.translations("de").gettext("Confirm") == "Jetzt bestätigen"
    assert packaged.translations("en").gettext("Confirm") == "Confirm"


def test_a_third_language_needs_only_files(tmp_path: Path) -> None:
    plurals = (
        'msgid "%(n)s mail"\nmsgid_plural "%(n)s mails"\nmsgstr[0] "list"\nmsgstr[1] "listy"\nmsgstr[2] "listów"\n'
    )
    locale(tmp_path, "pl", pages='msgid "Confirm"\nmsgstr "Potwierdź"\n', mails=plurals)
    catalogues = Catalogues(tmp_path)
    polish = catalogues.translations("pl")
    assert catalogues.languages == ("pl",)
    assert catalogues.negotiate("pl-PL", "de") == "pl"
    assert polish.gettext("Confirm") == "Potwierdź"
    assert [polish.ngettext("%(n)s mail", "%(n)s mails", n) for n in (1, 3, 5)] == ["list", "listy", "listów"]
    assert format_moment(MORNING, "pl", BERLIN) == "22 listopada 2026, 10:15 CET"
    assert language_name("pl") == "polski"


def test_missing_empty_and_fuzzy_entries_show_the_source_text(tmp_path: Path) -> None:
    locale(tmp_path, "de", pages='msgid "One"\nmsgstr ""\n\n#, fuzzy\nmsgid "Two"\nmsgstr "geraten"\n')
    german = Catalogues(tmp_path).translations("de")
    assert [german.gettext(text) for text in ("One", "Two", "Three")] == ["One", "Two", "Three"]


def test_a_day_is_the_day_where_the_company_is() -> None:
    late = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
    assert format_day(late, "de", BERLIN) == "22. November 2026"
    assert format_day(late, "en", BERLIN) == "22 November 2026"


def test_a_language_we_do_not_have_speaks_the_source_texts(packaged: Catalogues) -> None:
    assert packaged.translations("xx").gettext("Confirm") == "Confirm"


def test_a_folder_without_translations_is_an_error_at_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no translation files"):
        Catalogues(tmp_path)


@pytest.mark.parametrize(
    "header, language",
    [
        ("de", "de"),
        ("en-GB,en;q=0.9", "en"),
        ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "en"),
        ("en;q=0.1, de-AT;q=0.9", "de"),
        ("EN", "en"),
        ("en;q=0, fr", "de"),
        ("*", "de"),
        ("fr", "de"),
        ("", "de"),
        (None, "de"),
        ("en;q=nonsense", "de"),
        ("zz," * 20 + "en", "de"),
        ("x" * 500 + ",en", "de"),
    ],
)
def test_the_best_of_our_languages_is_chosen(packaged: Catalogues, header: str | None, language: str) -> None:
    assert packaged.negotiate(header, "de") == language


@given(strategies.text() | strategies.text(alphabet="den-;,q=01.* "))
def test_no_header_breaks_the_choice(header: str) -> None:
    assert PACKAGED.negotiate(header, "de") in PACKAGED.languages


PACKAGED = Catalogues(packaged_locales())


def test_moments_read_as_people_write_them() -> None:
    assert format_moment(MORNING, "de", BERLIN) == "22. November 2026, 10:15 Uhr (MEZ)"
    assert format_moment(MORNING, "en", BERLIN) == "22 November 2026, 10:15 CET"
    summer = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    assert format_moment(summer, "de", BERLIN) == "2. Juli 2026, 00:30 Uhr (MESZ)"
    assert format_moment(summer, "xx", BERLIN) == "2 July 2026, 00:30 CEST"


def test_numbers_have_the_separators_of_the_language() -> None:
    assert format_number(12345.6, "de") == "12.345,6"
    assert format_number(12345, "en") == "12,345"
