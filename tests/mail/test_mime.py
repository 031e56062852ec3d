"""Headers and quoted-printable: nothing a value holds changes the shape of a mail."""

import quopri
import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest
from hypothesis import given, strategies as st

from pixel_service.mail import mime

anything = st.text(max_size=400)
lines = st.text(alphabet=st.sampled_from("a.= \tF\r\nrom ü€😀\x00"), max_size=300)


def parsed(field: bytes) -> EmailMessage:
    message = message_from_bytes(field + b"\r\n", policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def decoded(*pieces: bytes) -> str:
    return quopri.decodestring(b"".join(pieces)).decode().replace("\r\n", "\n")


@given(st.lists(st.one_of(anything, lines), min_size=1, max_size=6))
def test_joined_pieces_decode_to_the_joined_texts(texts: list[str]) -> None:
    pieces = [mime.quoted_printable(text) for text in texts]
    assert decoded(*pieces) == "".join(mime.clean_lines(text) for text in texts)


@given(st.lists(st.one_of(anything, lines), min_size=1, max_size=6))
def test_an_encoded_body_is_seven_bit_with_short_lines_and_nothing_an_smtp_server_trips_over(texts: list[str]) -> None:
    body = b"".join(mime.quoted_printable(text) for text in texts)
    assert body.isascii()
    assert b"\x00" not in body
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", body)
    for line in body.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.startswith((b".", b"From "))
        assert not line.endswith((b" ", b"\t"))


@pytest.mark.parametrize("end", ["\r\n.\r\n", "\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\x85.\x85", "\u2028.\u2028"])
def test_an_end_of_mail_in_a_body_is_only_text(end: str) -> None:
    body = mime.quoted_printable(f"before{end}MAIL FROM:<x@y>{end}")
    assert body.startswith(b"before\r\n=2E\r\nMAIL FROM:<x@y>\r\n=2E")


@pytest.mark.parametrize("length", range(70, 80))
@pytest.mark.parametrize("letter", ["x", "ü", "=", "."])
def test_a_piece_of_any_length_leaves_room_for_its_soft_break(length: int, letter: str) -> None:
    body = mime.quoted_printable(letter * length)
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert decoded(body) == letter * length


def test_a_short_plain_value_takes_the_same_form_as_any_other() -> None:
    assert mime.quoted_printable("https://a.example/u/abc") == b"https://a.example/u/abc=\r\n"
    assert mime.quoted_printable("") == b""
    assert mime.quoted_printable("From me") == b"=46rom me=\r\n"


@given(anything)
def test_no_value_starts_a_new_header(value: str) -> None:
    try:
        field = mime.header("X-Test", value)
    except ValueError:
        assert re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]|\S{900}", value)
        return
    assert field.endswith(b"\r\n")
    assert parsed(field).keys() == ["X-Test"]


@given(anything)
def test_a_subject_reads_back_as_written_but_for_blank_space(value: str) -> None:
    field = mime.folded("Subject", mime.subject(value))
    assert field.isascii()
    assert all(len(line) <= 76 for line in field.split(b"\r\n"))
    message = parsed(field)
    assert message.keys() == ["Subject"]
    assert message["Subject"].split() == " ".join(mime.one_line(value).split()).split()


@given(anything)
def test_a_display_name_reads_back_and_never_becomes_an_address(name: str) -> None:
    field = mime.folded("To", mime.mailbox(name, "anna@kunde.example"))
    assert field.isascii()
    assert all(len(line) <= 76 for line in field.split(b"\r\n"))
    message = parsed(field)
    assert message.keys() == ["To"]
    (address,) = message["To"].addresses
    assert address.addr_spec == "anna@kunde.example"
    # The library's parser of structured fields keeps the space between encoded words of one phrase; its older one is right.
    phrase = str(make_header(decode_header(field.decode().removeprefix("To:").rpartition("<")[0].replace("\r\n", ""))))
    assert re.sub(r'["\\]', "", phrase).split() == re.sub(r'["\\]', "", mime.one_line(name)).split()


@pytest.mark.parametrize(
    "address",
    [
        *("", "anna", "anna@", "@kunde.example", "a b@kunde.example", "anna@kunde.example\r\nBcc: x@y.example"),
        *("anna@kunde.example,x@y.example", "anna@kunde.example>", "ännä@kunde.example", "a..b@x.example"),
        *(f"{'a' * 250}@kunde.example", "anna@ü..example", '"a b"@kunde.example'),
    ],
)
def test_what_is_not_one_plain_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        mime.mailbox(None, address)


def test_a_domain_with_other_letters_is_written_as_servers_know_it() -> None:
    assert mime.mailbox("Anna", "anna@straße.example") == "Anna <anna@xn--strae-oqa.example>"


@pytest.mark.parametrize("name", ["", "Sub ject", "Sub:ject", "X\r\nY", "Ä", "x" * 100, "1X"])
def test_a_header_name_that_could_break_out_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a header name"):
        mime.header(name, "x")


@pytest.mark.parametrize("value", ["a\r\nBcc: x", "a\nb", "a\rb", "a\x00b", "a\x85b", "a\u2028b", "\ud800"])
def test_a_header_value_with_control_characters_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        mime.header("X-Test", value)


def test_a_structured_header_keeps_its_ascii_parts_as_they_are() -> None:
    field = mime.header("List-Id", "Netzwerk-Blog für alle <blog.nordlicht.example>")
    assert field == b"List-Id: Netzwerk-Blog =?utf-8?b?ZsO8cg==?= alle <blog.nordlicht.example>\r\n"


def test_a_long_header_is_folded_at_spaces_and_a_long_word_stays_whole() -> None:
    url = f"<https://a.example/u/{'x' * 90}>"
    assert mime.header("List-Unsubscribe", f"{url}, <mailto:u@a.example>") == (
        f"List-Unsubscribe: {url},\r\n <mailto:u@a.example>\r\n".encode()
    )
    with pytest.raises(ValueError, match="too long"):
        mime.header("List-Unsubscribe", f"<https://a.example/{'x' * 1000}>")
