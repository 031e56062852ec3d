"""What the proof says follows from the entries alone: the newest of each kind, the words they name, what was altered."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pixel_service.domain.checkpoints import sign
from pixel_service.domain.consent import Act, Purpose, State
from pixel_service.domain.evidence import (
    Chain,
    Evidence,
    PurposeProof,
    ReadMail,
    SentMail,
    ShownText,
    TextKey,
    names_mail,
    prove,
    read,
    texts_named,
)
from pixel_service.domain.evidence_document import Document, Fact, Quote, Section, Step, as_text
from pixel_service.domain.evidence_record import as_record
from pixel_service.domain.ledger import GENESIS, Draft, Entry, chain
from pixel_service.domain.messages import MessageId, SignUpId, SubscriberId
from pixel_service.domain.wordings import text_hash

START = datetime(2026, 11, 22, 9, tzinfo=UTC)
BLOG, OTHER = Purpose("newsletter:blog"), Purpose("newsletter:other")
ANNA = SubscriberId("anna")
MAIL = SentMail(
    message_id=MessageId("m"),
    sign_up_id=SignUpId("s"),
    subscriber_id=ANNA,
    sent_at=START,
    relay_reply="250 taken",
    data=b"To: anna@example.com\r\n\r\nHello\r\n",
)
OLD, NEW = ShownText(text="Old words", published_at=START), ShownText(text="New words", published_at=START)
TEXTS: dict[TextKey, ShownText] = {(BLOG, "1", "de"): OLD, (BLOG, "2", "de"): NEW}


def entries(*acts: tuple[Act, dict[str, object]], purpose: Purpose = BLOG) -> list[Entry]:
    made: list[Entry] = []
    for number, (act, content) in enumerate(acts):
        draft = Draft(
            subscriber_id=ANNA,
            purpose=purpose,
            act=act,
            at=START + timedelta(minutes=number),
            content=content,
            salt="salt",
        )
        made.append(chain(draft, seq=number + 1, previous_hash=made[-1].entry_hash if made else GENESIS))
    return made


def words(text: ShownText, version: str) -> dict[str, object]:
    return {"wording_version": version, "language": "de", "wording_hash": text_hash(text.text)}


def proof_of(*acts: tuple[Act, dict[str, object]]) -> PurposeProof:
    (proof,) = prove(read(entries(*acts)), TEXTS)
    return proof


def test_the_newest_act_of_each_kind_is_named_and_the_state_is_replayed() -> None:
    proof = proof_of(
        (Act.REQUESTED, {"fields": {"address": "anna@example.com"}}),
        (Act.CONFIRMED, {}),
        (Act.RENEWED, {}),
        (Act.WITHDRAWN, {"source": "one_click"}),
    )
    assert (proof.state, proof.valid) == (State.WITHDRAWN, False)
    assert proof.requested is not None
    assert proof.requested.fields == {"address": "anna@example.com"}
    assert proof.confirmed is not None
    assert (proof.confirmed.entry.seq, dict(proof.confirmed.fields)) == (3, {})
    assert proof.withdrawn is not None
    assert proof.withdrawn.text("source") == "one_click"
    assert (proof.refused, proof.expired) == (None, None)


def test_the_words_are_those_of_the_consent_also_when_newer_ones_were_asked_for_later() -> None:
    proof = proof_of((Act.CONFIRMED, words(OLD, "1")), (Act.REQUESTED, words(NEW, "2")))
    assert proof.text is not None
    assert (proof.text.version, proof.text.shown, proof.text.matches) == ("1", OLD, True)
    only_asked = proof_of((Act.REQUESTED, words(OLD, "1")), (Act.REQUESTED, words(NEW, "2")))
    assert only_asked.text is not None
    assert only_asked.text.version == "2"
    assert proof_of((Act.WITHDRAWN, {})).text is None


def test_a_text_on_file_that_is_not_the_one_agreed_to_is_said() -> None:
    changed = proof_of((Act.CONFIRMED, words(NEW, "1")))
    missing = proof_of((Act.CONFIRMED, words(NEW, "7")))
    assert changed.text is not None
    assert missing.text is not None
    assert (changed.text.matches, missing.text.matches, missing.text.shown) == (False, False, None)


def test_only_published_texts_that_entries_name_are_looked_for() -> None:
    statements = read(entries((Act.REQUESTED, words(OLD, "1")), (Act.WITHDRAWN, {})))
    assert texts_named(statements) == {(BLOG, "1", "de")}


def test_an_altered_entry_is_told_apart_and_vouches_for_no_mail() -> None:
    (entry,) = entries((Act.CONFIRMATION_SENT, {"mail_hash": MAIL.hash}))
    altered = replace(entry, at=START + timedelta(days=1))
    assert [one.intact for one in read([entry, altered])] == [True, False]
    assert names_mail(read([entry]), MAIL)
    assert not names_mail(read([altered]), MAIL)
    assert not names_mail(read([entry]), replace(MAIL, data=b"other"))
    assert not names_mail(read(entries((Act.CONFIRMED, {"mail_hash": MAIL.hash}))), MAIL)


def test_dropped_content_leaves_an_entry_that_still_stands() -> None:
    (entry,) = entries((Act.CONFIRMED, words(OLD, "1")))
    (one,) = read([replace(entry, content=None, salt=None)])
    assert (dict(one.content), one.text("wording_version"), one.intact) == ({}, "", True)


def evidence(*purposes: PurposeProof, mails: tuple[ReadMail, ...] = (), signed: bool = False) -> Evidence:
    covered = sign(b"s" * 32, seq=1, head="0" * 64, at=START) if signed else None
    return Evidence(
        address="anna@example.com",
        subscriber_id=ANNA,
        at=START,
        by="mia@example.com",
        reason="request 17",
        purposes=purposes,
        mails=mails,
        chain=Chain(entries=9, covered=covered, public_key="00"),
    )


def test_entries_of_several_purposes_stand_in_the_order_of_the_ledger() -> None:
    one, two, three = entries((Act.REQUESTED, {}), (Act.REQUESTED, {}), (Act.CONFIRMED, {}))
    proofs = prove(read([one, replace(two, purpose=OTHER), three]), {})
    assert [proof.purpose for proof in proofs] == [BLOG, OTHER]
    assert [one.entry.seq for one in evidence(*proofs).statements] == [1, 2, 3]


def test_the_record_says_all_of_it_in_json() -> None:
    asked = (Act.REQUESTED, {**words(OLD, "1"), "notice_version": "2026-11"})
    proof = proof_of(asked, (Act.CONFIRMED, words(OLD, "1")))
    mail = ReadMail(sent=MAIL, headers=(("To", "anna@example.com"),), text="Hello", in_ledger=True, link_lives=False)
    told = json.loads(json.dumps(as_record(evidence(proof, mails=(mail,), signed=True))))
    assert told["purposes"][0] == {
        "purpose": "newsletter:blog",
        "state": "given",
        "consent_stands": True,
        "requested_at": "2026-11-22T09:00:00+00:00",
        "confirmed_at": "2026-11-22T09:01:00+00:00",
        "imported_at": None,
        "withdrawn_at": None,
        "wording": {
            "version": "1",
            "language": "de",
            "sha256": text_hash("Old words"),
            "text": "Old words",
            "text_matches": True,
        },
        "notice_version": "2026-11",
    }
    assert told["chain"]["checkpoint"]["at"] == "2026-11-22T09:00:00+00:00"
    assert told["confirmation_mails"][0]["source_base64"].startswith("VG86")
    assert told["confirmation_mails"][0]["source_withheld"] is None
    assert [one["seq"] for one in told["ledger_entries"]] == [1, 2]
    assert told["ledger_entries"][0]["intact"] is True


def test_imported_consent_is_proven_by_what_was_imported_until_the_person_confirms_here() -> None:
    taken = (Act.IMPORTED, {**words(OLD, "1"), "confirmed_at": "2024-05-01T08:05:00+00:00"})
    asked = (Act.REQUESTED, words(NEW, "2"))
    proof = proof_of(taken, asked)
    assert proof.imported is not None
    assert proof.text is not None
    assert (proof.state, proof.text.shown) == (State.GIVEN, OLD)
    assert proof.confirmed_at == datetime(2024, 5, 1, 8, 5, tzinfo=UTC)
    assert proof_of(taken, asked, (Act.RENEWED, words(NEW, "2"))).confirmed_at == START + timedelta(minutes=2)
    assert proof_of((Act.IMPORTED, {})).confirmed_at == START
    assert proof_of(asked).confirmed_at is None


def test_the_record_of_what_is_missing_says_null() -> None:
    record = as_record(evidence(proof_of((Act.CONFIRMED, words(NEW, "7"))), proof_of((Act.WITHDRAWN, {}))))
    told = json.loads(json.dumps(record))
    first, second = told["purposes"]
    assert first["wording"]["text"] is None
    assert (second["wording"], second["notice_version"]) == (None, None)
    assert told["chain"] == {"entries": 9, "public_key": "00", "checkpoint": None}


def test_a_document_reads_well_as_plain_text() -> None:
    section = Section(
        title="Agreed",
        paragraphs=("word " * 30,),
        facts=(Fact("When", "today"), Fact("Hash", "00", exact=True)),
        quotes=(Quote("Words", "One.\n\nTwo."),),
        steps=(Step("1. Asked", (Fact("When", "now"),)),),
    )
    text = as_text(Document(title="Proof", facts=(), sections=(section, Section(title="Empty"))))
    assert text.startswith("Proof\n=====\n\n\nAgreed\n------\n\nword word")
    assert (
        "\nWhen: today\nHash: 00\n\nWords:\n  | One.\n  |\n  | Two.\n\n1. Asked\n  When: now\n\nEmpty\n-----\n" in text
    )
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("secret", ["anna@example.com", "Hello"])
def test_a_mail_does_not_show_its_content_in_a_traceback(secret: str) -> None:
    assert secret not in repr(MAIL)
