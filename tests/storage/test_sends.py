"""Campaigns, sends and the walk over an audience, on both databases."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, select, update

from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import VALID_STATES, State
from pixel_service.domain.messages import CampaignId, SendId, Status, SubscriberId
from pixel_service.storage import audiences, sends
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.schema import campaigns, consents, messages, subscribers
from pixel_service.storage.sends import NewSend, Progress, Send
from tests.tracked_mail import BLOG, NOW, add_campaign, add_mail, add_person, new_id


def new_send(campaign_id: CampaignId, key: str = "k", *, minutes: int = 0) -> NewSend:
    return NewSend(
        send_id=SendId(new_id()),
        campaign_id=campaign_id,
        api_key_id="a",
        idempotency_key=key,
        body_hash="h",
        content={"html": "<p>ü</p>", "variables": {"n": [1, None]}},
        personal_content=True,
        warnings=("long",),
        created_at=NOW + timedelta(minutes=minutes),
    )


async def hold(connection: Connection, name: str) -> CampaignId:
    campaign = await sends.hold_campaign(connection, name=name, purpose=BLOG, new_id=CampaignId(new_id()), at=NOW)
    return campaign.campaign_id


async def test_a_campaign_is_made_once_and_found_by_its_name(db: Database) -> None:
    async with db.write() as connection:
        first = await hold(connection, "November")
        assert await hold(connection, "November") == first
        assert await hold(connection, "December") != first
    async with db.read() as connection:
        found = await sends.find_campaign(connection, "November")
        assert found is not None
        assert (found.campaign_id, found.purpose, found.cancelled_at) == (first, BLOG, None)
        assert await sends.find_campaign(connection, "october") is None


async def test_a_held_campaign_makes_the_next_one_wait(db: Database) -> None:
    """On SQLite every writer waits; on PostgreSQL the row's lock does it."""
    order: list[str] = []
    async with db.write() as connection:
        await hold(connection, "November")

        async def other() -> None:
            async with db.write() as another:
                await hold(another, "November")
                order.append("second")

        waiting = asyncio.create_task(other())
        await asyncio.sleep(0.1)
        order.append("first")
    await waiting
    assert order == ["first", "second"]


async def test_a_send_is_read_as_it_was_added(db: Database) -> None:
    async with db.write() as connection:
        new = new_send(await add_campaign(connection))
        assert await sends.add(connection, new)
    async with db.read() as connection:
        found = await sends.get(connection, new.send_id)
        assert await sends.find_repeat(connection, api_key_id="a", idempotency_key="k") == found
        assert await sends.find_repeat(connection, api_key_id="b", idempotency_key="k") is None
        assert await sends.get(connection, SendId("none")) is None
    assert found == Send(
        send_id=new.send_id,
        campaign_id=new.campaign_id,
        purpose=BLOG,
        body_hash="h",
        content={"html": "<p>ü</p>", "variables": {"n": [1, None]}},
        personal_content=True,
        warnings=("long",),
        created_at=NOW,
        results=None,
        cursor=None,
        expanded_at=None,
        tracked=0,
        untracked=0,
        refused=0,
    )


async def test_an_idempotency_key_is_taken_once_per_api_key(db: Database) -> None:
    async with db.write() as connection:
        campaign_id = await add_campaign(connection)
        assert await sends.add(connection, new_send(campaign_id))
        assert not await sends.add(connection, new_send(campaign_id))
        assert await sends.add(connection, new_send(campaign_id, "other"))


async def test_progress_adds_up_and_ends_where_it_says_so(db: Database) -> None:
    async with db.write() as connection:
        new = new_send(await add_campaign(connection))
        await sends.add(connection, new)
        await sends.advance(connection, new.send_id, Progress(tracked=2, untracked=1, cursor="m"))
        await sends.advance(
            connection, new.send_id, Progress(tracked=1, refused=4, finished_at=NOW, results=[["x", 1]])
        )
        found = await sends.get(connection, new.send_id)
    assert found is not None
    assert (found.tracked, found.untracked, found.refused) == (3, 1, 4)
    assert (found.cursor, found.expanded_at, found.results) == (None, NOW, [["x", 1]])


async def test_audiences_are_walked_oldest_first_and_one_at_a_time(db: Database) -> None:
    async with db.write() as connection:
        campaign_id = await add_campaign(connection)
        late, early = new_send(campaign_id, "late", minutes=5), new_send(campaign_id, "early")
        done = new_send(campaign_id, "done", minutes=-5)
        for new in (late, early, done):
            await sends.add(connection, new)
        await sends.advance(connection, done.send_id, Progress(finished_at=NOW))
    async with db.write() as connection:
        first = await sends.next_to_expand(connection)
        assert first is not None
        assert first.send_id == early.send_id
        if not db.is_sqlite:
            async with db.write() as another:
                second = await sends.next_to_expand(another)
            assert second is not None
            assert second.send_id == late.send_id


