"""A record tells what the ledger proves: every purpose apart, every act with its text, and nothing of the person (E7)."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pixel_service.domain.consent import Act, Event, Purpose, State, is_valid
from pixel_service.domain.receipt_document import receipt_document, record_document
from pixel_service.domain.receipts import VALID_STATUSES, ConsentRecord, Status, build_record, status_of
from pixel_service.usecases.receipts import context
from tests.builders import BLOG, GLASFASER, OPENS, catalogue
from tests.receipts import (
    ADA,
    ADDRESS,
    Document,
    History,
    asked,
    dropped_content,
    parsed,
    practice,
    purposes_in,
    purposes_of,
    random_history,
    schema_problems,
    shape_problems,
)
from tests.scale import FULL, scaled

HISTORIES = scaled(1000, quick=100)


def record_of(history: History) -> ConsentRecord:
    record = build_record(history.subject, history.entries, catalogue())
    assert record is not None
    return record


def document_of(history: History) -> Document:
    return {"@context": context(), **record_document(record_of(history), practice())}


def receipt_of(history: History) -> Document:
    at = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
    return {"@context": context(), **receipt_document(record_of(history), practice(), at=at)}


def agreed() -> History:
    """The newsletter confirmed, measuring refused."""
    history = History()
    for purpose in (BLOG, OPENS):
        history.happens(purpose, Event.REQUEST)
        history.happens(purpose, Event.CONFIRMATION_SENT, {"sign_up": "s", "relay_reply": f"250 for {ADDRESS}"})
    history.happens(BLOG, Event.CONFIRM, asked(BLOG, source="confirm_page"))
    history.happens(OPENS, Event.REFUSE, asked(OPENS, source="confirm_page"))
    return history


# --- any history ----------------------------------------------------------------


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return [document_of(random_history(seed)) for seed in range(HISTORIES)]


@pytest.mark.slow
def test_the_record_of_any_history_passes_the_json_schema(documents: list[Document]) -> None:
    assert [problems for one in documents if (problems := schema_problems(one))] == []


@pytest.mark.slow
def test_a_json_ld_processor_finds_as_many_purposes_as_the_record_has(documents: list[Document]) -> None:
    told = purposes_of(documents)
    assert len(told) == HISTORIES
    for first in range(0, HISTORIES, 100):
        batch = documents[first : first + 100]
        assert purposes_in(parsed(batch)) == purposes_of(batch)
    assert set(Counter(len(purposes) for purposes in told.values())) == {1, 2, 3}


@pytest.mark.slow
def test_the_shapes_fit_what_the_processor_made_of_it(documents: list[Document]) -> None:
    seen = {one for document in documents for one in _shown_by(document)}
    if FULL:
        assert len({one for one in seen if one[0] == "state"}) == len({BLOG, GLASFASER, OPENS}) * len(Status)
        assert {act for kind, act, _ in seen if kind == "act"} == {act.value for act in Act}
    for first in range(0, HISTORIES, 50):
        assert shape_problems(parsed(documents[first : first + 50])) == ""


def _shown_by(document: Document) -> set[tuple[str, str, str]]:
    """Each purpose in its state, and each act with the state it tells."""
    states = {("state", process["purpose"]["broader"], process["state"]) for process in document["processes"]}
    events = [event for process in document["processes"] for event in process["events"]]
    return states | {("act", event["act"], event["type"][0]) for event in events}


def test_no_record_holds_an_address_or_what_was_typed(documents: list[Document]) -> None:
    for one in documents:
        text = json.dumps(one)
        assert ADDRESS not in text
        assert "anna" not in text.lower().replace("dr. anna petersen", "")
        assert "relay_reply" not in text


def test_the_state_of_each_process_is_what_a_replay_gives() -> None:
    for seed in range(200):
        history = random_history(seed)
        told = {process.purpose: process.status for process in record_of(history).processes}
        assert told == {purpose: status_of(state) for purpose, state in history.states.items()}


# --- one history ----------------------------------------------------------------


def test_a_record_and_a_receipt_pass_all_judges() -> None:
    for one in (document_of(agreed()), receipt_of(agreed())):
        assert schema_problems(one) == []
        assert shape_problems(parsed([one])) == ""


def test_only_given_and_renewed_are_valid_and_doubt_is_unknown() -> None:
    assert {status_of(state) for state in State if is_valid(state)} == VALID_STATUSES
    assert {status_of(state) for state in State if not is_valid(state)} & VALID_STATUSES == set()
    assert status_of(State.UNKNOWN) is Status.UNKNOWN


@pytest.mark.parametrize(
    "event,act,status,by_person",
    [
        (Event.RESTRICT, "restricted", Status.UNUSABLE, True),
        (Event.OBJECT, "objected", Status.WITHDRAWN, True),
        (Event.ERASE, "erased", Status.WITHDRAWN, True),
    ],
)
def test_a_right_is_told_by_its_act_and_allows_nothing(event: Event, act: str, status: Status, by_person: bool) -> None:
    history = agreed()
    history.happens(BLOG, event, {"source": "privacy_page"})
    newsletter = record_of(history).processes[0]
    last = newsletter.events[-1]
    assert (newsletter.status, last.act, last.status, last.by_person) == (status, act, status, by_person)
    assert last.method == "privacy_page"
    assert newsletter.status not in VALID_STATUSES
    assert schema_problems(document_of(history)) == []


def test_the_end_of_a_restriction_tells_what_stands_again_and_invents_nothing() -> None:
    history = agreed()
    for event in (Event.RESTRICT, Event.LIFT):
        for purpose in (BLOG, OPENS):
            history.happens(purpose, event)
    newsletter, tracking = record_of(history).processes
    assert [event.status for event in newsletter.events[-2:]] == [Status.UNUSABLE, Status.GIVEN]
    assert [event.status for event in tracking.events[-2:]] == [Status.REFUSED, Status.REFUSED]


def test_an_imported_consent_is_given_and_said_by_the_company() -> None:
    history = History()
    history.happens(BLOG, Event.IMPORT, {"source": "import"})
    (newsletter,) = record_of(history).processes
    assert (newsletter.status, newsletter.events[-1].status, newsletter.events[-1].by_person) == (
        Status.GIVEN,
        Status.GIVEN,
        False,
    )


def test_a_typed_request_shows_as_an_event_and_leaves_the_state_alone() -> None:
    history = agreed()
    history.happens(BLOG, Event.REQUEST)
    newsletter = record_of(history).processes[0]
    assert newsletter.status is Status.GIVEN
    assert newsletter.events[-1].status is Status.REQUESTED
    assert not newsletter.events[-1].by_person


def test_what_the_person_did_is_told_apart_from_what_the_service_did() -> None:
    newsletter = document_of(agreed())["processes"][0]
    by = [(event["act"], event["indicatedBy"].rpartition("#")[2]) for event in newsletter["events"]]
    assert by == [("requested", "company"), ("confirmation_sent", "company"), ("confirmed", f"subject-{ADA}")]


def test_the_exact_words_stand_in_the_record_and_each_event_points_to_them() -> None:
    record = document_of(agreed())
    wording = catalogue().current(BLOG, "de")
    shown = {notice["id"]: notice for notice in record["notices"]}
    asked_with = [shown[one] for one in record["processes"][0]["events"][0]["shown"]]
    assert [one["type"] for one in asked_with] == ["dpv:ConsentNotice", "dpv:PrivacyNotice"]
    assert (asked_with[0]["version"], asked_with[0]["language"]) == (wording.version, "de")
    assert (asked_with[0]["sha256"], asked_with[0]["text"]) == (wording.hash, wording.text)
    assert asked_with[1]["version"] == catalogue().notice_version


def test_words_that_do_not_hash_to_what_the_ledger_noted_are_not_shown() -> None:
    history = History()
    history.happens(BLOG, Event.REQUEST, asked(BLOG, wording_hash="0" * 64))
    (wording, _) = record_of(history).shown
    assert (wording.hash, wording.text) == ("0" * 64, None)


def test_a_form_in_a_language_without_texts_is_told_in_the_language_it_showed() -> None:
    history = History()
    history.happens(BLOG, Event.REQUEST, {**asked(BLOG, "de"), "language": "fr"})
    assert [text.language for text in record_of(history).shown] == ["de", "de"]
    assert record_of(history).shown[0].text == catalogue().current(BLOG, "de").text


def test_a_withdrawal_of_what_was_never_asked_says_that_nothing_was_shown() -> None:
    history = History()
    history.happens(OPENS, Event.WITHDRAW, {"source": "one_click"})
    record = document_of(history)
    assert [(one["version"], one["language"]) for one in record["notices"]] == [("unrecorded", "und")]
    assert record["processes"][0]["state"] == "dpv:ConsentWithdrawn"
    assert record["processes"][0]["events"][0]["method"] == "one_click"


def test_dropped_content_leaves_act_time_and_hash() -> None:
    history = agreed()
    history.entries = [dropped_content(entry) for entry in history.entries]
    record = document_of(history)
    assert schema_problems(record) == []
    assert [event["sha256"] for event in record["processes"][0]["events"]] == [
        entry.entry_hash for entry in history.entries if entry.purpose == BLOG
    ]
    assert [event["act"] for event in record["processes"][0]["events"]][-1] == "confirmed"


def test_content_that_is_no_object_is_no_content() -> None:
    history = agreed()
    history.entries = [replace(entry, content="[]") for entry in history.entries]
    assert schema_problems(document_of(history)) == []


def test_only_fields_that_were_filled_in_are_named_and_measuring_uses_none() -> None:
    newsletter, tracking = document_of(agreed())["processes"]
    named = [(datum["title"], datum["necessity"]) for datum in newsletter["personalData"]]
    assert named == [("address", "dpv:Required"), ("first_name", "dpv:Optional"), ("interests", "dpv:Optional")]
    assert {datum["collection"]["processing"][0] for datum in tracking["personalData"]} == {"dpv:Observe"}


def test_entries_about_no_purpose_make_no_record() -> None:
    history = History()
    history.happens(Purpose("service"), Event.WITHDRAW, {})
    assert build_record(ADA, history.entries, catalogue()) is None
    assert build_record(ADA, [], catalogue()) is None


def test_the_same_history_has_the_same_identifier_and_one_more_act_another() -> None:
    history = agreed()
    before = record_of(history).identifier
    assert record_of(agreed()).identifier == before
    history.happens(BLOG, Event.WITHDRAW)
    assert record_of(history).identifier != before


# --- the judges judge -------------------------------------------------------------


MUST = {
    "record": ("conformsTo", "identifier", "subject", "notices", "processes", "parties"),
    "process": (
        *("purpose", "personalData", "storage", "controller", "recipients", "withdrawal", "jurisdiction", "rights"),
        *("legalBasis", "processing", "processingConditions", "authority", "events", "state"),
    ),
    "event": ("type", "at", "duration", "indicatedBy"),
    "party": ("name", "partyIdentifier", "contact", "address"),
    "notice": ("version", "language"),
    "datum": ("broader", "necessity", "collection"),
}


def part_of(document: dict[str, Any], kind: str) -> dict[str, Any]:
    process = document["processes"][0]
    parts: dict[str, dict[str, Any]] = {
        "record": document,
        "process": process,
        "event": process["events"][0],
        "party": document["parties"][0],
        "notice": document["notices"][0],
        "datum": process["personalData"][0],
    }
    return parts[kind]


@pytest.mark.parametrize("kind,name", [(kind, name) for kind, names in MUST.items() for name in names])
def test_a_record_without_a_must_field_passes_neither_schema_nor_shapes(kind: str, name: str) -> None:
    document = json.loads(json.dumps(document_of(agreed())))
    del part_of(document, kind)[name]
    assert schema_problems(document) != []
    assert shape_problems(parsed([document])) != ""


def test_a_repeated_key_would_lose_a_purpose_and_is_found() -> None:
    """As in published examples: a JSON parser keeps the last one."""
    document = document_of(agreed())
    bodies = [json.dumps(process) for process in document["processes"]]
    rest = json.dumps({key: value for key, value in document.items() if key != "processes"})
    repeated = json.loads(rest[:-1] + "".join(f', "processes": {body}' for body in bodies) + "}")
    assert schema_problems(repeated) != []
    assert purposes_in(parsed([repeated])) != purposes_of([document])


def test_the_schema_refuses_what_it_does_not_know() -> None:
    document = document_of(agreed())
    assert schema_problems({**document, "email": ADDRESS}) != []
    assert schema_problems({**document, "subject": {**document["subject"], "identifier": ADDRESS}}) != []
