"""Contacts from elsewhere come in, a slice of rows per transaction (E9, D10).

What must hold: a row with complete evidence is an entry of the ledger that holds all of it; every other row is counted and
named with its reason, and nothing of it is stored. A killed import goes on where its last slice was committed.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from io import BufferedIOBase
from itertools import islice

from pixel_service.domain.consent import Event
from pixel_service.domain.errors import ImportOvertaken
from pixel_service.domain.import_file import read_header
from pixel_service.domain.imports import COLUMNS, REQUIRED, Code, Origin, Rejected, content_of
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import audit, consent, imports, texts
from pixel_service.storage.audit import Look
from pixel_service.storage.consent import Happening
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.storage.imports import Progress
from pixel_service.usecases.context import Context
from pixel_service.usecases.import_rulings import ContactFile, Judged, ReadRow, Run, judge_rows, read_rows

#: Rows per transaction; everybody who writes consent waits for one of them.
SLICE = 500
#: In the audit log.
ACT = "import"
TRY = "import, dry run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    file: ContactFile
    #: Where the contacts come from; kept in the ledger.
    source: str
    #: As the audit log names people.
    by: str
    #: Decide on every row once more, though an import of this very file was finished.
    again: bool = False


def open_file(stream: BufferedIOBase) -> ContactFile:
    """Raises `InvalidInput` for a file whose header is not ours."""
    header = read_header(stream.readline, known=COLUMNS, required=REQUIRED)
    stream.seek(0)
    file_hash = hashlib.file_digest(stream, "sha256").hexdigest()
    return ContactFile(stream=stream, hash=file_hash, size=stream.tell(), header=header)


async def begin(ctx: Context, order: Order) -> Progress:
    """A new import; or the one of the same file that was interrupted, or finished."""
    async with ctx.db.write() as connection:
        # Of two that begin at once, the second finds the first.
        await lock_ledger(connection)
        found = await imports.newest(connection, order.file.hash)
        if found is None or (order.again and found.finished_at):
            found = _new(ctx, order)
            await imports.start(connection, found)
        if found.finished_at is None:
            await _note_look(ctx, connection, order, ACT, found.import_id)
        return found


def _new(ctx: Context, order: Order) -> Progress:
    return Progress(
        import_id=ctx.ids(),
        file_hash=order.file.hash,
        source=order.source,
        started_at=ctx.clock(),
        position=order.file.header.end,
    )


async def _note_look(ctx: Context, connection: Connection, order: Order, act: str, subject: str) -> None:
    look = Look(at=ctx.clock(), who=order.by, act=act, subject=subject, reason=order.source)
    await audit.record(connection, look)


async def import_slices(ctx: Context, file: ContactFile, progress: Progress) -> AsyncIterator[Progress]:
    """What is left of the file, one slice per step; each is committed when it is given. The last one is finished."""
    rows = read_rows(ctx, file, progress)
    while progress.finished_at is None:
        progress = await _store(ctx, list(islice(rows, SLICE)), progress)
        yield progress


async def try_slices(ctx: Context, order: Order) -> AsyncIterator[tuple[Progress, list[Rejected]]]:
    """What an import would do, without writing anything but that somebody looked. Memory grows by the good rows."""
    async with ctx.db.write() as connection:
        await _note_look(ctx, connection, order, TRY, order.file.hash)
    async with ctx.db.read() as connection:
        kept = await texts.imported(connection)
    progress = _new(ctx, order)
    run, rows = Run(import_id=progress.import_id, kept=kept), read_rows(ctx, order.file, progress)
    while progress.finished_at is None:
        batch = list(islice(rows, SLICE))
        async with ctx.db.read() as connection:
            judged = await judge_rows(ctx, connection, batch, run)
        progress = _after(ctx, progress, batch, judged)
        yield progress, judged.rejected


async def rejected(ctx: Context, import_id: str) -> AsyncIterator[Rejected]:
    """Every row that was not taken, in their order."""
    last = 0
    while True:
        async with ctx.db.read() as connection:
            page = await imports.rejected_after(connection, import_id, last, limit=SLICE)
        if not page:
            return
        for one in page:
            yield one
        last = page[-1].row


async def count_rejected(ctx: Context, import_id: str) -> dict[Code, int]:
    async with ctx.db.read() as connection:
        return await imports.count_by_code(connection, import_id)


# --- one slice --------------------------------------------------------------------------------------------------------


async def _store(ctx: Context, batch: list[ReadRow], progress: Progress) -> Progress:
    async with ctx.db.write() as connection:
        await lock_ledger(connection)
        run = Run(import_id=progress.import_id, kept=await texts.imported(connection))
        known = set(run.kept)
        judged = await judge_rows(ctx, connection, batch, run)
        after = _after(ctx, progress, batch, judged)
        if not await imports.advance(connection, progress, after):
            raise ImportOvertaken
        new_texts = {one.text_key: one.wording for one in judged.good if one.text_key in run.kept.keys() - known}
        await texts.keep_imported(connection, new_texts.values(), at=ctx.clock())
        await _record(ctx, connection, judged, progress)
        await imports.keep_rejected(connection, progress.import_id, judged.rejected)
        return after


async def _record(ctx: Context, connection: Connection, judged: Judged, progress: Progress) -> None:
    """All of them are acts: `judge` has asked the table of consent."""
    if not judged.good:
        return
    first = {one.address.key: one for one in reversed(judged.good)}
    new = {SubscriberId(ctx.ids()): one for key, one in sorted(first.items()) if key not in judged.people}
    await imports.add_people(connection, new, at=ctx.clock())
    people = judged.people | await imports.people(connection, first.keys() - judged.people.keys())
    known = [one for one in judged.good if new.get(people[one.address.key].subscriber_id) is not one]
    await imports.complete_people(connection, known)
    origin = Origin(import_id=progress.import_id, file_hash=progress.file_hash, source=progress.source)
    await consent.record_all(
        connection,
        [
            Happening(
                subscriber_id=people[one.address.key].subscriber_id,
                purpose=one.purpose,
                event=Event.IMPORT,
                at=ctx.clock(),
                since=one.confirmed_at,
                content=content_of(one, origin),
                salt=ctx.ids(),
            )
            for one in judged.good
        ],
    )


def _after(ctx: Context, before: Progress, batch: Sequence[ReadRow], judged: Judged) -> Progress:
    unknown = sum(one.is_unknown for one in judged.rejected)
    return replace(
        before,
        position=batch[-1].end if batch else before.position,
        last_row=batch[-1].row if batch else before.last_row,
        good=before.good + len(judged.good),
        unknown=before.unknown + unknown,
        refused=before.refused + len(judged.rejected) - unknown,
        finished_at=ctx.clock() if len(batch) < SLICE else None,
    )