async def test_an_audience_is_everybody_with_valid_consent_once_and_in_order(db: Database) -> None:
    async with db.write() as connection:
        people = [await add_person(connection) for _ in range(25)]
        for number, person in enumerate(people):
            state = list(State)[number % len(State)]
            await connection.execute(
                update(consents)
                .where(consents.c.subscriber_id == person, consents.c.purpose == BLOG)
                .values(state=state.value)
            )
        valid = [
            one for number, one in enumerate(people) if list(State)[number % len(State)] in {State.GIVEN, State.RENEWED}
        ]
        seen: list[SubscriberId] = []
        while part := await audiences.people_after(connection, BLOG, cursor=seen[-1] if seen else "", limit=3):
            assert len(part) <= 3
            seen += part
    assert seen == sorted(valid)


async def test_a_slice_of_an_audience_is_read_from_the_index_without_looking_at_the_rest(
    new_sqlite: Callable[[], str],
) -> None:
    """Sorting everybody who is left, for every slice, would make a million people a matter of hours."""
    database = Database(new_sqlite())
    said: list[tuple[str, Any]] = []

    @event.listens_for(database._reader.sync_engine, "before_cursor_execute")
    def listen(*args: Any) -> None:
        said.append((args[2], args[3]))

    async with database.read() as connection:
        await audiences.people_after(connection, BLOG, cursor="m", limit=500)
        statement, values = said[-1]
        plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        steps = [row.detail for row in plan]
    await database.close()
    searched = [number for number, step in enumerate(steps) if "ix_consents_purpose_state" in step]
    assert len(searched) == len(VALID_STATES), steps
    for number in searched:
        assert "subscriber_id>?" in steps[number]
        # A sort below the limit would stand right here; those above it see no more than a slice.
        assert "TEMP B-TREE" not in steps[number + 1], steps


@pytest.mark.parametrize(
    "status, counts", [(Status.QUEUED, 1), (Status.SENT, 1), (Status.FAILED, 0), (Status.CANCELLED, 0)]
)
async def test_who_had_a_mail_of_a_campaign_is_known_unless_it_came_to_nothing(
    db: Database, status: Status, counts: int
) -> None:
    async with db.write() as connection:
        campaign_id, other = await add_campaign(connection), await add_campaign(connection, "other")
        person = await add_person(connection)
        mail = await add_mail(connection, person, campaign_id=campaign_id)
        await connection.execute(
            update(messages).where(messages.c.message_id == mail.message_id).values(status=status.value)
        )
        assert len(await sends.already_in(connection, campaign_id, [person])) == counts
        assert await sends.already_in(connection, other, [person]) == set()


async def test_addressees_are_put_on_record_once_and_known_people_stay_as_they_are(db: Database) -> None:
    anna, bo = parse_address("Anna@example.com"), parse_address("bo@example.com")
    async with db.write() as connection:
        await connection.execute(
            insert(subscribers).values(
                subscriber_id="known", address="anna@example.com", address_key=anna.key, language="en", created_at=NOW
            )
        )
        await sends.add_addressees(connection, {SubscriberId("x"): anna, SubscriberId("y"): bo}, at=NOW)
        rows = await connection.execute(select(subscribers).order_by(subscribers.c.address_key))
        assert [(row.subscriber_id, row.address, row.language) for row in rows] == [
            ("known", "anna@example.com", "en"),
            ("y", "bo@example.com", None),
        ]


async def test_mails_are_counted_by_status_per_send(db: Database) -> None:
    async with db.write() as connection:
        campaign_id = await add_campaign(connection)
        new, other = new_send(campaign_id), new_send(campaign_id, "other")
        await sends.add(connection, new)
        await sends.add(connection, other)
        for sent_at in (NOW, NOW, None):
            mail = await add_mail(connection, await add_person(connection), campaign_id=campaign_id, sent_at=sent_at)
            await connection.execute(
                update(messages).where(messages.c.message_id == mail.message_id).values(send_id=new.send_id)
            )
        assert await sends.delivery_counts(connection, new.send_id) == {Status.SENT: 2, Status.QUEUED: 1}
        assert await sends.delivery_counts(connection, other.send_id) == {}


async def test_a_cancelled_campaign_is_seen_by_whoever_holds_it(db: Database) -> None:
    async with db.write() as connection:
        campaign_id = await add_campaign(connection)
        assert (await sends.hold(connection, campaign_id)).cancelled_at is None
        await connection.execute(
            update(campaigns).where(campaigns.c.campaign_id == campaign_id).values(cancelled_at=NOW)
        )
        assert (await sends.hold(connection, campaign_id)).cancelled_at == NOW
