"""Every stored row about one person, table by table, page by page: what the download is made of (R1, R5).

A test compares `TABLES` and `OF_NOBODY` with `domain/stored_data.py`: a new table with data of people must be told here
before it can be stored. Nothing here changes anything.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Table, select, tuple_

from pixel_service.domain.personal_data import Holder
from pixel_service.storage.engine import Database
from pixel_service.storage.privacy import wrote
from pixel_service.storage.schema import (
    address_changes,
    audit_log,
    confirmation_mails,
    consents,
    inbound_unclear,
    ledger,
    message_opens,
    messages,
    opens,
    pixels,
    rights_requests,
    sign_up_purposes,
    sign_ups,
    subscribers,
    webhook_deliveries,
)

#: Rows in memory at once.
_PAGE = 500

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The rows of one table that are about a person."""

    table: Table
    of: Callable[[Holder], ColumnElement[bool]]
    #: Columns that are not handed out, and why.
    without: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.columns if column.name not in self.without)


def _by_person(table: Table) -> Held:
    return Held(table=table, of=lambda person: table.c.subscriber_id == person.subscriber_id)


def _by_mail(table: Table) -> Held:
    return Held(
        table=table,
        of=lambda person: table.c.message_id.in_(
            select(messages.c.message_id).where(messages.c.subscriber_id == person.subscriber_id)
        ),
    )


_COLLEAGUE = "who of our colleagues it was is the colleague's data (CJEU C-579/21)"

#: In the order in which a reader understands them.
TABLES: tuple[Held, ...] = (
    _by_person(subscribers),
    _by_person(address_changes),
    _by_person(consents),
    _by_person(sign_ups),
    Held(
        table=sign_up_purposes,
        of=lambda person: sign_up_purposes.c.sign_up_id.in_(
            select(sign_ups.c.sign_up_id).where(sign_ups.c.subscriber_id == person.subscriber_id)
        ),
    ),
    _by_person(ledger),
    _by_person(confirmation_mails),
    _by_person(messages),
    _by_person(pixels),
    _by_mail(opens),
    _by_mail(message_opens),
    Held(table=inbound_unclear, of=wrote, without={"done_by": _COLLEAGUE}),
    _by_person(rights_requests),
    Held(
        table=webhook_deliveries,
        of=lambda person: webhook_deliveries.c.subject == person.subscriber_id,
        without={"payload": "what the other columns and `subscribers` say, encrypted while it is on its way"},
    ),
    Held(
        table=audit_log,
        of=lambda person: audit_log.c.subject == person.subscriber_id,
        without={"who": _COLLEAGUE},
    ),
)

#: Tables with data of people of which no row can be found from a person on record, and why.
OF_NOBODY: Mapping[str, str] = {
    "users": "accounts of colleagues",
    "sessions": "log-ins of colleagues",
    "login_failures": "log-ins of colleagues",
    "inbound_mails": "a check sum of a mail, which leads to nobody (Art. 11 GDPR)",
    "sends": "numbers of mails and ledger entries in the order of a request; both stand in tables of their own. What a send"
    " says goes with its last mail when somebody is erased",
    "audience_rulings": "numbers of mails and ledger entries in the order of a walk, as in `sends`",
    "sealed_evidence": "of erased people, who have no row to start from; opened with a logged reason only",
    "erased_addresses": "of erased people; a keyed hash leads back to nobody",
}


async def rows_of(db: Database, held: Held, person: Holder, *, page: int = _PAGE) -> AsyncIterator[Values]:
    """In order of their keys. Each page is a view of its own, so that a slow reader holds no connection."""
    keys = tuple(held.table.primary_key.columns)
    last: tuple[Any, ...] | None = None
    while True:
        query = select(held.table).where(held.of(person)).order_by(*keys).limit(page)
        if last is not None:
            query = query.where(tuple_(*keys) > last)
        async with db.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        for row in rows:
            yield {name: row[name] for name in held.columns}
        if len(rows) < page:
            return
        last = tuple(rows[-1][key.name] for key in keys)
