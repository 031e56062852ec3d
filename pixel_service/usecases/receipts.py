"""Consent records for those who must prove, receipts for the person, an export for everybody else's programs (E7).

All of it reads, and only the export leaves a trace. A record carries its JSON-LD context, from the same package as its JSON Schema and its SHACL shapes.
"""

import json
from collections.abc import AsyncIterator, Mapping
from functools import cache
from pathlib import Path

from pixel_service.domain.ledger import Entry
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.receipt_document import Json, receipt_document, record_document
from pixel_service.domain.receipt_facts import Practice
from pixel_service.domain.receipts import build_record
from pixel_service.storage import audit, ledger, receipts as storage, subscribers
from pixel_service.storage.audit import Look
from pixel_service.usecases.context import Context
from pixel_service.usecases.ledger import EVERYBODY

#: ``consent-record.schema.json``, ``consent-record.shacl.ttl``, ``consent-record.context.json``.
SCHEMAS = Path(__file__).parents[1] / "schemas"
#: In the audit log.
EXPORT = "consent export"
#: Persons read at a time.
_PAGE = 200


@cache
def context() -> Mapping[str, object]:
    found: Mapping[str, object] = json.loads((SCHEMAS / "consent-record.context.json").read_text(encoding="utf-8"))
    return found


def practice_of(ctx: Context) -> Practice:
    return Practice(
        base_url=ctx.policy.base_url,
        company=ctx.company,
        locations=ctx.policy.data_locations,
        withdraw_address=ctx.policy.unsubscribe_address,
        confirm_within=ctx.policy.confirm_within,
        opens_kept=f"P{ctx.policy.keep.opens.days}D",
        processors=ctx.catalogue.processors,
        language=ctx.catalogue.language(ctx.policy.default_language),
    )


async def record_of(ctx: Context, subscriber_id: SubscriberId) -> Json | None:
    """What the ledger proves of one person, erased or not. None for whom it does not know."""
    async with ctx.db.read() as connection:
        entries = await ledger.entries_of(connection, subscriber_id)
    record = build_record(subscriber_id, entries, ctx.catalogue)
    return {"@context": context(), **record_document(record, practice_of(ctx))} if record else None


async def receipt_of(ctx: Context, subscriber_id: SubscriberId) -> Json | None:
    """The person's own copy. None once the person is erased, like every other page behind their links."""
    async with ctx.db.read() as connection:
        if await subscribers.get(connection, subscriber_id) is None:
            return None
        entries = await ledger.entries_of(connection, subscriber_id)
    record = build_record(subscriber_id, entries, ctx.catalogue)
    if record is None:
        return None
    return {"@context": context(), **receipt_document(record, practice_of(ctx), at=ctx.clock())}


async def count_subjects(ctx: Context) -> int:
    async with ctx.db.read() as connection:
        return await storage.count_subjects(connection)


async def export(ctx: Context, *, by: str, reason: str) -> AsyncIterator[Json | None]:
    """All records for another system; the look is on record before the first of them is read."""
    async with ctx.db.write() as connection:
        await audit.record(connection, Look(at=ctx.clock(), who=by, act=EXPORT, subject=EVERYBODY, reason=reason))
    async for record in all_records(ctx):
        yield record


async def all_records(ctx: Context, *, page: int = _PAGE) -> AsyncIterator[Json | None]:
    """Every person of the ledger in order of their ids, `page` of them in memory; None for one with nothing to record.

    Persons who come while this runs may be missed; every record that is given is whole."""
    last, practice = SubscriberId(""), practice_of(ctx)
    while people := await _people_after(ctx, last, page):
        for subject, entries in people.items():
            record = build_record(subject, entries, ctx.catalogue)
            yield {"@context": context(), **record_document(record, practice)} if record else None
            last = subject


async def _people_after(ctx: Context, last: SubscriberId, limit: int) -> Mapping[SubscriberId, tuple[Entry, ...]]:
    async with ctx.db.read() as connection:
        return await storage.entries_after(connection, last, limit=limit)
