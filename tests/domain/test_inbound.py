"""What an incoming mail asks of us, decided from what could be read of it (W6, D9)."""

from dataclasses import replace
from typing import Any

import pytest

from pixel_service.domain.inbound import (
    MAX_EXCERPT,
    AutoReply,
    BounceLater,
    Kind,
    Own,
    Parsed,
    RemoveMe,
    Scope,
    Unclear,
    Unsubscribe,
    classify,
    fingerprint,
)

TOKEN = "a" * 100
OURS, OTHER = "b" * 26, "c" * 26
OWN = Own(mail_domain="News.example", unsubscribe_address="Stop@news.example", is_genuine=TOKEN.__eq__)
MAIL = Parsed(
    message_id="one@mail.example",
    sender="anna@example.com",
    subject="",
    date="",
    text="Bitte abmelden",
    recipients=("stop@news.example",),
    references=(),
)
REMOVE = RemoveMe(Scope.MAIL, (), needs_answer=False)


def mail(**changes: Any) -> Parsed:
    return replace(MAIL, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": TOKEN},
        {"subject": f"Re: {TOKEN}."},
        {"subject": TOKEN.upper()},
        {"recipients": ("anna@example.com", f"stop+{TOKEN}@news.example")},
        {"subject": TOKEN, "auto_submitted": "auto-generated"},
        {"subject": TOKEN, "broken": True, "text": "Nicht abmelden!"},
    ],
)
def test_a_signed_link_decides_alone(changes: dict[str, Any]) -> None:
    assert classify(mail(**changes), OWN) == Unsubscribe(TOKEN)


def test_a_forged_link_is_no_link() -> None:
    assert classify(mail(subject="d" * 100, text=""), OWN) == Unclear(())
    assert classify(mail(subject="d" * 100), OWN) == REMOVE


@pytest.mark.parametrize(
    "changes",
    [
        {"auto_submitted": "auto-replied"},
        {"auto_submitted": "auto-generated"},
        {"precedence": "bulk"},
        {"precedence": "auto_reply"},
        {"has_machine_header": True},
        {"has_empty_return_path": True},
        {"kind": Kind.READ_RECEIPT},
    ],
)
def test_what_a_machine_wrote_asks_for_nothing(changes: dict[str, Any]) -> None:
    assert classify(mail(**changes), OWN) == AutoReply()


def test_a_delivery_report_is_told_apart_even_without_a_return_path() -> None:
    assert classify(mail(kind=Kind.REPORT, has_empty_return_path=True), OWN) == BounceLater()


def test_a_person_who_says_that_no_machine_wrote_it_is_believed() -> None:
    assert classify(mail(auto_submitted="no", precedence="normal"), OWN) == REMOVE


def test_a_reply_names_our_mails_nearest_first_and_each_once() -> None:
    found = classify(
        mail(
            recipients=("news@news.example", f"bounce-{OURS}@news.example"),
            references=(f"{OTHER}@news.example", f"{OURS}@NEWS.example", f"{OURS}@evil.example", "x@news.example"),
        ),
        OWN,
    )
    assert found == RemoveMe(Scope.MAIL, (OURS, OTHER), needs_answer=False)  # type: ignore[arg-type]


def test_an_unclear_mail_keeps_what_it_answers() -> None:
    assert classify(mail(text="Danke!", references=(f"{OURS}@news.example",)), OWN) == Unclear((OURS,))  # type: ignore[arg-type]


def test_the_subject_counts_unless_it_is_ours() -> None:
    assert classify(mail(subject="Abmelden", text=""), OWN) == REMOVE
    for prefix in ("AW:", "Re:", "WG:", "Fwd :", "RE[2]:"):
        assert classify(mail(subject=f"{prefix} Jetzt abmelden", text="Danke"), OWN) == Unclear(())
        assert classify(mail(subject=f"{prefix} Nicht vergessen"), OWN) == REMOVE


def test_an_empty_mail_to_the_unsubscribe_address_is_a_wish_and_elsewhere_a_riddle() -> None:
    assert classify(mail(text=" \n"), OWN) == REMOVE
    assert classify(mail(text="", recipients=("news@news.example",)), OWN) == Unclear(())


def test_words_that_could_not_be_decoded_prove_nothing() -> None:
    assert classify(mail(broken=True), OWN) == Unclear(())


def test_the_scope_and_the_need_for_an_answer_come_from_the_words() -> None:
    found = classify(mail(text="Bitte die Messung abstellen. Woher haben Sie meine Adresse?"), OWN)
    assert found == RemoveMe(Scope.TRACKING, (), needs_answer=True)


def test_a_mail_has_one_fingerprint_by_whatever_way_it_comes() -> None:
    known = fingerprint(MAIL, REMOVE)
    assert fingerprint(mail(recipients=(), has_empty_return_path=True), Unclear(())) == known
    for changes in ({"message_id": "two"}, {"sender": "b@x.example"}, {"date": "x"}, {"subject": "x"}, {"text": "x"}):
        assert fingerprint(mail(**changes), REMOVE) != known
    assert fingerprint(mail(subject="a", text="b"), REMOVE) != fingerprint(mail(subject="a\0b", text=""), REMOVE)


def test_mails_that_differ_in_nothing_but_the_link_they_were_sent_to_are_two() -> None:
    one = fingerprint(MAIL, Unsubscribe(TOKEN))
    assert fingerprint(mail(recipients=()), Unsubscribe(TOKEN)) == one
    assert len({one, fingerprint(MAIL, Unsubscribe("b" * 100)), fingerprint(MAIL, REMOVE)}) == 3


def test_an_excerpt_is_bounded() -> None:
    assert mail(text=f"\n {'ß' * 5000}").excerpt == "ß" * MAX_EXCERPT


SECRET = "ab2c3d4e5f6g7hijklmnopqrstuvwxyz" * 3


@pytest.mark.parametrize(
    "quoted, shown",
    [
        (f"> https://x.example/privacy/me/{SECRET}\n> Ende", "> https://x.example/privacy/me/ab2c3d4e…\n> Ende"),
        (f"/p/{SECRET}, /c/{SECRET})", "/p/ab2c3d4e…, /c/ab2c3d4e…)"),
        (f"/p/{SECRET[:40]}=\n{SECRET[40:]}", "/p/ab2c3d4e…=\n5f6g7hij…"),
        (f"/p/{SECRET[:20]}=\n{SECRET[20:40]}=\n{SECRET[40:44]}.", "/p/ab2c3d4e…."),
        (f">> /p/{SECRET[:20]} \n>> {SECRET[20:40]}\n> >  | {SECRET[40:44]}", ">> /p/ab2c3d4e…"),
        (OURS, "bbbbbbbb…"),
        ("b" * 25, "b" * 25),
    ],
)
def test_who_reads_a_letter_can_not_open_the_pages_whose_links_it_quotes(quoted: str, shown: str) -> None:
    assert mail(text=quoted).excerpt == shown
    assert mail(subject=f"AW: {quoted}").heading == f"AW: {shown}"


def test_words_at_the_ends_of_lines_stay_whole() -> None:
    written = "wegen der nebenkostenabrechnungen\nwiderspruchsfristen und\n> datenschutzhinweise\n2 Briefe"
    assert mail(text=written).excerpt == written
