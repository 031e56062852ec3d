"""A file of contacts: one broken line costs itself, and reading goes on wherever a record ended."""

import io
import re

import pytest
from hypothesis import given, strategies as st

from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.import_file import MOST_BYTES, Header, Record, read_header, records

KNOWN = ("address", "purpose", "text")
HEAD = b"address,purpose,text\n"


def header_of(data: bytes) -> Header:
    return read_header(io.BytesIO(data).readline, known=KNOWN, required=("address", "purpose"))


def read(data: bytes, *, row: int = 1, offset: int | None = None) -> list[Record]:
    stream = io.BytesIO(data)
    header = read_header(stream.readline, known=KNOWN, required=("address", "purpose"))
    start = header.end if offset is None else offset
    stream.seek(start)
    return list(records(stream.readline, header, row=row, offset=start))


def told(data: bytes) -> dict[int, tuple[str, ...] | str]:
    return {one.row: one.values or one.problem for one in read(HEAD + data)}


# --- the header -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [b"address,purpose\n", b"\xef\xbb\xbfaddress,purpose\r\n", b"Address ; PURPOSE\n", b'"address","purpose"\n'],
)
def test_a_header_with_or_without_byte_order_mark_names_the_columns(line: bytes) -> None:
    header = header_of(line + b"a,b\n")
    assert (header.columns, header.end) == (("address", "purpose"), len(line))


def test_semicolons_are_read_where_the_header_uses_them() -> None:
    (one,) = read(b"address;purpose;text\na@b.example;newsletter:blog;a, b\n")
    assert one.values == ("a@b.example", "newsletter:blog", "a, b")


@pytest.mark.parametrize(
    "line, problem",
    [
        (b"address,purpose,adress\n", "header: columns that are unknown: number 3"),
        (b"anna@example.com,x\n", "header: columns that are unknown: number 1, number 2"),
        (b"address\n", "header: columns that are missing: purpose"),
        (b"address,purpose,purpose\n", "header: columns that are there twice: purpose"),
        (b"", "header: columns that are missing: address, purpose"),
        (b'address,"purpose\n', "header: columns that are missing: address, purpose"),
        (b"\xff\xfea\x00d\x00", "file: this is not a CSV file in UTF-8 whose first line names the columns"),
        (b"x" * (MOST_BYTES + 1), "file: this is not a CSV file in UTF-8 whose first line names the columns"),
    ],
)
def test_a_header_that_is_not_ours_is_an_error_that_repeats_nothing_of_it(line: bytes, problem: str) -> None:
    with pytest.raises(InvalidInput) as error:
        header_of(line)
    assert str(error.value) == problem


# --- records ----------------------------------------------------------------------------------------------------------


def test_rows_are_counted_like_a_spreadsheet_does_and_blank_ones_passed_over() -> None:
    assert told(b"a,b,c\n\r\nd,e,f") == {2: ("a", "b", "c"), 4: ("d", "e", "f")}


def test_quoted_fields_hold_delimiters_quotation_marks_and_line_breaks() -> None:
    assert told(b'a,b,"x, ""y""\r\nz"\nd,e,f\n') == {2: ("a", "b", 'x, "y"\r\nz'), 3: ("d", "e", "f")}


@pytest.mark.parametrize(
    "line, problem",
    [
        (b"a,b", "2 fields, the header names 3"),
        (b"a,b,c,d", "4 fields, the header names 3"),
        (b'a,"b"x,"c"', "the line is not CSV"),
        (b"a,b\rx,c", "the line is not CSV"),
        (b"a,\x00,c", "the line holds a NUL byte"),
        (b"a,\xff,c", "the line is not UTF-8"),
        (b'a,"b,c', "a quotation mark is not closed"),
        (b"a," + b"b" * MOST_BYTES + b",c", f"a line of more than {MOST_BYTES} bytes"),
        (b"a," + b"b" * 5 * MOST_BYTES + b",c", f"a line of more than {MOST_BYTES} bytes"),
    ],
)
def test_a_broken_line_costs_itself_and_nothing_else(line: bytes, problem: str) -> None:
    good = ("d", 'quoted "e"', "f")
    rest = b'd,"quoted ""e""",f\n'
    assert told(rest + line + b"\n" + rest + rest) == {2: good, 3: problem, 4: good, 5: good}
    assert told(rest + line) == {2: good, 3: problem}


def test_two_stray_quotation_marks_do_not_swallow_the_rows_between_them() -> None:
    lines = b'a,"b,c\nd,e,f\ng,"h,i\nj,k,l\n'
    broken = "a quotation mark is not closed"
    assert told(lines) == {2: broken, 3: ("d", "e", "f"), 4: broken, 5: ("j", "k", "l")}


def test_a_quotation_mark_is_searched_for_no_further_than_a_record_may_reach() -> None:
    """Memory is bounded by one record, whatever stands behind it."""
    rows = b"d,e,f\n" * MOST_BYTES
    stream = io.BytesIO(HEAD + b'a,"b,c\n' + rows)
    header = read_header(stream.readline, known=KNOWN, required=())
    first = next(records(stream.readline, header, row=1, offset=header.end))
    assert first.problem == "a quotation mark is not closed"
    assert stream.tell() < 2 * MOST_BYTES


LINES = st.lists(
    st.sampled_from(
        [b"a,b,c\n", b'a,"b\n', b'c",d\n', b"\n", b"a,b\n", b'"x\ny",b,c\n', b"\xff\n", b"z" * 70_000 + b"\n"]
    )
)


@given(LINES)
def test_reading_goes_on_at_the_end_of_any_record_as_if_it_had_never_stopped(lines: list[bytes]) -> None:
    data = HEAD + b"".join(lines)
    whole = read(data)
    for number, one in enumerate(whole, start=1):
        assert read(data, row=one.row, offset=one.end) == whole[number:]


@given(st.binary(max_size=300))
def test_whatever_bytes_come_every_record_has_its_place(noise: bytes) -> None:
    found = read(HEAD + noise)
    assert [one.row for one in found] == sorted({one.row for one in found})
    assert all(one.end <= len(HEAD) + len(noise) for one in found)
    assert all(bool(one.values) != bool(one.problem) for one in found)
    assert not [one for one in found if one.problem and not re.fullmatch(r"[\w\s,-]+", one.problem)]
