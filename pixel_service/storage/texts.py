"""Published texts: every wording and notice a person was ever shown, kept as it was (S5, DESIGN rule 14)."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import insert, select

from pixel_service.domain.errors import PublishedTextChanged
from pixel_service.domain.evidence import TextKey
from pixel_service.domain.imports import IMPORTED_TEXT
from pixel_service.domain.wordings import Catalogue, Notice, Wording
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import published_texts

#: `purpose` of a privacy notice.
NOTICE = "notice"


async def publish(connection: Connection, catalogue: Catalogue, *, at: datetime) -> None:
    """Keep what is new. Raises `PublishedTextChanged` when a kept version now reads differently."""
    await lock_ledger(connection)
    texts: dict[tuple[str, str, str], Wording | Notice] = {
        **{(one.purpose, one.version, one.language): one for one in catalogue.wordings.values()},
        **{(NOTICE, one.version, one.language): one for one in catalogue.notices.values()},
    }
    rows = await connection.execute(
        select(
            published_texts.c.purpose,
            published_texts.c.version,
            published_texts.c.language,
            published_texts.c.text_hash,
        )
    )
    kept = {(row.purpose, row.version, row.language): row.text_hash for row in rows}
    changed = sorted(key for key, one in texts.items() if kept.get(key, one.hash) != one.hash)
    if changed:
        raise PublishedTextChanged(tuple("/".join(key) for key in changed))
    new = [
        {
            "purpose": purpose,
            "version": version,
            "language": language,
            "text": texts[purpose, version, language].text,
            "text_hash": texts[purpose, version, language].hash,
            "published_at": at,
        }
        for purpose, version, language in sorted(texts.keys() - kept.keys())
    ]
    if new:
        await connection.execute(insert(published_texts), new)


async def find(connection: Connection, purpose: str, version: str, language: str) -> str | None:
    """A text as it was shown, for evidence and for readers of an old version."""
    query = select(published_texts.c.text).where(
        published_texts.c.purpose == purpose,
        published_texts.c.version == version,
        published_texts.c.language == language,
    )
    found: str | None = (await connection.execute(query)).scalar_one_or_none()
    return found


async def imported(connection: Connection) -> dict[TextKey, str]:
    """The hashes of all texts that came with imports; their number is bounded."""
    rows = await connection.execute(
        select(
            published_texts.c.purpose,
            published_texts.c.version,
            published_texts.c.language,
            published_texts.c.text_hash,
        ).where(published_texts.c.version.startswith(IMPORTED_TEXT))
    )
    return {(row.purpose, row.version, row.language): row.text_hash for row in rows}


async def keep_imported(connection: Connection, wordings: Collection[Wording], *, at: datetime) -> None:
    """None of them is kept yet. The caller holds `dialect.lock_ledger`."""
    if wordings:
        await connection.execute(
            insert(published_texts),
            [
                {
                    "purpose": one.purpose,
                    "version": one.version,
                    "language": one.language,
                    "text": one.text,
                    "text_hash": one.hash,
                    "published_at": at,
                }
                for one in wordings
            ],
        )
