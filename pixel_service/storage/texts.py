"""Published texts: every wording and notice a person was ever shown, kept as it was (S5, DESIGN rule 14)."""

from datetime import datetime

from sqlalchemy import insert, select

from pixel_service.domain.errors import PublishedTextChanged
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
