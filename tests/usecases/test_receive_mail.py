"""Incoming mails act once, on the person who is proven or clearly named, and what is unclear waits for a person (W6, D9)."""

import asyncio
import quopri
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import Row, select

from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import SERVICE, TRACKING_OPENS, Act, Purpose, State
from pixel_service.domain.messages import SubscriberId
from pixel_service.mail.read_back import read_back
from pixel_service.storage import inbound
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import inbound_unclear, messages
from pixel_service.usecases import links
from pixel_service.usecases.context import Context
from pixel_service.usecases.inbox import forget_old
from pixel_service.usecases.ledger import replay
from pixel_service.usecases.privacy_link import mail_link, read_link
from pixel_service.usecases.receive_mail import Incoming, Outcome, Received, receive
from tests.access import Clock
from tests.builders import BLOG, GLASFASER, OPENS, Relay, context, deliver, join, ledger_of, queued, states_of
from tests.journeys.machine import NETZ, two_newsletters
from tests.letters import ANNA, STOP, answer, letter, raw, report
from tests.usecases.test_withdraw import mailing


@pytest.fixture
def relay() -> Relay:
    return Relay()


@pytest.fixture
def ctx(db: Database, relay: Relay) -> Context:
    """With two newsletters, so that one can end while the other goes on."""
    return replace(context(db, Clock(), relay), catalogue=two_newsletters())


async def come_in(ctx: Context, mail: bytes, *, sender: str | None = ANNA, to: str = STOP) -> Received:
    return await receive(ctx, Incoming(raw=mail, envelope_from=sender, envelope_to=(to,)))


async def waiting(ctx: Context) -> list[Row[Any]]:
    async with ctx.db.read() as connection:
        return list((await connection.execute(select(inbound_unclear))).all())


async def counted(ctx: Context) -> dict[str, int]:
    async with ctx.db.read() as connection:
        return await inbound.counts(connection)


async def mailed(ctx: Context, relay: Relay, purpose: Purpose = BLOG) -> str:
    """Everybody gets a newsletter; the id of the last one."""
    await mailing(ctx, purpose)
    await deliver(ctx)
    async with ctx.db.read() as connection:
        query = select(messages.c.message_id).where(messages.c.purpose == purpose).order_by(messages.c.message_id)
        return str((await connection.execute(query)).scalars().all()[-1])


async def ended(ctx: Context, person: SubscriberId) -> set[Purpose]:
    return {purpose for purpose, state in (await states_of(ctx, person)).items() if state is State.WITHDRAWN}


async def said(ctx: Context, person: SubscriberId, purpose: Purpose = BLOG) -> dict[str, object]:
    """What the ledger keeps of a withdrawal."""
    found = [content for one, act, content in await ledger_of(ctx, person) if (one, act) == (purpose, Act.WITHDRAWN)]
    assert len(found) == 1
    return found[0]


# --- what acts -------------------------------------------------------------------


async def test_the_link_in_the_list_unsubscribe_header_withdraws_its_purpose(ctx: Context, relay: Relay) -> None:
    anna = await join(ctx, ANNA, BLOG, NETZ, OPENS)
    await mailed(ctx, relay)
    sent = b"".join(envelope.data for envelope in relay.taken).replace(b"\r\n ", b"")
    header = re.search(rb"mailto:stop@news.example\?subject=([a-z2-7]+)", sent)
    assert header is not None
    # From another address, without a word, by a program that says it is one.
    mail = letter(subject=header[1].decode(), sender="provider@mail.example", auto_submitted="auto-generated")
    received = await come_in(ctx, mail, sender="")
    assert received.outcome is Outcome.WITHDRAWN
    assert received.receipt is not None
    assert received.receipt.withdrawn == (BLOG,)
    assert await ended(ctx, anna) == {BLOG}
    assert await said(ctx, anna) == {"source": "mail", "message_id": "one@mail.example", "known_by": "signed_link"}


async def test_a_reply_from_any_address_withdraws_what_it_answers(ctx: Context, relay: Relay) -> None:
    anna = await join(ctx, ANNA, BLOG, NETZ, OPENS)
    message_id = await mailed(ctx, relay)
    received = await come_in(ctx, answer(message_id, sender="anna.private@mail.example"), to="news@news.example")
    assert received.outcome is Outcome.WITHDRAWN
    assert await ended(ctx, anna) == {BLOG}
    assert (await said(ctx, anna))["known_by"] == "answered_mail"
    assert await queued(ctx) == ["goodbye"]


