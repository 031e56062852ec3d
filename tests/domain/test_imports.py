"""A row is imported when everything that proves it is there; else it is unknown or refused, with its field and reason."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest

from pixel_service.domain.consent import Act, Event, State, decide
from pixel_service.domain.evidence import TextKey
from pixel_service.domain.import_rulings import MOST_TEXTS, OnRecord, judge, take_text
from pixel_service.domain.imports import (
    COLUMNS,
    EVIDENCE,
    Code,
    ImportRow,
    Origin,
    Rejected,
    Rules,
    content_of,
    parse_row,
)
from pixel_service.domain.wordings import text_hash
from tests.builders import BLOG, OPENS, catalogue

NOW = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
RULES = Rules(catalogue=catalogue(), default_language="de", now=NOW, unused_for=timedelta(days=730))
TEXT = "Ja, ich möchte den Newsletter.\n\nAbmelden geht jederzeit."
ROW: Mapping[str, str] = {
    "address": " Anna@Example.com ",
    "purpose": BLOG,
    "language": "de",
    "first_name": "Anna",
    "requested_at": "2026-05-01T10:00:00+02:00",
    "form_url": "https://alt.example/anmelden",
    "confirmed_at": "2026-05-01T08:05:00Z",
    "confirmed_by": "double_opt_in",
    "wording_text": TEXT,
    "reference": "<1@alt.example>",
}


def parse(**changes: str) -> ImportRow | Rejected:
    return parse_row(7, {**ROW, **changes}, RULES)


def good(**changes: str) -> ImportRow:
    found = parse(**changes)
    assert isinstance(found, ImportRow), found
    return found


def refused(**changes: str) -> tuple[str, Code]:
    found = parse(**changes)
    assert isinstance(found, Rejected), found
    assert found.row == 7
    assert not [typed for typed in changes.values() if typed and len(typed) > 3 and typed in found.reason]
    return found.field, found.code


# --- evidence ---------------------------------------------------------------------------------------------------------


def test_a_row_with_all_its_evidence_is_a_consent_with_utc_times() -> None:
    found = good()
    assert (found.address.normalised, found.purpose, found.profile.first_name) == ("Anna@example.com", BLOG, "Anna")
    assert found.requested_at == datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
    assert found.confirmed_at == datetime(2026, 5, 1, 8, 5, tzinfo=UTC)
    assert found.requested_at.tzinfo is UTC


@pytest.mark.parametrize(
    "missing", [names for number in range(1, len(EVIDENCE) + 1) for names in combinations(EVIDENCE, number)]
)
def test_whatever_evidence_is_missing_the_row_is_unknown_and_names_it(missing: tuple[str, ...]) -> None:
    found = parse(**dict.fromkeys(missing, ""))
    assert isinstance(found, Rejected)
    assert found.is_unknown
    assert found.field.split() == list(missing)


@pytest.mark.parametrize("way", ["single_opt_in", "phone", "DOUBLE OPT IN", "yes"])
def test_whoever_confirmed_in_another_way_has_proven_nothing(way: str) -> None:
    assert refused(confirmed_by=way) == ("confirmed_by", Code.NO_EVIDENCE)


def test_a_bare_address_is_unknown() -> None:
    found = parse_row(2, {"address": "anna@example.com", "purpose": OPENS}, RULES)
    assert isinstance(found, Rejected)
    assert (found.is_unknown, found.field.split()) == (True, list(EVIDENCE))


def test_the_content_of_the_entry_holds_every_piece_of_evidence() -> None:
    content = content_of(good(), Origin(import_id="i", file_hash="f" * 64, source="old tool"))
    assert {**content} == {
        "source": "import",
        "import": "i",
        "file_hash": "f" * 64,
        "row": 7,
        "origin": "old tool",
        "language": "de",
        "wording_version": f"import-{text_hash(TEXT)[:13]}",
        "wording_hash": text_hash(TEXT),
        "form_url": "https://alt.example/anmelden",
        "requested_at": "2026-05-01T08:00:00+00:00",
        "confirmed_at": "2026-05-01T08:05:00+00:00",
        "confirmed_by": "double_opt_in",
        "reference": "<1@alt.example>",
        "fields": {"address": "Anna@example.com", "first_name": "Anna"},
    }
    bare = content_of(good(reference=""), Origin(import_id="i", file_hash="f", source="s"))
    assert "reference" not in bare


# --- the words --------------------------------------------------------------------------------------------------------


def test_a_version_of_the_catalogue_stands_for_its_text() -> None:
    ours = catalogue().current(BLOG, "de")
    for given in ({"wording_text": ""}, {"wording_text": ours.text.replace("\n", "\r\n") + "\n"}):
        assert good(wording_version=ours.version, **given).wording == ours


def test_a_text_that_the_catalogue_knows_gets_its_version() -> None:
    ours = catalogue().current(BLOG, "de")
    assert good(wording_text=ours.text).wording == ours
    assert good(wording_text=ours.text, purpose=OPENS).wording.version.startswith("import-")


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"wording_version": "2019-01", "wording_text": ""}, "wording_version"),
        ({"wording_version": "2019-01"}, "wording_version"),
        ({"wording_version": "2026-11"}, "wording_text"),
    ],
)
def test_words_that_can_not_be_shown_prove_nothing(changes: dict[str, str], field: str) -> None:
    assert refused(**changes) == (field, Code.UNKNOWN_WORDING)


def test_imported_texts_are_bounded_and_never_confused() -> None:
    row = good()
    kept: dict[TextKey, str] = {}
    assert take_text(row, kept) is None
    assert kept == {(BLOG, row.wording.version, "de"): text_hash(TEXT)}
    full: dict[TextKey, str] = {(BLOG, f"import-{n}", "de"): "0" for n in range(MOST_TEXTS - 1)}
    full |= kept
    assert take_text(row, full) is None
    other = take_text(good(wording_text="A text of its own for Anna."), full)
    assert other is not None
    assert (other.field, other.code, len(full)) == ("wording_text", Code.UNKNOWN_WORDING, MOST_TEXTS)
    kept[row.text_key] = "another hash"
    assert take_text(row, kept) is not None
    ours = good(wording_text=catalogue().current(BLOG, "de").text)
    assert take_text(ours, full) is None


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, field, code",
    [
        ({"address": "nobody"}, "address", Code.INVALID),
        ({"address": ""}, "address", Code.INVALID),
        ({"address": "a\nb@example.com"}, "address", Code.INVALID),
        ({"purpose": "newsletter:gone"}, "purpose", Code.UNKNOWN_PURPOSE),
        ({"purpose": "service"}, "purpose", Code.UNKNOWN_PURPOSE),
        ({"purpose": ""}, "purpose", Code.UNKNOWN_PURPOSE),
        ({"language": "fr"}, "language", Code.INVALID),
        ({"salutation": "Frau"}, "salutation", Code.INVALID),
        ({"first_name": "x" * 81}, "first_name", Code.INVALID),
        ({"last_name": "Beispiel\r\nBcc: x@example.com"}, "last_name", Code.INVALID),
        ({"company": "a\x00b"}, "company", Code.INVALID),
        ({"form_url": "x" * 501}, "form_url", Code.INVALID),
        ({"form_url": "javascript:alert(1)"}, "form_url", Code.INVALID),
        ({"form_url": "https://a.example/\nx"}, "form_url", Code.INVALID),
        ({"wording_text": "x" * 10_001}, "wording_text", Code.INVALID),
        ({"wording_text": "Ja\x00"}, "wording_text", Code.INVALID),
        ({"reference": "x" * 201}, "reference", Code.INVALID),
        ({"requested_at": "01.05.2026"}, "requested_at", Code.INVALID),
        ({"requested_at": "2026-05-01T10:00:00"}, "requested_at", Code.INVALID),
        ({"requested_at": "0001-01-01T00:00:00+14:00"}, "requested_at", Code.INVALID),
        ({"last_mailed_at": "9999-12-31T23:59:59-14:00"}, "last_mailed_at", Code.IN_THE_FUTURE),
        ({"confirmed_at": "2026-11-02T11:00:01+01:00"}, "confirmed_at", Code.IN_THE_FUTURE),
        ({"confirmed_at": "2026-05-01T07:59:59Z"}, "confirmed_at", Code.INVALID),
    ],
)
def test_a_row_that_is_wrong_is_refused_with_its_field(changes: dict[str, str], field: str, code: Code) -> None:
    assert refused(**changes) == (field, code)


def test_consent_that_nobody_used_for_too_long_has_lapsed_unless_it_was_used() -> None:
    old = {"requested_at": "2020-05-01T10:00:00Z", "confirmed_at": "2020-05-01T10:00:00Z"}
    assert refused(**old) == ("confirmed_at", Code.LAPSED)
    assert refused(**old, last_mailed_at="2024-11-02T10:00:00Z") == ("confirmed_at", Code.LAPSED)
    used = good(**old, last_mailed_at="2024-11-02T10:00:01Z")
    assert used.last_mailed_at == datetime(2024, 11, 2, 10, 0, 1, tzinfo=UTC)


def test_blanks_around_values_are_dropped_and_a_missing_language_is_the_default() -> None:
    assert good(language="", first_name="  Anna ").language == "de"
    assert set(ROW) <= set(COLUMNS)


# --- what the service knows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", State)
def test_a_choice_on_record_stands_above_every_file(state: State) -> None:
    """Exactly where the table of consent lets an import act."""
    no = judge(good(), OnRecord(state=state))
    may = decide(state, Event.IMPORT).act is Act.IMPORTED
    assert may == (state in {State.UNKNOWN, State.REQUESTED})
    assert (no is None) == may
    assert no is None or no.code is Code.ON_RECORD


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(
    "known, code",
    [
        (OnRecord(erased=True, restricted=True, objected=True, from_this_file=True), Code.ERASED),
        (OnRecord(restricted=True, objected=True, from_this_file=True), Code.RESTRICTED),
        (OnRecord(objected=True, from_this_file=True), Code.OBJECTED),
        (OnRecord(from_this_file=True), Code.DUPLICATE),
    ],
)
def test_what_the_person_said_here_refuses_the_row_whatever_the_state(
    state: State, known: OnRecord, code: Code
) -> None:
    no = judge(good(), replace(known, state=state))
    assert no is not None
    assert (no.row, no.code) == (7, code)


def test_a_no_to_anything_refuses_what_was_confirmed_before_it() -> None:
    one = good()
    later = judge(one, OnRecord(said_no_at=one.confirmed_at + timedelta(seconds=1)))
    assert later is not None
    assert (later.field, later.code) == ("address", Code.WITHDREW_SINCE)
    assert judge(one, OnRecord(said_no_at=one.confirmed_at)) is None


def test_no_reason_could_be_read_as_a_formula() -> None:
    """A report opens in a spreadsheet: nothing that was typed stands in it, and nothing of ours begins a formula."""
    states = [judge(good(), OnRecord(state=state)) for state in State]
    typed = "=HYPERLINK(1)"
    rows = [parse_row(7, {**ROW, column: typed}, RULES) for column in COLUMNS]
    for one in (*states, *rows):
        if isinstance(one, Rejected):
            assert typed not in f"{one.field}{one.reason}"
            assert not [cell for cell in (one.field, one.reason, one.code.value) if cell[:1] in set("=+-@\t\r")]
