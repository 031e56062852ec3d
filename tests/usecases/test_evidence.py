"""The proof of one person's consent: complete, in plain words in both languages, and every look at it on record."""

import ast
import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po
from sqlalchemy import Row, select, update

from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import Act, State
from pixel_service.domain.evidence import Evidence
from pixel_service.domain.evidence_document import as_text
from pixel_service.domain.evidence_record import as_record
from pixel_service.i18n import packaged_locales
from pixel_service.mail.transport import Deferred
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import audit_log, confirmation_mails, published_texts
from pixel_service.storage.texts import publish
from pixel_service.usecases import evidence_document, evidence_words
from pixel_service.usecases.checkpoints import write_checkpoint
from pixel_service.usecases.confirm import confirm
from pixel_service.usecases.context import Context
from pixel_service.usecases.evidence import Inquiry, gather
from pixel_service.usecases.evidence_document import document
from pixel_service.usecases.withdraw import Source, withdraw
from tests.access import Clock
from tests.builders import BLOG, GLASFASER, OPENS, Relay, ask, confirm_link, context, deliver, ledger_of

ADDRESS = "anna@example.com"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def relay() -> Relay:
    return Relay()


@pytest.fixture
async def ctx(db: Database, clock: Clock, relay: Relay) -> Context:
    made = context(db, clock, relay)
    async with db.write() as connection:
        await publish(connection, made.catalogue, at=made.clock())
    return made


def inquiry(address: str = ADDRESS) -> Inquiry:
    return Inquiry(address=parse_address(address), reason="request 17", by="mia@example.com")


async def proof(ctx: Context) -> Evidence:
    found = await gather(ctx, inquiry())
    assert found is not None
    return found


async def a_whole_story(ctx: Context, clock: Clock) -> None:
    """Asks for two things, gets the mail, confirms one of them a minute later, withdraws it after a day."""
    person = await ask(ctx, ADDRESS, BLOG, OPENS, first_name="Anna")
    await deliver(ctx)
    clock.move(timedelta(minutes=1))
    token = (await confirm_link(ctx, person)).rpartition("/")[2]
    await confirm(ctx, token, {BLOG})
    clock.move(timedelta(days=1))
    await withdraw(ctx, person, (BLOG,), Source.ONE_CLICK)


async def looks(ctx: Context) -> list[Row[tuple[object, ...]]]:
    async with ctx.db.read() as connection:
        return list((await connection.execute(select(audit_log).order_by(audit_log.c.audit_id))).all())


# --- the mail as it was sent ----------------------------------------------------------------------------------------


async def test_the_confirmation_mail_is_kept_byte_by_byte_with_the_relays_reply(
    ctx: Context, clock: Clock, relay: Relay
) -> None:
    person = await ask(ctx, ADDRESS, BLOG, OPENS)
    await deliver(ctx)
    async with ctx.db.read() as connection:
        (row,) = (await connection.execute(select(confirmation_mails))).all()
    assert row.data == relay.taken[0].data
    assert (row.subscriber_id, row.relay_reply, row.sent_at) == (person, "250 2.0.0 taken", clock())
    named = [content for _, act, content in await ledger_of(ctx, person) if act is Act.CONFIRMATION_SENT]
    assert len(named) == 2
    assert {one["mail_hash"] for one in named} == {hashlib.sha256(relay.taken[0].data).hexdigest()}
    assert {one["sign_up"] for one in named} == {row.sign_up_id}


async def test_only_confirmation_mails_that_the_relay_took_are_kept(ctx: Context, clock: Clock, relay: Relay) -> None:
    person = await ask(ctx, ADDRESS, BLOG)
    relay.answers.append(Deferred(450, "450 later"))
    await deliver(ctx)
    async with ctx.db.read() as connection:
        assert (await connection.execute(select(confirmation_mails))).all() == []
    clock.move(timedelta(hours=1))
    await deliver(ctx)
    await confirm(ctx, (await confirm_link(ctx, person)).rpartition("/")[2], {BLOG})
    await deliver(ctx)
    assert len(relay.taken) == 2
    async with ctx.db.read() as connection:
        assert len((await connection.execute(select(confirmation_mails))).all()) == 1


# --- the proof ------------------------------------------------------------------------------------------------------