async def test_a_mail_to_our_return_path_is_a_reply(ctx: Context, relay: Relay) -> None:
    anna = await join(ctx, ANNA, BLOG, NETZ)
    message_id = await mailed(ctx, relay, NETZ)
    await come_in(ctx, letter("abmelden", sender="x@mail.example"), to=f"bounce-{message_id}@NEWS.example")
    assert await ended(ctx, anna) == {NETZ}


async def test_clear_words_from_an_address_on_record_withdraw_everything(ctx: Context) -> None:
    anna, ben = await join(ctx, ANNA, BLOG, NETZ, OPENS), await join(ctx, "ben@example.com", BLOG)
    await come_in(ctx, letter("Please unsubscribe", sender="Anna@Example.com"))
    assert await ended(ctx, anna) == {BLOG, NETZ, OPENS}
    assert await ended(ctx, ben) == set()
    assert (await said(ctx, anna))["known_by"] == "sender_address"


async def test_only_the_measuring_ends_where_only_that_is_asked(ctx: Context, relay: Relay) -> None:
    anna = await join(ctx, ANNA, BLOG, OPENS)
    message_id = await mailed(ctx, relay)
    received = await come_in(ctx, answer(message_id, "Bitte keine Messung mehr, Tracking abstellen"))
    assert received.outcome is Outcome.LISTED, "a negation in front is for a person"
    received = await come_in(ctx, answer(message_id, "Bitte das Tracking abstellen"))
    assert received.outcome is Outcome.WITHDRAWN
    assert await ended(ctx, anna) == {TRACKING_OPENS}


async def test_who_answers_a_mail_that_is_no_newsletter_wants_nothing_more(ctx: Context) -> None:
    anna = await join(ctx, ANNA, BLOG, GLASFASER, OPENS)
    await deliver(ctx)
    async with ctx.db.read() as connection:
        query = select(messages.c.message_id).where(messages.c.purpose == SERVICE)
        message_id = str((await connection.execute(query)).scalars().first())
    await come_in(ctx, answer(message_id))
    assert await ended(ctx, anna) == {BLOG, GLASFASER, OPENS}


async def test_a_question_beside_the_wish_is_listed_and_the_wish_is_done(ctx: Context) -> None:
    anna = await join(ctx, ANNA, BLOG)
    received = await come_in(ctx, letter("Bitte abmelden. Woher haben Sie meine Adresse?"))
    assert received.outcome is Outcome.WITHDRAWN_AND_LISTED
    assert await ended(ctx, anna) == {BLOG, OPENS}
    assert [(row.subscriber_id, row.inbound_id) for row in await waiting(ctx)] == [(anna, received.inbound_id)]


async def test_a_withdrawal_by_mail_is_in_the_ledger_as_any_other(ctx: Context) -> None:
    await join(ctx, ANNA, BLOG, OPENS)
    await come_in(ctx, letter("abmelden"))
    assert await replay(ctx) == []


# --- once --------------------------------------------------------------------------


async def test_a_mail_that_is_delivered_again_acts_no_second_time(ctx: Context) -> None:
    anna = await join(ctx, ANNA, BLOG)
    assert (await come_in(ctx, letter("abmelden"))).outcome is Outcome.WITHDRAWN
    await join(ctx, ANNA, BLOG)
    again = await come_in(ctx, b"Received: by another host\r\n" + letter("abmelden"), sender=None, to="x@news.example")
    assert again.outcome is Outcome.REPEATED
    assert await ended(ctx, anna) == {OPENS}
    assert (await come_in(ctx, letter("abmelden", message_id="two@mail.example"))).outcome is Outcome.WITHDRAWN


async def test_an_unclear_mail_that_is_delivered_again_is_listed_once(ctx: Context) -> None:
    await come_in(ctx, letter("Hallo"))
    await come_in(ctx, letter("Hallo"))
    assert len(await waiting(ctx)) == 1


async def test_the_same_mail_delivered_many_times_at_once_acts_once(ctx: Context) -> None:
    anna = await join(ctx, ANNA, BLOG)
    received = await asyncio.gather(*(come_in(ctx, letter("abmelden")) for _ in range(8)))
    assert sorted(one.outcome for one in received) == [Outcome.REPEATED] * 7 + [Outcome.WITHDRAWN]
    await said(ctx, anna)
    assert (await queued(ctx)).count("goodbye") == 1


