"""Records and receipts of real journeys, on both databases (E7)."""

import json

from pixel_service.domain.consent import TRACKING_OPENS
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage.engine import Database
from pixel_service.usecases.context import Context
from pixel_service.usecases.receipts import all_records, count_subjects, receipt_of, record_of
from pixel_service.usecases.withdraw import Source, withdraw
from tests.access import Clock
from tests.builders import BLOG, GLASFASER, OPENS, ask, context, deliver, join, ledger_of
from tests.receipts import Document, parsed, purposes_in, purposes_of, schema_problems, shape_problems

ADA = "ada@example.com"


async def record(ctx: Context, subscriber_id: SubscriberId) -> Document:
    found = await record_of(ctx, subscriber_id)
    assert found is not None
    return found


def states(document: Document) -> dict[str, str]:
    return {process["purpose"]["identifier"]: process["state"] for process in document["processes"]}


async def test_a_journey_gives_a_record_that_all_judges_pass(db: Database) -> None:
    ctx = context(db)
    person = await join(ctx, ADA, BLOG, GLASFASER, OPENS, last_name="Beispiel", phone="+49 40 998877")
    await deliver(ctx)
    await withdraw(ctx, person, {OPENS}, Source.STOP_TRACKING_PAGE)
    document = await record(ctx, person)
    assert schema_problems(document) == []
    graph = parsed([document])
    assert shape_problems(graph) == ""
    assert purposes_in(graph) == purposes_of([document])
    given, withdrawn = "dpv:ConsentGiven", "dpv:ConsentWithdrawn"
    assert states(document) == {BLOG: given, GLASFASER: given, TRACKING_OPENS: withdrawn}


async def test_a_record_names_every_act_of_the_ledger_and_nobody(db: Database) -> None:
    ctx = context(db)
    person = await join(ctx, ADA, BLOG, OPENS, last_name="Beispiel", phone="+49 40 998877")
    await deliver(ctx)
    document = await record(ctx, person)
    told = [event["act"] for process in document["processes"] for event in process["events"]]
    assert sorted(told) == sorted(act.value for _, act, _ in await ledger_of(ctx, person))
    text = json.dumps(document)
    for typed in (ADA, "Beispiel", "998877"):
        assert typed not in text


async def test_the_receipt_is_the_record_and_says_when_it_was_issued(db: Database) -> None:
    ctx = context(db, clock := Clock())
    person = await join(ctx, ADA, BLOG)
    receipt = await receipt_of(ctx, person)
    assert receipt is not None
    assert schema_problems(receipt) == []
    assert receipt["created"] == clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = {key: value for key, value in (await record(ctx, person)).items() if key != "@context"}
    assert receipt["records"] == [body]


async def test_whom_the_ledger_does_not_know_has_no_record_and_no_receipt(db: Database) -> None:
    ctx = context(db)
    stranger = SubscriberId("a" * 26)
    assert await record_of(ctx, stranger) is None
    assert await receipt_of(ctx, stranger) is None


async def test_an_export_holds_every_person_once_however_many_there_are(db: Database) -> None:
    ctx = context(db)
    people = [await ask(ctx, f"person{number}@example.com", BLOG, OPENS) for number in range(7)]
    people += [await join(ctx, ADA, BLOG, GLASFASER)]
    documents = [one async for one in all_records(ctx, page=3) if one is not None]
    assert await count_subjects(ctx) == len(people)
    assert [one["subject"]["identifier"] for one in documents] == sorted(people)  # type: ignore[index]
    assert documents == [await record(ctx, person) for person in sorted(people)]
    assert "@example.com" not in json.dumps(documents)


async def test_an_empty_ledger_exports_nothing(db: Database) -> None:
    ctx = context(db)
    assert [one async for one in all_records(ctx)] == []
    assert await count_subjects(ctx) == 0
