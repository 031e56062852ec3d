"""Published texts: kept as people saw them; a version that reads differently stops the start (S5, DESIGN rule 14)."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from pixel_service.app import catalogue_of
from pixel_service.domain.errors import PublishedTextChanged
from pixel_service.domain.wordings import Catalogue
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import published_texts
from pixel_service.storage.texts import NOTICE, find, publish
from tests.builders import BLOG, catalogue, context, settings, with_new_texts
from tests.tracked_mail import NOW


async def start(db: Database, texts: Catalogue, days: int = 0) -> None:
    async with db.write() as connection:
        await publish(connection, texts, at=NOW + timedelta(days=days))


async def kept(db: Database) -> dict[str, tuple[str, str]]:
    async with db.read() as connection:
        rows = await connection.execute(select(published_texts))
        return {f"{row.purpose}/{row.version}/{row.language}": (row.text_hash, row.text) for row in rows}


async def test_every_text_is_kept_as_it_reads(db: Database) -> None:
    await start(db, catalogue())
    known = await kept(db)
    assert {name: text_hash for name, (text_hash, _) in known.items()} == catalogue().published_texts()
    wording = catalogue().current(BLOG, "de")
    assert known[f"{BLOG}/{wording.version}/de"] == (wording.hash, wording.text)


async def test_starting_again_changes_nothing(db: Database) -> None:
    await start(db, catalogue())
    before = await kept(db)
    await start(db, catalogue(), days=1)
    assert await kept(db) == before
    async with db.read() as connection:
        assert set((await connection.execute(select(published_texts.c.published_at))).scalars()) == {NOW}


async def test_a_new_version_stands_beside_the_old_one(db: Database) -> None:
    await start(db, catalogue())
    before = await kept(db)
    await start(db, with_new_texts(context(db), BLOG).catalogue)
    after = await kept(db)
    assert before.items() < after.items()
    assert after.keys() - before.keys() == {f"{BLOG}/2099-01/{one}" for one in catalogue().languages}


async def test_a_published_text_that_reads_differently_is_refused_by_name_and_nothing_is_kept(db: Database) -> None:
    await start(db, catalogue())
    before = await kept(db)
    newer = with_new_texts(context(db), BLOG).catalogue
    wording = newer.current(BLOG, "de")
    old = next(key for key in catalogue().wordings if key[0] == BLOG and key[2] == "en")
    edited = replace(newer, wordings={**newer.wordings, old: replace(newer.wordings[old], text="x", hash="f" * 64)})
    with pytest.raises(PublishedTextChanged) as refused:
        await start(db, edited)
    assert refused.value.texts == ("/".join(old),)
    assert wording.version not in str(refused.value)
    assert await kept(db) == before


async def test_a_text_that_is_no_longer_shipped_stays_as_evidence(db: Database) -> None:
    await start(db, catalogue())
    before = await kept(db)
    await start(db, replace(catalogue(), wordings={}))
    assert await kept(db) == before


async def test_several_services_may_start_at_once(db: Database, database_url: str) -> None:
    other = Database(database_url)
    await asyncio.gather(*(start(each, catalogue()) for each in (db, other, db, other)))
    await other.close()
    assert (await kept(db)).keys() == catalogue().published_texts().keys()


async def test_a_changed_setting_publishes_a_new_notice_beside_the_old_one(db: Database) -> None:
    before, after = (catalogue_of(settings(recording_window_days=days)) for days in ("30", "14"))
    for texts in (before, after, before):
        await start(db, texts)
    async with db.read() as connection:
        for texts in (before, after):
            assert await find(connection, NOTICE, texts.notice_version, "de") == texts.notice("de").text
        assert await find(connection, NOTICE, "2000-01", "de") is None
    assert before.notice_version != after.notice_version