async def test_two_people_whose_programs_send_the_same_mail_are_both_unsubscribed(ctx: Context) -> None:
    for address in (ANNA, "ben@example.com"):
        person = await join(ctx, address, BLOG, NETZ)
        token = links.unsubscribe_url(ctx, person, BLOG).rpartition("/")[2]
        mail = raw("From: unsubscribe@mail.example", "Subject: unsubscribe", "Date: Mon, 02 Nov 2026 10:00:00 +0000")
        for outcome in (Outcome.WITHDRAWN, Outcome.REPEATED):
            assert (await come_in(ctx, mail, to=f"stop+{token}@news.example")).outcome is outcome
        assert await ended(ctx, person) == {BLOG}


# --- what does not act -----------------------------------------------------------------


@pytest.mark.parametrize(
    "mail, outcome, verdict",
    [
        (letter("Ich bin nicht da. Stop.", auto_submitted="auto-replied"), Outcome.AUTO_REPLY, "auto_reply"),
        (letter("stop", precedence="bulk"), Outcome.AUTO_REPLY, "auto_reply"),
        (letter("unsubscribe", list_id="<others.example>"), Outcome.AUTO_REPLY, "auto_reply"),
        (report(), Outcome.BOUNCE, "bounce"),
        (report("feedback-report"), Outcome.BOUNCE, "bounce"),
    ],
)
async def test_machines_are_ignored_and_counted(ctx: Context, mail: bytes, outcome: Outcome, verdict: str) -> None:
    anna = await join(ctx, ANNA, BLOG, OPENS)
    assert (await come_in(ctx, mail)).outcome is outcome
    assert await ended(ctx, anna) == set()
    assert await waiting(ctx) == []
    assert await counted(ctx) == {verdict: 1}


async def test_a_mail_without_a_sender_to_answer_is_a_machines(ctx: Context) -> None:
    assert (await come_in(ctx, letter("stop"), sender="")).outcome is Outcome.AUTO_REPLY


async def test_what_is_unclear_waits_with_all_that_is_known_of_it(ctx: Context, relay: Relay) -> None:
    anna = await join(ctx, ANNA, BLOG)
    message_id = await mailed(ctx, relay)
    mail = answer(message_id, "Kann ich mich abmelden?" + " x" * 5000, sender="Private@Mail.example", subject="Frage")
    received = await come_in(ctx, mail)
    assert received.outcome is Outcome.LISTED
    (row,) = await waiting(ctx)
    assert (row.subscriber_id, row.sender, row.subject, row.state) == (anna, "private@mail.example", "Frage", "open")
    assert len(row.excerpt) == 2000
    assert row.message_id_header == "one@mail.example"
    assert await ended(ctx, anna) == set()


@pytest.mark.parametrize("coded", ["8bit", "quoted-printable"])
async def test_a_question_above_a_quoted_mail_of_ours_leaves_no_link_that_opens(
    ctx: Context, relay: Relay, coded: str
) -> None:
    anna = await join(ctx, ANNA, BLOG)
    await deliver(ctx)
    relay.taken.clear()
    await mail_link(ctx, parse_address(ANNA), "en")
    await deliver(ctx)
    (ours,) = relay.taken
    quoted = "\n> ".join(read_back(ours.data)[1].splitlines())
    (token,) = re.findall(r"/privacy/me/([a-z2-7]+)", quoted)
    assert await read_link(ctx, token) == anna
    body = f"Was ist das?\n\n> {quoted}\n> {links.preferences_url(ctx, anna)}".encode()
    head = (f"From: {ANNA}", f"Subject: AW: {token}", f"Content-Transfer-Encoding: {coded}")
    mail = raw(*head, body=quopri.encodestring(body) if coded == "quoted-printable" else body)
    assert (await come_in(ctx, mail)).outcome is Outcome.LISTED
    (row,) = await waiting(ctx)
    assert f"/privacy/me/{token[:8]}…" in row.excerpt
    assert "/p/" in row.excerpt
    assert row.subject == f"AW: {token[:8]}…"
    assert not re.search(r"[a-z2-7]{26}", "".join(re.sub(r"[\s>=]", "", row.excerpt).split("/")) + row.subject)


