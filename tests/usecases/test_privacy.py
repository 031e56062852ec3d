"""One's own data: everything that is stored, in words and as files, and nothing of anybody else (R1, R5, R9)."""

import ast
import csv
import inspect
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import Event, State
from pixel_service.domain.evidence_document import as_text
from pixel_service.domain.figures import Standing
from pixel_service.domain.messages import Status, SubscriberId, Tracking
from pixel_service.domain.opens import Verdict
from pixel_service.domain.personal_data import PersonalData
from pixel_service.domain.rights import RightsRequestKind
from pixel_service.domain.stored_data import STORED
from pixel_service.storage.consent import Happening, record
from pixel_service.storage.engine import Database
from pixel_service.storage.personal_rows import OF_NOBODY, TABLES, rows_of
from pixel_service.storage.schema import audit_log
from pixel_service.usecases import privacy_document, privacy_words
from pixel_service.usecases.context import Context
from pixel_service.usecases.evidence import Inquiry
from pixel_service.usecases.privacy import look, look_for
from pixel_service.usecases.privacy_document import document
from pixel_service.usecases.privacy_file import as_json, as_tables
from pixel_service.usecases.receive_mail import Incoming, receive
from pixel_service.usecases.rights import Asked, delete_my_opens
from pixel_service.usecases.withdraw import Source, withdraw_all
from tests.access import Clock
from tests.builders import BLOG, Relay, ask, context, dump
from tests.letters import letter
from tests.own_data import ADA, everything, mail_out


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ctx(db: Database, clock: Clock) -> Context:
    return context(db, clock, Relay())


@pytest.fixture
async def ada(ctx: Context) -> SubscriberId:
    return await everything(ctx)


async def seen(ctx: Context, person: SubscriberId) -> PersonalData:
    found = await look(ctx, person)
    assert found is not None
    return found


async def read_json(ctx: Context, person: SubscriberId) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(await joined(as_json(ctx, (await seen(ctx, person)).person, "en")))
    return told


async def joined(parts: AsyncIterator[bytes]) -> bytes:
    return b"".join([part async for part in parts])


async def test_a_letter_from_an_address_beyond_ascii_is_shown_and_downloaded(ctx: Context) -> None:
    mail = letter("Was ist das?", sender="info@xn--bcher-kva.example")
    await receive(ctx, Incoming(raw=mail, envelope_from=None, envelope_to=()))
    person = await ask(ctx, "Info@bücher.example", BLOG)
    assert len((await seen(ctx, person)).letters) == 1
    assert len((await read_json(ctx, person))["data"]["inbound_unclear"]) == 1


# --- complete -----------------------------------------------------------------------------------------------


def test_every_table_with_data_of_people_is_in_the_download_or_says_why_not() -> None:
    personal = {table for table, columns in STORED.items() if any(held.data is not None for held in columns)}
    told = {held.table.name for held in TABLES}
    assert told | set(OF_NOBODY) == personal
    assert told & set(OF_NOBODY) == set()


def test_every_column_of_these_tables_is_in_the_download_or_says_why_not() -> None:
    for held in TABLES:
        stored = {column.name for column in held.table.columns}
        assert set(held.columns) | set(held.without) == stored
        assert all(len(why) > 20 for why in held.without.values())
    left_out = {f"{held.table.name}.{name}" for held in TABLES for name in held.without}
    assert left_out == {"inbound_unclear.done_by", "audit_log.who", "webhook_deliveries.payload"}


async def test_the_json_holds_every_row_of_the_person_and_none_of_anybody_else(ctx: Context, ada: SubscriberId) -> None:
    told = await read_json(ctx, ada)
    assert list(told) == ["about", "columns", "data"]
    assert set(told["data"]) == {held.table.name for held in TABLES}
    for name, rows in told["data"].items():
        assert rows, name
        assert all(set(row) == set(told["columns"][name]) for row in rows)
    counts = {name: len(rows) for name, rows in told["data"].items()}
    expected = {
        "subscribers": 1,
        "consents": 2,
        "sign_ups": 1,
        "sign_up_purposes": 2,
        "pixels": 1,
        "opens": 2,
        "message_opens": 1,
    }
    assert {name: counts[name] for name in expected} == expected
    assert counts["messages"] == 3
    assert counts["ledger"] == 6
    text = json.dumps(told, ensure_ascii=False)
    assert "Ada's Ämter" in text
    assert "Ada fragt, bitte." in text
    assert "Bob" not in text
    assert "bo@example.com" not in text
    assert "mia@example.com" not in text


async def test_the_confirmation_mail_is_readable_and_its_button_is_not_handed_on(
    ctx: Context, ada: SubscriberId
) -> None:
    (mail,) = (await read_json(ctx, ada))["data"]["confirmation_mails"]
    assert "To: ada@example.com" in mail["data"]
    links = re.findall(r"/c/([a-z2-7…]+)", mail["data"])
    assert links
    assert all(len(token) == 9 and token.endswith("…") for token in links)


