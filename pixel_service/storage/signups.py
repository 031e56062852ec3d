"""Sign-ups: what somebody typed and asked for, until the person answers for each purpose."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import exists, func, insert, select, update

from pixel_service.domain.consent import Purpose
from pixel_service.domain.messages import SignUpId, SubscriberId
from pixel_service.domain.signup import AskedPurpose, PendingSignUp, Profile
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import messages, sign_up_purposes, sign_ups


async def add(connection: Connection, sign_up: PendingSignUp) -> None:
    await connection.execute(
        insert(sign_ups).values(
            sign_up_id=sign_up.sign_up_id,
            subscriber_id=sign_up.subscriber_id,
            language=sign_up.language,
            profile=sign_up.profile.given(),
            created_at=sign_up.created_at,
            expires_at=sign_up.expires_at,
        )
    )
    for asked in sign_up.asked:
        await connection.execute(
            insert(sign_up_purposes).values(
                sign_up_id=sign_up.sign_up_id,
                purpose=asked.purpose,
                wording_version=asked.wording_version,
                wording_hash=asked.wording_hash,
            )
        )


async def get(connection: Connection, sign_up_id: SignUpId, *, lock: bool = False) -> PendingSignUp | None:
    """`lock`: hold the row, so that two presses of one button are one act."""
    query = select(sign_ups).where(sign_ups.c.sign_up_id == sign_up_id)
    row = (await connection.execute(query.with_for_update(key_share=True) if lock else query)).first()
    if row is None:
        return None
    asked = await connection.execute(
        select(sign_up_purposes).where(sign_up_purposes.c.sign_up_id == sign_up_id).order_by(sign_up_purposes.c.purpose)
    )
    return PendingSignUp(
        sign_up_id=sign_up_id,
        subscriber_id=SubscriberId(row.subscriber_id),
        language=row.language,
        created_at=row.created_at,
        expires_at=row.expires_at,
        confirmed_at=row.confirmed_at,
        profile=Profile(**row.profile),
        asked=tuple(
            AskedPurpose(
                purpose=Purpose(one.purpose),
                wording_version=one.wording_version,
                wording_hash=one.wording_hash,
                answer=one.answer,
            )
            for one in asked
        ),
        accepted_at=row.accepted_at,
        wrong_codes=row.wrong_codes,
    )


async def answer(connection: Connection, sign_up_id: SignUpId, purpose: Purpose, *, with_: str) -> None:
    await connection.execute(
        update(sign_up_purposes)
        .where(sign_up_purposes.c.sign_up_id == sign_up_id, sign_up_purposes.c.purpose == purpose)
        .values(answer=with_)
    )


async def close(connection: Connection, sign_up_id: SignUpId, *, at: datetime) -> None:
    await connection.execute(update(sign_ups).where(sign_ups.c.sign_up_id == sign_up_id).values(confirmed_at=at))


async def correct_waiting(connection: Connection, subscriber_id: SubscriberId, changed: Mapping[str, str]) -> None:
    """What was typed before must not come back with an answer that is given later."""
    of_person = (sign_ups.c.subscriber_id == subscriber_id) & sign_ups.c.confirmed_at.is_(None)
    for row in (await connection.execute(select(sign_ups.c.sign_up_id, sign_ups.c.profile).where(of_person))).all():
        corrected = Profile(**{**row.profile, **changed}).given()
        await connection.execute(
            update(sign_ups).where(sign_ups.c.sign_up_id == row.sign_up_id).values(profile=corrected)
        )


async def cancel_waiting(connection: Connection, subscriber_id: SubscriberId, purposes: tuple[Purpose, ...]) -> int:
    """A withdrawal also ends what still waits for a confirmation: an old link must not bring the purpose back. Returns
    how many questions it were."""
    of_person = select(sign_ups.c.sign_up_id).where(sign_ups.c.subscriber_id == subscriber_id)
    cancelled = await connection.execute(
        update(sign_up_purposes)
        .where(
            sign_up_purposes.c.sign_up_id.in_(of_person),
            sign_up_purposes.c.purpose.in_(purposes),
            sign_up_purposes.c.answer.is_(None),
        )
        .values(answer="cancelled")
    )
    return cancelled.rowcount


async def waiting_purposes(connection: Connection, subscriber_id: SubscriberId, *, now: datetime) -> set[Purpose]:
    """What the person was asked by mail and has not answered."""
    rows = await connection.execute(
        select(sign_up_purposes.c.purpose)
        .join(sign_ups, sign_ups.c.sign_up_id == sign_up_purposes.c.sign_up_id)
        .where(
            sign_ups.c.subscriber_id == subscriber_id,
            sign_ups.c.expires_at > now,
            sign_up_purposes.c.answer.is_(None),
        )
    )
    return {Purpose(row.purpose) for row in rows}


async def mark_mailed(connection: Connection, sign_up_id: SignUpId, *, at: datetime) -> None:
    await connection.execute(update(sign_ups).where(sign_ups.c.sign_up_id == sign_up_id).values(mailed_at=at))


async def mark_reminded(connection: Connection, sign_up_id: SignUpId, *, at: datetime) -> None:
    await connection.execute(update(sign_ups).where(sign_ups.c.sign_up_id == sign_up_id).values(reminded_at=at))


async def mark_accepted(connection: Connection, sign_up_id: SignUpId, *, at: datetime) -> None:
    await connection.execute(update(sign_ups).where(sign_ups.c.sign_up_id == sign_up_id).values(accepted_at=at))


async def count_wrong_code(connection: Connection, sign_up_id: SignUpId) -> None:
    await connection.execute(
        update(sign_ups).where(sign_ups.c.sign_up_id == sign_up_id).values(wrong_codes=sign_ups.c.wrong_codes + 1)
    )


async def mails_since(connection: Connection, subscriber_id: SubscriberId, since: datetime) -> int:
    """Confirmation mails really queued for a person, whoever or whatever made them (S11)."""
    found = await connection.execute(
        select(func.count())
        .select_from(messages)
        .where(
            messages.c.subscriber_id == subscriber_id,
            messages.c.template == "confirmation",
            messages.c.queued_at > since,
        )
    )
    return found.scalar_one()


async def open_questions_since(
    connection: Connection, subscriber_id: SubscriberId, since: datetime
) -> dict[Purpose, int]:
    """Per purpose, how many mails asked for it lately and were not answered yet."""
    rows = await connection.execute(
        select(sign_up_purposes.c.purpose, func.count())
        .join(sign_ups, sign_ups.c.sign_up_id == sign_up_purposes.c.sign_up_id)
        .where(
            sign_ups.c.subscriber_id == subscriber_id,
            sign_ups.c.mailed_at > since,
            sign_up_purposes.c.answer.is_(None),
        )
        .group_by(sign_up_purposes.c.purpose)
    )
    return {Purpose(purpose): count for purpose, count in rows}


async def due_for_reminder(
    connection: Connection, *, created_before: datetime, now: datetime, limit: int
) -> list[SignUpId]:
    """Mailed, unanswered, still good; of people who were not reminded of anything yet (S12)."""
    reminded = sign_ups.alias("reminded")
    query = (
        select(sign_ups.c.sign_up_id)
        .where(
            sign_ups.c.mailed_at.is_not(None),
            sign_ups.c.confirmed_at.is_(None),
            sign_ups.c.created_at <= created_before,
            sign_ups.c.expires_at > now,
            ~exists().where(reminded.c.subscriber_id == sign_ups.c.subscriber_id, reminded.c.reminded_at.is_not(None)),
        )
        .order_by(sign_ups.c.created_at, sign_ups.c.sign_up_id)
        .limit(limit)
    )
    return [SignUpId(one) for one in (await connection.execute(query)).scalars()]