async def test_a_stranger_with_clear_words_waits(ctx: Context) -> None:
    received = await come_in(ctx, letter("abmelden", sender="unknown@mail.example"))
    assert received.outcome is Outcome.LISTED
    assert [row.subscriber_id for row in await waiting(ctx)] == [None]


async def test_a_mail_that_was_passed_on_to_another_subscriber_waits(ctx: Context, relay: Relay) -> None:
    anna = await join(ctx, ANNA, BLOG)
    message_id = await mailed(ctx, relay)
    ben = await join(ctx, "ben@example.com", BLOG)
    assert (await come_in(ctx, answer(message_id, sender="ben@example.com"))).outcome is Outcome.LISTED
    assert await ended(ctx, anna) == await ended(ctx, ben) == set()


@pytest.mark.parametrize("subject", ["a" * 100, "b" * 26])
async def test_forged_links_and_ids_match_nobody(ctx: Context, subject: str) -> None:
    anna = await join(ctx, ANNA, BLOG)
    mail = letter("", subject=subject, sender="evil@mail.example", in_reply_to=f"<{subject}@news.example>")
    assert (await come_in(ctx, mail)).outcome is Outcome.LISTED
    assert await ended(ctx, anna) == set()


async def test_a_link_of_another_kind_does_not_unsubscribe(ctx: Context) -> None:
    anna = await join(ctx, ANNA, BLOG)
    token = links.preferences_url(ctx, anna).rpartition("/")[2]
    assert (await come_in(ctx, letter("", subject=token, sender="x@mail.example"))).outcome is Outcome.LISTED
    assert await ended(ctx, anna) == set()


async def test_a_link_of_somebody_who_is_gone_is_obeyed_in_silence(ctx: Context) -> None:
    gone = SubscriberId("z" * 25 + "a")
    token = links.unsubscribe_url(ctx, gone, BLOG).rpartition("/")[2]
    assert await come_in(ctx, letter("", subject=token)) == Received(outcome=Outcome.WITHDRAWN)


async def test_broken_mails_are_listed(ctx: Context) -> None:
    await join(ctx, ANNA, BLOG)
    mail = raw(f"From: {ANNA}", "Content-Type: text/plain; charset=no-such", body=b"abmelden \xff\x00")
    assert (await come_in(ctx, mail)).outcome is Outcome.LISTED
    assert (await come_in(ctx, b"\xff\x00\r\n")).outcome is Outcome.LISTED
    assert (await come_in(ctx, b"")).outcome is Outcome.LISTED


async def test_notes_and_settled_mails_are_kept_as_long_as_the_delivery_log_and_what_waits_stays(db: Database) -> None:
    clock = Clock()
    ctx = context(db, clock)
    await come_in(ctx, letter("Hallo"))
    clock.move(ctx.policy.keep.delivery)
    assert await forget_old(ctx) == 0
    clock.move(timedelta(seconds=1))
    assert await forget_old(ctx) == 1
    assert await counted(ctx) == {}
    assert len(await waiting(ctx)) == 1


# --- silence ----------------------------------------------------------------------------


async def test_nothing_is_answered_but_by_the_goodbye_mail_to_the_address_on_record(ctx: Context, relay: Relay) -> None:
    await join(ctx, ANNA, BLOG)
    await deliver(ctx)
    relay.taken.clear()
    await come_in(ctx, letter("Hallo", sender="stranger@mail.example"))
    await come_in(ctx, letter("abmelden", message_id="two@x.example", reply_to="victim@mail.example"))
    await deliver(ctx)
    assert [envelope.rcpt_to for envelope in relay.taken] == [ANNA]
    # The goodbye mail's own echo goes nowhere.
    echo = await come_in(ctx, relay.taken[0].data)
    assert echo.outcome is Outcome.AUTO_REPLY


async def test_no_address_and_no_word_is_logged(ctx: Context) -> None:
    with structlog.testing.capture_logs() as logs:
        await come_in(ctx, letter("geheim", subject="vertraulich"))
    assert [(line["event"], line["outcome"]) for line in logs] == [("mail_received", "listed")]
    assert not re.search(r"geheim|vertraulich|anna|example", repr(logs))
    incoming = Incoming(raw=b"geheim", envelope_from=ANNA, envelope_to=(STOP,))
    assert not re.search(r"geheim|example", repr(incoming))