async def test_the_proof_holds_words_acts_mail_and_chain(ctx: Context, clock: Clock, relay: Relay) -> None:
    await a_whole_story(ctx, clock)
    await write_checkpoint(ctx)
    found = await proof(ctx)
    blog, opens = found.purposes
    assert (blog.purpose, blog.state) == (BLOG, State.WITHDRAWN)
    assert (opens.purpose, opens.state) == (OPENS, State.WITHDRAWN)
    assert blog.text is not None
    assert blog.text.shown is not None
    assert blog.text.shown.text == ctx.catalogue.current(BLOG, "de").text
    assert blog.text.matches
    (mail,) = found.mails
    assert mail.in_ledger
    assert mail.sent.data == relay.taken[0].data
    assert dict(mail.headers)["To"] == ADDRESS
    assert all(one.intact for one in found.statements)
    assert found.chain.covered is not None
    assert found.chain.covered.seq == found.chain.entries == len(found.statements)


async def test_whoever_reads_the_proof_can_not_press_the_persons_button(ctx: Context) -> None:
    person = await ask(ctx, ADDRESS, BLOG)
    await deliver(ctx)
    token = (await confirm_link(ctx, person)).rpartition("/")[2]
    (mail,) = (await proof(ctx)).mails
    assert token in mail.sent.data.decode().replace("=\r\n", "")
    assert token not in mail.text
    assert f"/c/{token[:8]}…" in mail.text


async def test_the_bytes_of_a_mail_are_handed_out_when_its_link_has_expired(ctx: Context, clock: Clock) -> None:
    """Of a confirmed sign-up too: its link leads to the person's preferences."""
    await a_whole_story(ctx, clock)
    withheld = await mail_in_record(ctx)
    assert (withheld["source_base64"], withheld["source_withheld"]) == (None, "until its confirmation link has expired")
    clock.move(ctx.policy.confirm_within)
    handed_out = await mail_in_record(ctx)
    assert handed_out["source_withheld"] is None
    source = base64.b64decode(handed_out["source_base64"])
    assert hashlib.sha256(source).hexdigest() == handed_out["sha256"] == withheld["sha256"]


async def mail_in_record(ctx: Context) -> dict[str, Any]:
    (mail,) = json.loads(json.dumps(as_record(await proof(ctx))))["confirmation_mails"]
    return dict(mail)


async def test_a_mail_that_was_altered_afterwards_is_said_not_to_be_the_one_in_the_ledger(ctx: Context) -> None:
    await ask(ctx, ADDRESS, BLOG)
    await deliver(ctx)
    async with ctx.db.write() as connection:
        row = (await connection.execute(select(confirmation_mails.c.data))).one()
        await connection.execute(update(confirmation_mails).values(data=row.data.replace(b"250", b"251") + b"\r\n"))
    found = await proof(ctx)
    assert not found.mails[0].in_ledger
    assert "The ledger names exactly this mail: NO" in " ".join(as_text(document(ctx, found, "en")).split())


async def test_a_text_that_was_altered_afterwards_is_said_not_to_be_the_one_agreed_to(ctx: Context) -> None:
    await ask(ctx, ADDRESS, BLOG)
    async with ctx.db.write() as connection:
        await connection.execute(update(published_texts).values(text="Yes to everything."))
    said = " ".join(as_text(document(ctx, await proof(ctx), "en")).split())
    assert "The words below have this hash: NO" in said


# --- in plain words ---------------------------------------------------------------------------------------------------


async def test_the_document_tells_the_whole_story_in_plain_words(ctx: Context, clock: Clock, relay: Relay) -> None:
    await a_whole_story(ctx, clock)
    said = " ".join(as_text(document(ctx, await proof(ctx), "en")).split())
    wording = ctx.catalogue.current(BLOG, "de")
    message_id = f"Message-ID: <{relay.taken[0].data.decode().partition('Message-ID: <')[2].partition('>')[0]}>"
    for text in (
        "Evidence of consent: anna@example.com",
        "Reason: request 17",
        "withdrawn on 3 November 2026, 11:01 CET",
        "The person had confirmed on 2 November 2026, 11:01 CET",
        "By the form at: https://news.example/newsletter/blog",
        "Typed into the form: E-mail address: anna@example.com; First name: Anna",
        "by pressing the button on the page behind the link in the confirmation mail",
        "How it was withdrawn: by the unsubscribe button of a mail program (RFC 8058)",
        f"SHA-256 of the words, from the ledger: {wording.hash}",
        "The words below have this hash: yes",
        f"Privacy notice that was linked: {ctx.catalogue.notice_version}",
        "Reply of the relay: 250 2.0.0 taken",
        "The ledger names exactly this mail: yes",
        message_id,
        "1. A form was sent with this choice ticked",
        "The mail relay accepted the confirmation mail",
        "Entry and content match their hashes: yes",
        "IP addresses are neither stored nor needed",
        "Signed up to entry: not signed yet",
    ):
        assert text in said
    assert " ".join(wording.summary.split()) in said.replace("| ", "")


