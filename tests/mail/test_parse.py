"""Mails from outside are read as far as they can be, whatever their bytes are, and soon."""

import base64
import time

import pytest
from hypothesis import given, strategies

from pixel_service.domain.inbound import Kind, Parsed
from pixel_service.mail.parse import MAX_NESTED, MAX_PARTS, MAX_READ, MAX_TEXT, parse
from tests.letters import ANNA, STOP, answer, letter, raw, report

NOBODY: tuple[str, ...] = ()


def read(source: bytes, envelope_from: str | None = ANNA, envelope_to: tuple[str, ...] = NOBODY) -> Parsed:
    return parse(source, envelope_from, envelope_to)


def html(body: str) -> str:
    return read(raw("Content-Type: text/html; charset=utf-8", body=body.encode())).text.strip()


def test_a_plain_letter_is_read_whole() -> None:
    found = read(
        letter("Bitte ä\n", subject="Größe", message_id="one@mail.example"), envelope_to=("Stop@News.example",)
    )
    assert found == Parsed(
        message_id="one@mail.example",
        sender=ANNA,
        subject="Größe",
        date="Mon, 02 Nov 2026 10:00:00 +0000",
        text="Bitte ä\n",
        recipients=("stop@news.example", STOP),
        references=(),
    )


def test_an_answer_names_the_nearest_mail_first() -> None:
    found = read(answer("a" * 26))
    assert found.references == (f"{'a' * 26}@news.example", f"{'a' * 26}@news.example", "other@x.example")


def test_the_first_plain_text_is_read_and_no_attachment() -> None:
    body = (
        b"--b\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nattached\r\n"
        b"--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n"
        b"--c\r\nContent-Type: text/html\r\n\r\n<p>html</p>\r\n--c\r\nContent-Type: text/plain\r\n\r\nplain\r\n--c--\r\n--b--\r\n"
    )
    assert read(raw("Content-Type: multipart/mixed; boundary=b", body=body)).text.strip() == "plain"


def test_a_forwarded_mail_is_not_the_senders_own_word() -> None:
    body = b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nunsubscribe\r\n--b--\r\n"
    assert read(raw("Content-Type: multipart/mixed; boundary=b", body=body)).text == ""
    assert read(raw("Content-Type: message/rfc822", body=b"Subject: x\r\n\r\nunsubscribe")).text == ""


@pytest.mark.parametrize(
    "body, text",
    [
        ("<p>Bitte <b>ab</b>melden</p><p>Danke</p>", "Bitte abmelden\n\nDanke"),
        ("<div>Ja<br>Nein &amp; so</div>", "Ja\nNein & so"),
        ("Ja<blockquote>Unsubscribe</blockquote>", "Ja"),
        ('Ja<div class="gmail_quote">Unsubscribe</div>', "Ja"),
        ("<style>p {}</style><title>x</title>Ja<script>abmelden</script> doch", "Ja doch"),
        ('<a href="https://news.example/u/x">Unsubscribe</a>', "https://news.example/u/x Unsubscribe"),
        ('<a href="mailto:a@b.example">Anna</a>', "Anna"),
        ("a < b", "a < b"),
    ],
)
def test_html_is_read_as_a_person_wrote_it(body: str, text: str) -> None:
    assert html(body) == text


@pytest.mark.parametrize(
    "charset, octets, text",
    [
        ("utf-8", "Grüße".encode(), "Grüße"),
        ("iso-8859-1", "Grüße".encode("latin-1"), "Grüße"),
        ('"windows-1252"', "Grüße".encode("cp1252"), "Grüße"),
        ("us-ascii", "Grüße".encode(), "Grüße"),
    ],
)
def test_charsets_of_mail_programs_are_understood(charset: str, octets: bytes, text: str) -> None:
    found = read(raw(f"Content-Type: text/plain; charset={charset}", "Content-Transfer-Encoding: 8bit", body=octets))
    assert (found.text, found.broken) == (text, False)


@pytest.mark.parametrize(
    "headers, body",
    [
        (("Content-Type: text/plain; charset=utf-8",), b"abmelden \xff\xfe"),
        (("Content-Type: text/plain; charset=no-such",), b"abmelden"),
        (("Content-Type: text/plain; charset=unicode_escape",), b"\\x61bmelden"),
        (("Content-Type: text/plain; charset=zlib",), b"abmelden"),
        (("Content-Type: text/plain; charset=x\x00y",), b"abmelden"),
        (("Content-Transfer-Encoding: base64",), b"YWJtZWxkZW4"),
        (("Subject: =?utf-8?q?=FF=FF?=", "Content-Type: text/plain"), b"abmelden"),
        (("Subject: =?no-such?q?abmelden?=",), b"abmelden"),
    ],
)
def test_what_can_not_be_decoded_is_marked_and_never_raises(headers: tuple[str, ...], body: bytes) -> None:
    assert read(raw(*headers, body=body)).broken


