"""What becomes of each row of an import: read, compared with what is on record, taken or refused with its reason (E9)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from io import BufferedIOBase

from pixel_service.domain.consent import Purpose, State
from pixel_service.domain.evidence import TextKey
from pixel_service.domain.import_file import Header, Record, records
from pixel_service.domain.import_rulings import OnRecord, judge, take_text
from pixel_service.domain.imports import Code, ImportRow, Rejected, Rules, parse_row
from pixel_service.storage import consent, imports
from pixel_service.storage.engine import Connection
from pixel_service.storage.imports import Person, Progress
from pixel_service.usecases.context import Context
from pixel_service.usecases.erased_addresses import address_hashes

#: An address key and a purpose.
_ConsentKey = tuple[str, Purpose]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactFile:
    """A file that stays open while it is imported."""

    stream: BufferedIOBase
    #: SHA-256, hex.
    hash: str
    #: Bytes.
    size: int
    header: Header


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row, and the byte behind it."""

    row: int
    end: int
    result: ImportRow | Rejected


@dataclass(frozen=True, slots=True)
class Judged:
    good: list[ImportRow]
    rejected: list[Rejected]
    people: dict[str, Person]


def read_rows(ctx: Context, file: ContactFile, progress: Progress) -> Iterator[ReadRow]:
    rules = Rules(
        catalogue=ctx.catalogue,
        default_language=ctx.policy.default_language,
        now=ctx.clock(),
        unused_for=ctx.policy.keep.unused_consent,
    )
    file.stream.seek(progress.position)
    for record in records(file.stream.readline, file.header, row=progress.last_row, offset=progress.position):
        yield ReadRow(record.row, record.end, _parse(record, file.header, rules))


def _parse(record: Record, header: Header, rules: Rules) -> ImportRow | Rejected:
    if record.values is None:
        return Rejected(row=record.row, field="", code=Code.UNREADABLE, reason=record.problem)
    return parse_row(record.row, dict(zip(header.columns, record.values, strict=True)), rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What rows further up say about the next ones."""

    import_id: str
    #: Imported texts, by their hashes.
    kept: dict[TextKey, str]
    #: Persons and purposes. The database knows them better, but for rows of one transaction and where nothing is written.
    seen: set[bytes] = field(default_factory=set)


async def judge_rows(ctx: Context, connection: Connection, batch: Sequence[ReadRow], run: Run) -> Judged:
    """Nobody changes a consent meanwhile if the caller holds `dialect.lock_ledger`."""
    parsed = [one.result for one in batch if isinstance(one.result, ImportRow)]
    people = await imports.people(connection, {one.address.key for one in parsed})
    on_record = await _on_record(ctx, connection, parsed, people, run)
    good: list[ImportRow] = []
    refused: list[Rejected] = []
    for one in batch:
        no = one.result if isinstance(one.result, Rejected) else _refusal(one.result, on_record, run)
        if no is not None:
            refused.append(no)
        elif isinstance(one.result, ImportRow):
            run.seen.add(_fingerprint(one.result))
            good.append(one.result)
    return Judged(good, refused, people)


def _refusal(one: ImportRow, on_record: Mapping[_ConsentKey, OnRecord], run: Run) -> Rejected | None:
    known = on_record[one.address.key, one.purpose]
    if _fingerprint(one) in run.seen:
        known = replace(known, from_this_file=True)
    return judge(one, known) or take_text(one, run.kept)


async def _on_record(
    ctx: Context, connection: Connection, rows: list[ImportRow], people: Mapping[str, Person], run: Run
) -> dict[_ConsentKey, OnRecord]:
    """With six statements for all of them."""
    hashes = {one.address.key: address_hashes(ctx, one.address) for one in rows}
    erased = await imports.erased(connection, {one for found in hashes.values() for one in found})
    ids = {person.subscriber_id for person in people.values()}
    consents = await consent.consents_of_all(connection, ids, {one.purpose for one in rows})
    said_no = await consent.said_no_at(connection, ids)
    ours = await imports.entries_of(connection, run.import_id, {one.ledger_seq for one in consents.values()})
    found: dict[_ConsentKey, OnRecord] = {}
    for one in rows:
        person = people.get(one.address.key)
        record = consents.get((person.subscriber_id, one.purpose)) if person else None
        found[one.address.key, one.purpose] = OnRecord(
            erased=not erased.isdisjoint(hashes[one.address.key]),
            restricted=person is not None and person.restricted,
            objected=person is not None and person.objected,
            state=record.state if record else State.UNKNOWN,
            said_no_at=said_no.get(person.subscriber_id) if person else None,
            from_this_file=record is not None and record.ledger_seq in ours,
        )
    return found


def _fingerprint(one: ImportRow) -> bytes:
    """Small, because a dry run keeps one per good row."""
    return blake2b(f"{one.purpose} {one.address.key}".encode(), digest_size=16).digest()
