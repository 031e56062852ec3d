"""Contacts come in with their evidence or not at all; nobody's own choice is overruled; a killed import goes on."""

import csv
import io
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import Act, Purpose, State
from pixel_service.domain.errors import ImportOvertaken
from pixel_service.domain.evidence_document import as_text
from pixel_service.domain.evidence_record import as_record
from pixel_service.domain.import_file import MOST_BYTES
from pixel_service.domain.import_rulings import MOST_TEXTS
from pixel_service.domain.imports import COLUMNS, Code, Rejected
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import texts
from pixel_service.storage.audit import newest
from pixel_service.storage.engine import Database
from pixel_service.storage.imports import Progress
from pixel_service.storage.schema import subscribers
from pixel_service.usecases.context import Context
from pixel_service.usecases.erase import erase
from pixel_service.usecases.evidence import Inquiry, gather
from pixel_service.usecases.evidence_document import document
from pixel_service.usecases.import_contacts import SLICE, Order, begin, import_slices, open_file, rejected, try_slices
from pixel_service.usecases.ledger import replay, verify
from pixel_service.usecases.receipts import record_of
from pixel_service.usecases.retain_data import purge_slice
from pixel_service.usecases.rights import RightsReceipt, object_to_marketing, restrict
from pixel_service.usecases.rights_requests import Asked
from pixel_service.usecases.withdraw import Source, withdraw, withdraw_all
from tests.access import Clock
from tests.builders import BLOG, GLASFASER, OPENS, ask, context, dump, join, ledger_of, person_of, states_of
from tests.receipts import schema_problems