def test_the_structure_tells_reports_receipts_and_machines() -> None:
    assert read(report()).kind is Kind.REPORT
    assert read(report("feedback-report")).kind is Kind.REPORT
    assert read(report("disposition-notification")).kind is Kind.READ_RECEIPT
    machine = read(letter(auto_submitted="Auto-Replied; owner=x", precedence="Bulk", list_id="<x.example>"))
    assert (machine.auto_submitted, machine.precedence, machine.has_machine_header) == ("auto-replied", "bulk", True)
    assert read(letter(x_autoreply="yes")).has_machine_header


def test_an_empty_return_path_is_told_from_one_that_nobody_knows() -> None:
    assert read(letter(), "").has_empty_return_path
    assert not read(letter(), None).has_empty_return_path
    assert read(letter(return_path="<>"), None).has_empty_return_path
    assert not read(letter(return_path="<>"), ANNA).has_empty_return_path


def test_nothing_is_kept_that_a_database_refuses_or_a_terminal_obeys() -> None:
    found = read(
        raw("Subject: a\x1b[2Jb\x00", "From: <a\x00@b.example>", "Content-Type: text/plain", body=b"x\x00y\x1bz")
    )
    assert (found.subject, found.text) == ("a[2Jb", "xyz")
    assert "\x00" not in found.sender


# --- bombs -----------------------------------------------------------------------


def nested(levels: int) -> bytes:
    head = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(levels))
    return head + b"\r\n" + b"x\r\n" * 100_000


BOMBS = {
    "nested multiparts": nested(900),
    "nested in secret": nested(900).replace(b"boundary=", b"BOUNDARY*=us-ascii''"),
    "nested letters": b"Content-Type: message/rfc822\r\n\r\n" * 20_000,
    "many parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 150_000,
    "many headers": b"X: y\r\n" * 170_000,
    "one long header": b"Content-Type: text/plain" + b";" * 1_000_000,
    "many parameters": (b"Content-Type: text/plain" + b'; a="b' * 200_000),
    "many recipients": b"To: " + b"a@b.example, " * 70_000,
    "comments in an address": b"From: " + b"(" * 1_000_000,
    "long references": b"References: " + b"<a@b>" * 200_000,
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 70_000,
    "open tags": b"Content-Type: text/html\r\n\r\n" + b"<a " * 300_000,
    "open comments": b"Content-Type: text/html\r\n\r\n" + b"<!--" * 250_000,
    "headers of a part": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + b"X: y\r\n" * 170_000,
    "quotes in tags": b"Content-Type: text/html\r\n\r\n" + b"<a b='" * 150_000,
    "raw elements": b"Content-Type: text/html\r\n\r\n" + b"<style>" * 140_000,
    "punycode": b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a-" * 500_000,
    "base64": b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(b"\0" * 700_000),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_no_mail_takes_long_or_becomes_large(bomb: bytes) -> None:
    started = time.perf_counter()
    found = read(bomb)
    assert time.perf_counter() - started < 5
    assert len(found.text) <= MAX_TEXT
    assert len(repr(found)) < 3 * MAX_TEXT


def test_deep_and_many_parts_are_not_opened_and_few_are() -> None:
    deep = read(b"Subject: hello\r\n" + nested(MAX_NESTED + 1))
    assert (deep.subject, deep.text, deep.broken) == ("hello", "", True)
    wide = b"Subject: hello\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nabmelden\r\n" * (
        MAX_PARTS + 1
    )
    assert (read(wide).subject, read(wide).broken) == ("hello", True)


def test_of_a_large_mail_the_beginning_is_read() -> None:
    found = read(letter("Bitte abmelden") + b"x" * MAX_READ)
    assert found.text.startswith("Bitte abmelden")


@given(strategies.binary(max_size=2000))
def test_no_octets_break_the_reading(source: bytes) -> None:
    read(source, None)


PIECES = strategies.sampled_from(
    [b"Content-Type: ", b"multipart/mixed; boundary=", b"b", b"\r\n", b"--b", b"text/plain", b"; charset=", b"utf-8", b"=?",
     b"?q?", b"?=", b"From: ", b"<", b">", b"@", b'"', b"\\", b"(", b"\xff", b"\x00", b"message/rfc822", b":", b",", b" ",
     b"Content-Transfer-Encoding: base64", b"Subject: ", b"To: ", b"*0*=", b"[", b"report-type*=", b"\n"]
)  # fmt: skip


@given(strategies.lists(PIECES, max_size=60))
def test_no_pieces_of_mails_break_the_reading(pieces: list[bytes]) -> None:
    read(b"".join(pieces), None)