async def test_each_page_of_rows_follows_the_one_before(ctx: Context, ada: SubscriberId) -> None:
    person = (await seen(ctx, ada)).person
    for held in TABLES:
        whole = [row async for row in rows_of(ctx.db, held, person)]
        assert [row async for row in rows_of(ctx.db, held, person, page=1)] == whole
        assert whole


async def test_the_tables_hold_the_same_rows_for_a_spreadsheet(ctx: Context, ada: SubscriberId) -> None:
    told = (await read_json(ctx, ada))["data"]
    for language, delimiter in (("de", ";"), ("en", ",")):
        tables = await read_tables(ctx, ada, language, delimiter)
        assert set(tables) == {"columns.csv", *(f"{held.table.name}.csv" for held in TABLES)}
        for held in TABLES:
            heading, *rows = tables[f"{held.table.name}.csv"]
            assert heading == list(held.columns)
            assert len(rows) == len(told[held.table.name])
        (row,) = tables["subscribers.csv"][1:]
        assert dict(zip(tables["subscribers.csv"][0], row, strict=True))["company"] == "Ada's Ämter"
        explained = {(file, column): meaning for file, column, meaning in tables["columns.csv"][1:]}
        assert all(explained[f"{held.table.name}.csv", name] for held in TABLES for name in held.columns)


async def test_no_cell_is_taken_for_a_formula(ctx: Context, ada: SubscriberId) -> None:
    """Ada's last name begins with an equals sign."""
    cells = [cell for rows in (await read_tables(ctx, ada, "de", ";")).values() for row in rows for cell in row]
    assert "'=HYPERLINK(1)" in cells
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []


async def read_tables(ctx: Context, person: SubscriberId, language: str, delimiter: str) -> dict[str, list[list[str]]]:
    packed = await joined(as_tables(ctx, (await seen(ctx, person)).person, language))
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    assert all(data.startswith(b"\xef\xbb\xbf") for data in files.values())
    return {
        name: list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=delimiter))
        for name, data in files.items()
    }


async def test_a_file_is_handed_on_while_it_is_read(ctx: Context, ada: SubscriberId) -> None:
    """A person's rows are bounded by retention, not by memory."""
    assert inspect.isasyncgenfunction(as_json)
    parts = [part async for part in as_json(ctx, (await seen(ctx, ada)).person, "en")]
    rows = sum(len(found) for found in json.loads(b"".join(parts))["data"].values())
    assert len(parts) > rows


# --- in words -------------------------------------------------------------------------------------------------


async def test_each_open_is_told_with_when_by_whom_and_why_we_think_so(ctx: Context, ada: SubscriberId) -> None:
    said = as_text(document(ctx, await seen(ctx, ada), "en"))
    assert "2 November 2026, 11:01 CET; by a mail provider, which fetches images when a mail is opened; Gmail" in said
    assert "by a security check of mails, not by a person (rule: security_product)" in said
    assert "Neues im November, 2 November 2026" in said
    assert "yes, as you agreed" in said


async def test_the_reading_says_where_from_what_for_who_else_and_how_long(ctx: Context, ada: SubscriberId) -> None:
    for language, words in (
        ("en", ("Source (form)", "The words you agreed to", "Who else gets it", "Legal basis")),
        (
            "de",
            ("Herkunft (Formular)", "in den Sie eingewilligt haben", "sonst bekommt", "Rechtsgru"),
        ),
    ):
        said = as_text(document(ctx, await seen(ctx, ada), language))
        assert [one for one in words if one not in said] == []
        assert "https://news.example/newsletter/blog" in said
        assert ctx.catalogue.current(BLOG, "de").text.splitlines()[0] in said
        for fact in ctx.catalogue.notice(language).stored:
            assert fact.kept in said
        for processor in ctx.catalogue.processors:
            assert processor.name in said
        assert "Ada fragt" in said
        assert "Bobby" not in said


async def test_what_a_colleague_wrote_of_themselves_is_not_told(ctx: Context, ada: SubscriberId) -> None:
    assert "mia@example.com" not in as_text(document(ctx, await seen(ctx, ada), "en"))


async def test_the_newest_mails_are_shown_and_all_are_counted(ctx: Context, ada: SubscriberId, clock: Clock) -> None:
    clock.move(timedelta(days=1))
    await mail_out(ctx, "Dezember")
    found = await seen(ctx, ada)
    assert found.counts.mails == len(found.mails) == 4
    assert found.mails[0].subject == "Neues im Dezember"
    said = as_text(document(ctx, replace(found, mails=found.mails[:3]), "en"))
    assert "Here you see the newest 3; the download has all of them." in said


