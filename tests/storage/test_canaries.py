"""Rows that nobody agreed to are found whoever they are of, and what may be held is not taken for them (P10)."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, update

from pixel_service.domain.consent import TRACKING_OPENS, State, is_valid
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage.canaries import first_open_id, unfounded_opens, unfounded_pixels
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import consents, opens, pixels
from tests.tracked_mail import NOW, TrackedMail, add_tracked_mail

DAY = timedelta(days=1)


async def opened_mail(db: Database, number: int = 0) -> TrackedMail:
    async with db.write() as connection:
        mail = await add_tracked_mail(connection)
        await connection.execute(
            insert(opens).values(
                open_id=int(NOW.timestamp() * 1000).to_bytes(6, "big") + bytes([number] * 10),
                message_id=mail.message_id,
                opened_at=NOW,
                verdict="unknown",
                reason="",
                client_family="",
            )
        )
    return mail


async def set_state(db: Database, person: SubscriberId, state: State) -> None:
    """Past the one writer of consent, who would delete what was measured."""
    theirs = (consents.c.subscriber_id == person) & (consents.c.purpose == TRACKING_OPENS)
    async with db.write() as connection:
        if state is State.UNKNOWN:
            await connection.execute(delete(consents).where(theirs))
        else:
            await connection.execute(update(consents).where(theirs).values(state=state.value))


async def found(db: Database, *, back: timedelta = DAY, limit: int = 10) -> int:
    number, pixel, opened = 0, "", first_open_id(NOW - back)
    async with db.read() as connection:
        while (seen := await unfounded_pixels(connection, pixel, limit))[1] is not None:
            number, pixel = number + seen[0], seen[1]
        while (told := await unfounded_opens(connection, opened, limit))[1] is not None:
            number, opened = number + told[0], told[1]
    return number


@pytest.mark.parametrize("state", State)
async def test_a_pixel_and_an_open_are_held_only_of_those_who_agree_or_want_them_kept(
    db: Database, state: State
) -> None:
    mail = await opened_mail(db)
    assert await found(db) == 0
    await set_state(db, mail.subscriber_id, state)
    assert await found(db) == (0 if is_valid(state) or state is State.RESTRICTED else 2)


async def test_consent_to_something_else_is_none(db: Database) -> None:
    mail = await opened_mail(db)
    await set_state(db, mail.subscriber_id, State.UNKNOWN)
    async with db.write() as connection:
        await connection.execute(delete(pixels))
    assert await found(db) == 1


async def test_slice_by_slice_nothing_is_counted_twice_or_passed_over(db: Database) -> None:
    for number in range(5):
        mail = await opened_mail(db, number)
        if number % 2:
            await set_state(db, mail.subscriber_id, State.REFUSED)
    assert [await found(db, limit=limit) for limit in (1, 2, 10)] == [4, 4, 4]


async def test_opens_are_looked_at_from_a_time_on(db: Database) -> None:
    mail = await opened_mail(db)
    await set_state(db, mail.subscriber_id, State.WITHDRAWN)
    assert await found(db, back=-DAY) == 1, "the pixel alone"