ADDRESS = "anna@example.com"
TEXT = "Ja, ich möchte den Newsletter.\nAbmelden geht jederzeit."
EVIDENCE: Mapping[str, str] = {
    "requested_at": "2026-05-01T10:00:00+02:00",
    "form_url": "https://alt.example/anmelden",
    "confirmed_at": "2026-05-01T10:05:00+02:00",
    "confirmed_by": "double_opt_in",
    "wording_text": TEXT,
}
Row = Mapping[str, str]
Right = Callable[[Context, SubscriberId, Asked], Awaitable[RightsReceipt | None]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ctx(db: Database, clock: Clock) -> Context:
    made = context(db, clock)
    async with db.write() as connection:
        await texts.publish(connection, made.catalogue, at=made.clock())
    return made


def row(address: str = ADDRESS, purpose: Purpose = BLOG, **more: str) -> Row:
    return {"address": address, "purpose": purpose, "language": "de", **EVIDENCE, **more}


def bare(address: str = ADDRESS, purpose: Purpose = BLOG) -> Row:
    return {"address": address, "purpose": purpose}


def order(*rows: Row, again: bool = False) -> Order:
    out = io.StringIO()
    lines = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    lines.writeheader()
    lines.writerows(rows)
    return order_of(out.getvalue().encode(), again=again)


def order_of(data: bytes, *, again: bool = False) -> Order:
    return Order(file=open_file(io.BytesIO(data)), source="old tool", by="mia@example.com", again=again)


async def run(ctx: Context, asked: Order) -> tuple[Progress, list[Rejected]]:
    done = await begin(ctx, asked)
    async for after in import_slices(ctx, asked.file, done):
        done = after
    return done, [one async for one in rejected(ctx, done.import_id)]


async def refusals(ctx: Context, *rows: Row) -> list[tuple[int, str, Code]]:
    _, refused = await run(ctx, order(*rows))
    return [(one.row, one.field, one.code) for one in refused]


# --- with evidence ----------------------------------------------------------------------------------------------------


async def test_a_row_with_evidence_is_consent_and_the_ledger_holds_all_of_it(ctx: Context, clock: Clock) -> None:
    asked = order(row(first_name="Anna", reference="<1@alt.example>"))
    done, refused = await run(ctx, asked)
    assert (done.good, done.unknown, done.refused, refused) == (1, 0, 0, [])
    person = await person_of(ctx, ADDRESS)
    assert await states_of(ctx, person) == {BLOG: State.GIVEN}
    ((purpose, act, content),) = await ledger_of(ctx, person)
    assert (purpose, act) == (BLOG, Act.IMPORTED)
    assert content == {
        "source": "import",
        "import": done.import_id,
        "file_hash": asked.file.hash,
        "row": 2,
        "origin": "old tool",
        "language": "de",
        "wording_version": content["wording_version"],
        "wording_hash": content["wording_hash"],
        "form_url": "https://alt.example/anmelden",
        "requested_at": "2026-05-01T08:00:00+00:00",
        "confirmed_at": "2026-05-01T08:05:00+00:00",
        "confirmed_by": "double_opt_in",
        "reference": "<1@alt.example>",
        "fields": {"address": ADDRESS, "first_name": "Anna"},
    }
    async with ctx.db.read() as connection:
        assert await texts.find(connection, BLOG, str(content["wording_version"]), "de") == TEXT
    assert await replay(ctx) == []
    assert (await verify(ctx, lambda _: None)).entries == 1


async def test_each_purpose_needs_its_own_evidence(ctx: Context) -> None:
    done, refused = await run(
        ctx, order(row(), bare(purpose=OPENS), row("bo@example.com"), row("bo@example.com", OPENS))
    )
    assert (done.good, done.unknown, done.refused) == (3, 1, 0)
    assert [(one.row, one.code) for one in refused] == [(3, Code.NO_EVIDENCE)]
    assert await states_of(ctx, await person_of(ctx, ADDRESS)) == {BLOG: State.GIVEN}
    assert await states_of(ctx, await person_of(ctx, "bo@example.com")) == {BLOG: State.GIVEN, OPENS: State.GIVEN}


async def test_of_a_row_without_evidence_nothing_is_stored(ctx: Context) -> None:
    before = await dump(ctx.db)
    assert (await run(ctx, order(bare(), bare("bo@example.com"))))[0].unknown == 2
    after = await dump(ctx.db)
    assert {name for name in after if after[name] != before[name]} == {"imports", "import_refusals", "audit_log"}
    assert not [line for rows in after.values() for line in rows if "example.com" in line and "mia@" not in line]


async def test_one_text_is_kept_once_for_every_purpose_it_was_shown_for(ctx: Context) -> None:
    people = [row(f"p{number}@example.com", purpose) for number in range(3) for purpose in (BLOG, OPENS)]
    assert (await run(ctx, order(*people)))[0].good == 6
    assert (await run(ctx, order(row("q@example.com"))))[0].good == 1
    async with ctx.db.read() as connection:
        assert sorted(purpose for purpose, _, _ in await texts.imported(connection)) == [BLOG, OPENS]


async def test_a_persons_details_are_those_of_their_first_row(ctx: Context) -> None:
    await run(ctx, order(row(first_name="Anna"), row(purpose=OPENS, first_name="Anja", language="en", phone="1")))
    async with ctx.db.read() as connection:
        told = (await connection.execute(select(subscribers))).one()
    assert (told.first_name, told.language, told.phone, told.created_at) == ("Anna", "de", "", ctx.clock())


# --- what the person said here ----------------------------------------------------------------------------------------


async def test_nobodys_own_choice_or_details_are_overruled(ctx: Context) -> None:
    here = await join(ctx, ADDRESS, BLOG, first_name="Annika")
    gone = await join(ctx, "bo@example.com", BLOG)
    await withdraw(ctx, gone, (BLOG,), Source.ONE_CLICK)
    waiting = await ask(ctx, "cleo@example.com", BLOG)
    found = await refusals(
        ctx,
        row(language="en"),
        row("BO@example.com"),
        row("cleo@example.com", first_name="Cleo"),
        row(purpose=GLASFASER, language="en", first_name="Anna", phone="1"),
    )
    assert found == [(2, "purpose", Code.ON_RECORD), (3, "purpose", Code.ON_RECORD)]
    assert await states_of(ctx, here) == {BLOG: State.GIVEN, GLASFASER: State.GIVEN}
    assert (await states_of(ctx, gone))[BLOG] is State.WITHDRAWN
    assert await states_of(ctx, waiting) == {BLOG: State.GIVEN}
    async with ctx.db.read() as connection:
        rows = (await connection.execute(select(subscribers).order_by(subscribers.c.address_key))).all()
    told = [(one.address_key, one.language, one.first_name, one.phone) for one in rows]
    assert told[0] == (ADDRESS, "de", "Annika", "")
    assert told[2] == ("cleo@example.com", "de", "Cleo", "")


@pytest.mark.parametrize(
    "right, code", [(restrict, Code.RESTRICTED), (object_to_marketing, Code.OBJECTED)], ids=["restrict", "object"]
)
async def test_who_restricted_or_objected_is_not_imported(ctx: Context, right: Right, code: Code) -> None:
    person = await join(ctx, ADDRESS, GLASFASER)
    await right(ctx, person, Asked(source=Source.OPERATOR))
    before = await states_of(ctx, person)
    assert await refusals(ctx, row(), row("bo@example.com")) == [(2, "address", code)]
    assert await states_of(ctx, person) == before


async def test_who_withdrew_everything_is_not_brought_back_by_older_evidence_for_something_else(
    ctx: Context, clock: Clock
) -> None:
    person = await join(ctx, ADDRESS, BLOG)
    await withdraw_all(ctx, person, Source.MAIL)
    clock.move(timedelta(days=1))
    since = (clock() - timedelta(hours=1)).isoformat()
    found = await refusals(
        ctx,
        row(purpose=GLASFASER),
        row(purpose=GLASFASER, requested_at=since, confirmed_at=since),
        row("bo@example.com"),
    )
    assert found == [(2, "address", Code.WITHDREW_SINCE)]
    assert (await states_of(ctx, person))[GLASFASER] is State.GIVEN


async def test_an_erased_person_is_not_imported_again_however_the_address_is_spelt(ctx: Context) -> None:
    await run(ctx, order(row()))
    await erase(ctx, await person_of(ctx, ADDRESS), Asked(source=Source.OPERATOR))
    assert await refusals(ctx, row("Anna@EXAMPLE.com"), row("bo@example.com")) == [(2, "address", Code.ERASED)]
    async with ctx.db.read() as connection:
        keys = (await connection.execute(select(subscribers.c.address_key))).scalars().all()
    assert keys == ["bo@example.com"]
    found = await gather(ctx, Inquiry(address=parse_address(ADDRESS), reason="request 17", by="mia@example.com"))
    assert found is not None
    assert "Imported from: old tool" in " ".join(as_text(document(ctx, found, "en")).split())


async def test_an_imported_consent_can_be_withdrawn_and_stays_so(ctx: Context) -> None:
    await run(ctx, order(row(), row(purpose=OPENS)))
    person = await person_of(ctx, ADDRESS)
    receipt = await withdraw(ctx, person, (BLOG,), Source.ONE_CLICK)
    assert receipt is not None
    assert set(receipt.withdrawn) == {BLOG, OPENS}
    again, refused = await run(ctx, order(row(), row(purpose=OPENS), again=True))
    assert (again.good, [one.code for one in refused]) == (0, [Code.ON_RECORD, Code.ON_RECORD])


# --- the file ---------------------------------------------------------------------------------------------------------


async def test_the_second_of_two_equal_rows_is_a_duplicate_in_one_slice_and_across(ctx: Context) -> None:
    others = [row(f"p{number}@example.com") for number in range(SLICE)]
    found = await refusals(ctx, row(), row("ANNA@example.com"), *others, row(), row(purpose=OPENS))
    assert found == [(3, "purpose", Code.DUPLICATE), (SLICE + 4, "purpose", Code.DUPLICATE)]
    assert len(await ledger_of(ctx, await person_of(ctx, ADDRESS))) == 2


async def test_broken_lines_are_refused_and_the_others_come_in(ctx: Context) -> None:
    head = ",".join(("address", "purpose", *EVIDENCE)).encode()
    fine = ",".join((BLOG, *EVIDENCE.values())).replace(TEXT, "Ja").encode()
    lines = [
        b"\xef\xbb\xbf" + head,
        b"anna@example.com," + fine,
        b"bo@example.com",
        b'bo@example.com,"' + fine,
        b"x" * (MOST_BYTES + 1),
        b"\x00," + fine,
        b"",
        b"cleo@example.com," + fine,
    ]
    done, refused = await run(ctx, order_of(b"\r\n".join(lines)))
    assert (done.good, done.refused, done.last_row) == (2, 4, 8)
    assert [(one.row, one.code) for one in refused] == [(number, Code.UNREADABLE) for number in (3, 4, 5, 6)]


async def test_texts_of_their_own_for_everybody_are_refused(ctx: Context) -> None:
    several = [replace(ctx.catalogue.current(BLOG, "de"), version=f"import-{one}") for one in range(MOST_TEXTS - 1)]
    async with ctx.db.write() as connection:
        await texts.keep_imported(connection, several, at=ctx.clock())
    people = [row(f"p{number}@example.com", wording_text=f"Ja, sagt {number}.") for number in range(3)]
    no = Code.UNKNOWN_WORDING
    assert await refusals(ctx, *people) == [(3, "wording_text", no), (4, "wording_text", no)]
    assert await refusals(ctx, row("q@example.com", wording_text="Ja, sagt 0.")) == []


# --- interrupted, twice, at once --------------------------------------------------------------------------------------


async def interrupted(ctx: Context, asked: Order, slices: int) -> Progress:
    done = await begin(ctx, asked)
    async for after in import_slices(ctx, asked.file, done):
        done, slices = after, slices - 1
        if not slices:
            break
    return done


def people(number: int) -> list[Row]:
    """Every tenth is wrong, every tenth without evidence."""
    rows = [row(f"p{one}@example.com") for one in range(number)]
    for place in range(0, number, 10):
        rows[place], rows[place + 1] = row("nobody"), bare(f"p{place + 1}@example.com")
    return rows


async def test_an_import_goes_on_behind_its_last_committed_slice(ctx: Context) -> None:
    asked = order(*people(3 * SLICE))
    first = await interrupted(ctx, asked, 1)
    assert (first.last_row, first.rows, first.finished_at) == (SLICE + 1, SLICE, None)
    done, refused = await run(ctx, asked)
    assert done.import_id == first.import_id
    assert (done.good, done.unknown, done.refused) == (8 * 150, 150, 150)
    expected = [number for ten in range(2, 3 * SLICE + 2, 10) for number in (ten, ten + 1)]
    assert [one.row for one in refused] == expected
    assert (await verify(ctx, lambda _: None)).entries == done.good
    assert await replay(ctx) == []


async def test_a_finished_file_is_not_imported_again_unless_somebody_says_so(ctx: Context) -> None:
    first, _ = await run(ctx, order(row(), bare("bo@example.com")))
    before = await dump(ctx.db)
    assert (await run(ctx, order(row(), bare("bo@example.com"))))[0] == first
    assert await dump(ctx.db) == before
    second, refused = await run(ctx, order(row(), bare("bo@example.com"), again=True))
    assert second.import_id != first.import_id
    assert [one.code for one in refused] == [Code.ON_RECORD, Code.NO_EVIDENCE]


async def test_of_two_processes_on_one_file_one_is_told_and_stores_nothing(ctx: Context) -> None:
    asked, other = order(*people(2 * SLICE)), order(*people(2 * SLICE))
    slices = import_slices(ctx, other.file, await begin(ctx, other))
    await interrupted(ctx, asked, 1)
    before = await dump(ctx.db)
    with pytest.raises(ImportOvertaken, match="another process imports the same file"):
        await anext(slices)
    assert await dump(ctx.db) == before
    done, refused = await run(ctx, asked)
    assert (done.good, len(refused)) == (1600 * SLICE // 1000, 400 * SLICE // 1000)


async def test_a_dry_run_says_the_same_and_stores_nothing_but_that_somebody_looked(ctx: Context) -> None:
    await join(ctx, "p5@example.com", BLOG)
    rows = [*people(SLICE + 20), row("p7@example.com"), row("p5@example.com")]
    before = await dump(ctx.db)
    told = [(done, refused) async for done, refused in try_slices(ctx, order(*rows))]
    after = await dump(ctx.db)
    assert {name for name in after if after[name] != before[name]} == {"audit_log"}
    done, refused = await run(ctx, order(*rows))
    counts = {"good": done.good, "unknown": done.unknown, "refused": done.refused, "last_row": done.last_row}
    assert {name: getattr(told[-1][0], name) for name in counts} == counts
    assert [one for _, some in told for one in some] == refused
    assert refused[-2].code is Code.DUPLICATE


async def test_who_imported_from_where_is_in_the_audit_log(ctx: Context) -> None:
    done, _ = await run(ctx, order(row()))
    async for _ in try_slices(ctx, order(row())):
        pass
    async with ctx.db.read() as connection:
        looks = await newest(connection, limit=5)
    told = [(one.who, one.act, one.subject, one.reason) for one in looks]
    assert ("mia@example.com", "import", done.import_id, "old tool") in told
    assert ("mia@example.com", "import, dry run", done.file_hash, "old tool") in told


# --- afterwards -------------------------------------------------------------------------------------------------------


async def test_imported_consent_expires_by_when_it_was_given_or_last_used(ctx: Context, clock: Clock) -> None:
    def old(name: str, last_mailed_at: str = "") -> Row:
        at = "2025-01-01T10:00:00Z"
        return row(f"{name}@example.com", requested_at=at, confirmed_at=at, last_mailed_at=last_mailed_at)

    used = "2026-10-01T10:00:00Z"
    await join(ctx, "dora@example.com", GLASFASER)
    await run(ctx, order(old("anna"), old("bo", used), old("cleo"), old("dora", used)))
    clock.move(timedelta(days=90))
    while any((await purge_slice(ctx)).values()):
        pass
    states = [
        (await states_of(ctx, await person_of(ctx, f"{name}@example.com")))[BLOG]
        for name in ("anna", "bo", "cleo", "dora")
    ]
    assert states == [State.EXPIRED, State.GIVEN, State.EXPIRED, State.GIVEN]


async def test_the_proof_tells_of_the_import_in_both_languages(ctx: Context) -> None:
    await run(ctx, order(row(first_name="Anna", reference="<1@alt.example>")))
    found = await gather(ctx, Inquiry(address=parse_address(ADDRESS), reason="request 17", by="mia@example.com"))
    assert found is not None
    said = " ".join(as_text(document(ctx, found, "en")).split())
    for text in (
        "consent stands. The person confirmed on 1 May 2026, 10:05 CEST",
        "Imported on: 2 November 2026, 11:00 CET",
        "Imported from: old tool",
        "Asked there on: 1 May 2026, 10:00 CEST",
        "By the form at: https://alt.example/anmelden",
        "Typed into the form: E-mail address: anna@example.com; First name: Anna",
        "Confirmed there (double opt-in) on: 1 May 2026, 10:05 CEST",
        "Proof kept there: <1@alt.example>",
        "The words below have this hash: yes",
        "| Ja, ich möchte den Newsletter. | Abmelden geht jederzeit.",
        "The consent was imported with its evidence",
    ):
        assert text in said
    german = " ".join(as_text(document(ctx, found, "de")).split())
    assert "Dort bestätigt (Double-Opt-in) am: 1. Mai 2026" in german
    (purpose,) = json.loads(json.dumps(as_record(found)))["purposes"]
    assert purpose["confirmed_at"] == "2026-05-01T08:05:00+00:00"
    assert purpose["imported_at"] == "2026-11-02T10:00:00+00:00"


async def test_the_consent_record_of_an_imported_person_is_valid(ctx: Context) -> None:
    await run(ctx, order(row(first_name="Anna")))
    record = await record_of(ctx, await person_of(ctx, ADDRESS))
    assert record is not None
    assert schema_problems(dict(record)) == []