async def test_what_follows_from_the_opens_of_a_mail_is_told(ctx: Context, ada: SubscriberId) -> None:
    said = as_text(document(ctx, await seen(ctx, ada), "en"))
    assert "as opened; times: 1" in said
    await delete_my_opens(ctx, ada, Asked(source=Source.PRIVACY_PAGE))
    assert "as opened" not in as_text(document(ctx, await seen(ctx, ada), "en"))


async def test_after_a_withdrawal_no_open_is_left_to_read(ctx: Context, ada: SubscriberId) -> None:
    await withdraw_all(ctx, ada, Source.PRIVACY_PAGE)
    found = await seen(ctx, ada)
    assert (found.counts.opens, found.counts.pixels) == (0, 0)
    said = as_text(document(ctx, found, "en"))
    assert "No open of yours is stored." in said
    assert "no longer: its opens were deleted" in said


async def test_somebody_who_never_confirmed_reads_what_was_typed(ctx: Context) -> None:
    person = await ask(ctx, ADA, BLOG, first_name="Ada")
    said = as_text(document(ctx, await seen(ctx, person), "en"))
    assert "asked for in a form, not confirmed by you" in said
    assert "The words of the form" in said or "Version of the words" in said


async def test_a_form_that_somebody_types_later_moves_no_date(ctx: Context, ada: SubscriberId, clock: Clock) -> None:
    await withdraw_all(ctx, ada, Source.PRIVACY_PAGE)
    clock.move(timedelta(days=2))
    await ask(ctx, ADA, BLOG)
    said = " ".join(as_text(document(ctx, await seen(ctx, ada), "en")).split())
    assert "State: you ended it Since: 2 November 2026, 11:00 CET Asked for on: 4 November 2026" in said


async def test_whose_consent_was_imported_reads_where_from(ctx: Context, clock: Clock) -> None:
    person = await ask(ctx, ADA, BLOG)
    evidence = {
        "origin": "trade fair 2025",
        "form_url": "https://fair.example/form",
        "requested_at": "2025-03-01T09:00:00+00:00",
        "confirmed_at": "2025-03-01T10:00:00+00:00",
    }
    async with ctx.db.write() as connection:
        happening = Happening(
            subscriber_id=person, purpose=BLOG, event=Event.IMPORT, at=clock(), content=evidence, salt=ctx.ids()
        )
        assert await record(connection, happening)
    said = as_text(document(ctx, await seen(ctx, person), "en"))
    for words in ("trade fair 2025", "https://fair.example/form", "1 March 2025, 11:00 CET", "you agreed"):
        assert words in said


async def test_who_is_gone_reads_nothing(ctx: Context) -> None:
    assert await look(ctx, SubscriberId("a" * 26)) is None


async def test_reading_changes_nothing(ctx: Context, ada: SubscriberId) -> None:
    before = await dump(ctx.db)
    person = (await seen(ctx, ada)).person
    await joined(as_json(ctx, person, "de"))
    await joined(as_tables(ctx, person, "de"))
    assert await dump(ctx.db) == before


# --- a colleague ------------------------------------------------------------------------------------------------


async def test_a_colleagues_look_is_on_record_also_when_there_is_nobody(ctx: Context, ada: SubscriberId) -> None:
    def inquiry(address: str) -> Inquiry:
        return Inquiry(address=parse_address(address), reason="letter 4", by="jo@example.com")

    found = await look_for(ctx, inquiry(ADA))
    assert found is not None
    assert found.person.subscriber_id == ada
    assert await look_for(ctx, inquiry("nobody@example.com")) is None
    async with ctx.db.read() as connection:
        rows = (await connection.execute(select(audit_log).order_by(audit_log.c.audit_id.desc()).limit(2))).all()
    assert [(row.act, row.reason, row.who) for row in rows] == [("person", "letter 4", "jo@example.com")] * 2
    assert rows[1].subject == ada
    assert "nobody" not in rows[0].subject


# --- words -----------------------------------------------------------------------------------------------------


def test_every_code_has_words() -> None:
    assert set(privacy_words.STATES) == set(State)
    assert set(privacy_words.VERDICTS) == set(Verdict)
    assert set(privacy_words.STANDINGS) == set(Standing)
    assert set(privacy_words.STATUSES) == set(Status)
    assert set(privacy_words.MEASURED) == set(Tracking)
    assert set(privacy_words.KINDS) == set(RightsRequestKind)


def test_every_text_of_the_reading_is_there_in_german(ctx_words: set[str]) -> None:
    from tests.builders import catalogues

    german = catalogues().translations("de")
    assert sorted(text for text in ctx_words if german.gettext(text) == text) == []


@pytest.fixture
def ctx_words() -> set[str]:
    return {text for module in (privacy_document, privacy_words) for text in _said(str(module.__file__))}


def _said(file: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(attr="say"), args=[ast.Constant(value=str(text)), *_]):
                yield text
            case ast.AnnAssign(value=ast.Dict(values=values)):
                yield from (one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str))