async def test_the_document_comes_in_german_too(ctx: Context, clock: Clock) -> None:
    await a_whole_story(ctx, clock)
    await write_checkpoint(ctx)
    said = " ".join(as_text(document(ctx, await proof(ctx), "de")).split())
    for text in (
        "Nachweis der Einwilligung: anna@example.com",
        "widerrufen am 3. November 2026, 11:01 Uhr (MEZ)",
        "IP-Adressen werden nicht gespeichert",
        "Signiert bis Eintrag: 8, 3. November 2026",
    ):
        assert text in said


async def test_what_was_only_asked_for_refused_or_confirmed_is_said_so(ctx: Context) -> None:
    person = await ask(ctx, ADDRESS, BLOG, GLASFASER, OPENS)
    said = as_text(document(ctx, await proof(ctx), "en"))
    assert said.count("asked for, not confirmed. There is no consent.") == 3
    await confirm(ctx, (await confirm_link(ctx, person)).rpartition("/")[2], {BLOG})
    said = " ".join(as_text(document(ctx, await proof(ctx), "en")).split())
    assert "consent stands. The person confirmed on 2 November 2026, 11:00 CET" in said
    assert said.count("refused. There is no consent.") == 2
    assert "Refused on: 2 November 2026" in said


async def test_content_that_was_dropped_is_said_to_be_no_longer_kept(ctx: Context) -> None:
    await ask(ctx, ADDRESS, BLOG)
    found = await proof(ctx)
    (blog,) = found.purposes
    (one,) = blog.statements
    bare = replace(blog, text=None, statements=(replace(one, content={}),))
    said = " ".join(as_text(document(ctx, replace(found, purposes=(bare,)), "en")).split())
    assert "Typed into the form: no longer kept" in said
    assert "Content: no longer kept" in said
    empty = " ".join(as_text(document(ctx, replace(found, purposes=()), "en")).split())
    assert "Nobody ever asked this address for consent" in empty


def said_by_code() -> Iterator[str]:
    files = (Path(str(module.__file__)) for module in (evidence_document, evidence_words))
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))):
        match node:
            case ast.Call(func=ast.Attribute(attr="say"), args=[ast.Constant(value=str(text)), *_]):
                yield text
            case ast.AnnAssign(value=ast.Dict(values=values)):
                yield from (one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str))


def test_every_text_of_the_proof_is_there_in_german_and_listed_in_english() -> None:
    listed = {}
    for language in ("de", "en"):
        with (packaged_locales() / language / "evidence.po").open("rb") as file:
            listed[language] = {str(one.id): str(one.string) for one in read_po(file, locale=language) if one.id}
    assert set(listed["de"]) == set(listed["en"]) == set(said_by_code())
    assert [text for text, german in listed["de"].items() if not german] == []


def test_every_state_and_every_act_has_words() -> None:
    assert set(evidence_words.STATES) == set(State)
    assert set(evidence_words.ACTS) == set(Act)


# --- on record ----------------------------------------------------------------------------------------------------------


async def test_every_look_is_on_record_with_its_reason(ctx: Context) -> None:
    person = await ask(ctx, ADDRESS, BLOG)
    await proof(ctx)
    (row,) = await looks(ctx)
    assert (row.who, row.act, row.subject, row.reason) == ("mia@example.com", "evidence", person, "request 17")


async def test_asking_for_an_unknown_address_is_on_record_without_the_address(ctx: Context) -> None:
    assert await gather(ctx, inquiry("nobody@example.com")) is None
    assert await gather(ctx, inquiry("Nobody@EXAMPLE.com")) is None
    assert await gather(ctx, inquiry("somebody@example.com")) is None
    rows = await looks(ctx)
    assert all(str(row.subject).startswith("hash:") for row in rows)
    assert rows[0].subject == rows[1].subject != rows[2].subject
    assert not [row for row in rows if "body" in repr(tuple(row))]
    assert hashlib.sha256(b"nobody@example.com").hexdigest() not in str(rows[0].subject)
