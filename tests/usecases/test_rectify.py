"""Rectification: details at once, a new address once its mailbox has confirmed it, and nobody learns who is on record (R2)."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from sqlalchemy import select

from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import State
from pixel_service.domain.errors import InvalidFields, InvalidInput
from pixel_service.domain.evidence_document import as_text
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.retention import Kept
from pixel_service.domain.rights import RightsRequestKind
from pixel_service.domain.signup import Profile
from pixel_service.domain.tokens import Link
from pixel_service.mail.transport import Deferred, Envelope, Outcome, Withheld
from pixel_service.storage import inbound, sends, subscribers
from pixel_service.storage.engine import Database
from pixel_service.storage.inbound import InboundId, UnclearMail
from pixel_service.storage.schema import address_changes, inbound_unclear, ledger, rights_requests
from pixel_service.usecases.confirm import LinkUnknown as NothingToConfirm, confirm
from pixel_service.usecases.context import Context
from pixel_service.usecases.erase import erase
from pixel_service.usecases.erased_addresses import is_erased
from pixel_service.usecases.evidence import Inquiry, gather
from pixel_service.usecases.evidence_document import document as evidence_document
from pixel_service.usecases.identify import identify
from pixel_service.usecases.ledger import replay
from pixel_service.usecases.links import new_address_url, preferences_url, unsubscribe_url
from pixel_service.usecases.on_behalf import take_request
from pixel_service.usecases.privacy import look
from pixel_service.usecases.privacy_document import document
from pixel_service.usecases.rectify import (
    Changed,
    Found,
    LinkExpired,
    LinkUnknown,
    Taken,
    Waiting,
    ask_new_address,
    confirm_new_address,
    correct,
    correct_some,
    look_up,
)
from pixel_service.usecases.retain_data import count_due, purge_slice
from pixel_service.usecases.rights import RightsReceipt, object_to_marketing, restrict
from pixel_service.usecases.rights_requests import Asked
from pixel_service.usecases.withdraw import Source, withdraw_all
from tests.access import Clock
from tests.builders import (
    BLOG,
    GLASFASER,
    OPENS,
    Relay,
    ask,
    confirm_link,
    context,
    deliver,
    dump,
    join,
    person_of,
    states_of,
)
from tests.own_data import mail_out
from tests.usecases.test_withdraw import mailing

ADA, NEW, THIRD = "ada@example.com", "ada.new@example.com", "ada.third@example.com"
ON_PAGE = Asked(source=Source.PRIVACY_PAGE)
LETTER = Asked(source=Source.OPERATOR, note="letter 17")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def relay() -> Relay:
    return Relay()


@pytest.fixture
def ctx(db: Database, clock: Clock, relay: Relay) -> Context:
    return context(db, clock, relay)


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """The same database from another process."""
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def ada(ctx: Context, relay: Relay) -> SubscriberId:
    person = await join(ctx, ADA, BLOG, OPENS, first_name="Ava", company="Old Ltd")
    await deliver(ctx)
    relay.taken.clear()
    return person


async def profile_of(ctx: Context, person: SubscriberId) -> Profile:
    async with ctx.db.read() as connection:
        found = await subscribers.get(connection, person)
    assert found is not None
    return found.profile


async def address_of(ctx: Context, person: SubscriberId) -> str:
    async with ctx.db.read() as connection:
        found = await subscribers.get(connection, person)
    assert found is not None
    return found.address


async def requests_of(ctx: Context, person: SubscriberId) -> list[tuple[str, str, bool, str]]:
    async with ctx.db.read() as connection:
        rows = await connection.execute(
            select(rights_requests)
            .where(rights_requests.c.subscriber_id == person)
            .order_by(rights_requests.c.request_id)
        )
        return [(row.kind, row.source, row.done_at is not None, row.note) for row in rows]


async def wish(ctx: Context, person: SubscriberId, address: str, asked: Asked = ON_PAGE) -> bool:
    return await ask_new_address(ctx, person, parse_address(address), asked)


async def token_of(ctx: Context, person: SubscriberId) -> str:
    """As in the newest mail to a new address."""
    async with ctx.db.read() as connection:
        row = (
            await connection.execute(
                select(address_changes)
                .where(address_changes.c.subscriber_id == person)
                .order_by(address_changes.c.change_id.desc())
            )
        ).first()
    assert row is not None
    return new_address_url(ctx, row.change_id, row.asked_at + ctx.policy.new_address_within).rpartition("/")[2]


async def change(ctx: Context, person: SubscriberId, address: str) -> Found:
    assert await wish(ctx, person, address)
    return await confirm_new_address(ctx, await token_of(ctx, person))


# --- details ------------------------------------------------------------------------------------------------------------


async def test_a_correction_writes_what_is_right_empties_what_is_empty_and_is_on_record(
    ctx: Context, ada: SubscriberId
) -> None:
    states, entries = await states_of(ctx, ada), (await dump(ctx.db))["ledger"]
    done = await correct(ctx, ada, Profile(first_name="Ada", phone="+49 30 1"), ON_PAGE)
    assert done is not None
    assert done.changed == {"first_name": "Ada", "company": "", "phone": "+49 30 1"}
    assert await profile_of(ctx, ada) == Profile(first_name="Ada", phone="+49 30 1")
    assert await requests_of(ctx, ada) == [("rectification", "privacy_page", True, "")]
    assert await states_of(ctx, ada) == states
    assert (await dump(ctx.db))["ledger"] == entries


async def test_a_correction_that_changes_nothing_writes_nothing(ctx: Context, ada: SubscriberId) -> None:
    before = await dump(ctx.db)
    done = await correct(ctx, ada, await profile_of(ctx, ada), ON_PAGE)
    assert done is not None
    assert done.changed == {}
    assert await dump(ctx.db) == before


async def test_details_that_are_not_named_stay(ctx: Context, ada: SubscriberId) -> None:
    assert await correct_some(ctx, ada, {"last_name": "Lovelace"}, LETTER)
    assert await profile_of(ctx, ada) == Profile(first_name="Ava", last_name="Lovelace", company="Old Ltd")
    assert await requests_of(ctx, ada) == [("rectification", "operator", True, "letter 17")]


@pytest.mark.parametrize(
    "details",
    [
        {"last_name": "A\nBcc: eve@example.com"},
        {"last_name": "A\r\nBcc: eve@example.com"},
        {"company": "x" * 121},
        {"salutation": "dr"},
        {"address": NEW},
        {"last_name": "\u202eevil"},
    ],
)
async def test_no_detail_beyond_its_bounds_is_written(
    ctx: Context, ada: SubscriberId, details: Mapping[str, str]
) -> None:
    before = await dump(ctx.db)
    with pytest.raises((InvalidFields, InvalidInput)):
        await correct_some(ctx, ada, details, LETTER)
    assert await dump(ctx.db) == before
    if details.keys() <= asdict(Profile()).keys():
        # A caller that did not parse it does not get past it either.
        with pytest.raises(InvalidFields):
            await correct(ctx, ada, Profile(**details), LETTER)


async def test_an_answer_to_an_older_form_does_not_bring_the_mistake_back(ctx: Context) -> None:
    bo = await ask(ctx, "bo@example.com", BLOG, first_name="Boo", company="Bo Ltd")
    link = await confirm_link(ctx, bo)
    assert await correct(ctx, bo, Profile(first_name="Bo"), ON_PAGE)
    await confirm(ctx, link.rpartition("/")[2], (BLOG,))
    assert await profile_of(ctx, bo) == Profile(first_name="Bo", company="Bo Ltd")


async def test_whoever_restricted_or_objected_may_correct_too(ctx: Context, ada: SubscriberId, relay: Relay) -> None:
    await restrict(ctx, ada, ON_PAGE)
    await object_to_marketing(ctx, ada, ON_PAGE)
    relay.taken.clear()
    assert await correct(ctx, ada, Profile(first_name="Ada"), ON_PAGE)
    assert isinstance(await change(ctx, ada, NEW), Changed)
    async with ctx.db.read() as connection:
        person = await subscribers.get(connection, ada)
    assert person is not None
    assert (person.address, person.profile.first_name) == (NEW, "Ada")
    assert person.restricted_at is not None
    assert person.objected_at is not None


async def test_nobody_who_is_gone_is_corrected(ctx: Context, ada: SubscriberId) -> None:
    await erase(ctx, ada, ON_PAGE)
    before = await dump(ctx.db)
    assert await correct(ctx, ada, Profile(first_name="Ada"), ON_PAGE) is None
    assert await wish(ctx, ada, NEW) is False
    assert await dump(ctx.db) == before


# --- asking for a new address ----------------------------------------------------------------------------------------------


async def test_the_new_address_gets_one_link_and_no_name_and_the_old_one_is_told(
    ctx: Context, ada: SubscriberId, relay: Relay
) -> None:
    await wish(ctx, ada, "Ada.New@Example.com")
    assert await address_of(ctx, ada) == ADA
    await deliver(ctx)
    mails = {mail.rcpt_to: mail.data for mail in relay.taken}
    assert set(mails) == {"Ada.New@example.com", ADA}
    new, old = (message_from_bytes(mails[to], policy=policy.default) for to in ("Ada.New@example.com", ADA))
    texts = [part.get_content() for part in new.walk() if part.get_content_maintype() == "text"]
    links = {link for text in texts for link in re.findall(r"(?:href=\"|\n)(https?://[^\s\"]+)", text)}
    assert [link.startswith("https://news.example/a/") for link in links] == [True]
    assert "Ava" not in str(new)
    assert ADA not in str(new)
    assert new["List-Unsubscribe"] is None
    assert new["Auto-Submitted"] == "auto-generated"
    assert "/o/" not in str(new) + str(old)
    assert "<img" not in str(new) + str(old)
    assert "Ada.New" not in str(old)
    assert "/a/" not in str(old)


async def test_the_old_address_is_told_even_if_its_mail_is_late(
    ctx: Context, ada: SubscriberId, relay: Relay, clock: Clock
) -> None:
    await wish(ctx, ada, NEW)
    relay.answers = [Deferred(451, "451 greylisted"), Deferred(451, "451 greylisted")]
    await deliver(ctx)
    token = await token_of(ctx, ada)
    assert isinstance(await confirm_new_address(ctx, token), Changed)
    clock.move(timedelta(hours=1))
    await deliver(ctx)
    assert [mail.rcpt_to for mail in relay.taken] == [ADA]


async def test_asking_for_an_address_of_somebody_else_is_told_by_nothing(
    ctx: Context, ada: SubscriberId, relay: Relay
) -> None:
    await join(ctx, "bo@example.com", BLOG)
    await deliver(ctx)
    relay.taken.clear()
    assert await wish(ctx, ada, "bo@example.com") == await wish(ctx, ada, "stranger@example.com")
    assert [row[1] for row in await requests_of(ctx, ada)] == []


@pytest.mark.parametrize("right", [object_to_marketing, restrict])
async def test_nobody_who_objected_or_restricted_is_mailed_by_somebody_elses_wish(
    ctx: Context,
    ada: SubscriberId,
    relay: Relay,
    right: Callable[[Context, SubscriberId, Asked], Awaitable[RightsReceipt | None]],
) -> None:
    await right(ctx, await join(ctx, "bo@example.com", BLOG), ON_PAGE)
    await deliver(ctx)
    relay.taken.clear()
    assert await wish(ctx, ada, "bo@example.com")
    await deliver(ctx)
    assert [mail.rcpt_to for mail in relay.taken] == [ADA]
    # Their own address in another spelling is their own wish.
    await right(ctx, ada, ON_PAGE)
    assert await wish(ctx, ada, "Ada@example.com")
    await deliver(ctx)
    assert "Ada@example.com" in [mail.rcpt_to for mail in relay.taken]


async def test_three_a_day_are_mailed_for_one_person_and_three_to_one_address(
    ctx: Context, ada: SubscriberId, relay: Relay, clock: Clock
) -> None:
    for number in range(5):
        assert await wish(ctx, ada, f"new{number}@example.com")
    await deliver(ctx)
    # Only the newest link would work: the mails with older ones are not sent.
    assert [mail.rcpt_to for mail in relay.taken if mail.rcpt_to != ADA] == ["new2@example.com"]
    assert len([mail for mail in relay.taken if mail.rcpt_to == ADA]) == 3
    clock.move(timedelta(days=1))
    relay.taken.clear()
    for number in range(5):
        person = await join(ctx, f"friend{number}@example.com", BLOG)
        assert await wish(ctx, person, "victim@example.com")
    await deliver(ctx)
    assert [mail.rcpt_to for mail in relay.taken].count("victim@example.com") == 3


async def test_beyond_the_limit_the_link_of_the_last_mail_still_works(ctx: Context, ada: SubscriberId) -> None:
    for number in range(4):
        await wish(ctx, ada, f"new{number}@example.com")
    assert isinstance(await confirm_new_address(ctx, await token_of(ctx, ada)), Changed)
    assert await address_of(ctx, ada) == "new2@example.com"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ada@",
        "a@b@c.example",
        "ada@example.com\r\nBcc: eve@example.com",
        "a" * 65 + "@example.com",
        "ädä@example.com",
    ],
)
def test_no_address_that_is_none_gets_this_far(typed: str) -> None:
    with pytest.raises(InvalidInput):
        parse_address(typed)


async def test_an_address_with_umlauts_in_its_domain_is_one_with_its_ascii_form(
    ctx: Context, ada: SubscriberId, relay: Relay
) -> None:
    bo = await join(ctx, "bo@xn--strae-oqa.example", BLOG)
    await wish(ctx, ada, "Bo@straße.example")
    assert isinstance(await look_up(ctx, await token_of(ctx, ada)), Taken)
    await erase(ctx, bo, ON_PAGE)
    assert isinstance(await change(ctx, ada, "Bo@straße.example"), Changed)
    assert await person_of(ctx, "bo@xn--strae-oqa.example") == ada


async def test_neither_ones_own_address_nor_one_that_takes_no_mail_is_asked_for(
    ctx: Context, ada: SubscriberId
) -> None:
    async def never(_: object) -> bool:
        return False

    with pytest.raises(InvalidInput, match="takes no mail"):
        await wish(replace(ctx, takes_mail=never), ada, NEW)
    with pytest.raises(InvalidInput, match="on record already"):
        await wish(ctx, ada, ADA)
    assert (await dump(ctx.db))["address_changes"] == []


# --- confirming it ---------------------------------------------------------------------------------------------------------


async def test_a_confirmed_address_is_the_same_person_with_the_same_choices(
    ctx: Context, ada: SubscriberId, relay: Relay
) -> None:
    states, entries = await states_of(ctx, ada), (await dump(ctx.db))["ledger"]
    old_links = preferences_url(ctx, ada), unsubscribe_url(ctx, ada, BLOG)
    assert isinstance(await change(ctx, ada, NEW), Changed)
    assert await person_of(ctx, NEW) == ada
    assert await states_of(ctx, ada) == states
    assert (await dump(ctx.db))["ledger"] == entries
    assert await replay(ctx) == []
    assert (preferences_url(ctx, ada), unsubscribe_url(ctx, ada, BLOG)) == old_links
    assert await requests_of(ctx, ada) == [("new_address", "new_address_page", True, "")]
    await deliver(ctx)
    relay.taken.clear()
    await mail_out(ctx, "December")
    assert [mail.rcpt_to for mail in relay.taken] == [NEW]


async def test_a_mail_that_waited_goes_to_the_new_address(ctx: Context, ada: SubscriberId, relay: Relay) -> None:
    await withdraw_all(ctx, ada, Source.ONE_CLICK)
    assert isinstance(await change(ctx, ada, NEW), Changed)
    await deliver(ctx)
    assert sorted(mail.rcpt_to for mail in relay.taken) == sorted([NEW, ADA])


async def test_reading_the_link_changes_nothing_and_a_second_press_neither(ctx: Context, ada: SubscriberId) -> None:
    await wish(ctx, ada, NEW)
    token = await token_of(ctx, ada)
    before = await dump(ctx.db)
    assert isinstance(await look_up(ctx, token), Waiting)
    assert await dump(ctx.db) == before
    assert isinstance(await confirm_new_address(ctx, token), Changed)
    after = await dump(ctx.db)
    assert isinstance(await confirm_new_address(ctx, token), Changed)
    assert isinstance(await look_up(ctx, token), Changed)
    assert await dump(ctx.db) == after


async def test_an_old_link_does_not_take_the_address_back(ctx: Context, ada: SubscriberId) -> None:
    await wish(ctx, ada, NEW)
    first = await token_of(ctx, ada)
    await wish(ctx, ada, THIRD)
    assert isinstance(await confirm_new_address(ctx, first), LinkExpired)
    assert await address_of(ctx, ada) == ADA
    assert isinstance(await confirm_new_address(ctx, await token_of(ctx, ada)), Changed)
    second = await token_of(ctx, ada)
    assert isinstance(await change(ctx, ada, ADA), Changed)
    assert isinstance(await confirm_new_address(ctx, second), LinkExpired)
    assert await address_of(ctx, ada) == ADA


async def test_the_link_serves_for_two_days(ctx: Context, ada: SubscriberId, clock: Clock) -> None:
    await wish(ctx, ada, NEW)
    token = await token_of(ctx, ada)
    clock.move(timedelta(hours=48) - timedelta(seconds=1))
    assert isinstance(await look_up(ctx, token), Waiting)
    clock.move(timedelta(seconds=1))
    assert isinstance(await confirm_new_address(ctx, token), LinkExpired)
    assert await address_of(ctx, ada) == ADA


async def test_no_other_link_confirms_and_this_one_opens_nothing_else(ctx: Context, ada: SubscriberId) -> None:
    await wish(ctx, ada, NEW)
    token = await token_of(ctx, ada)
    change_id = ctx.tokens.read(Link.NEW_ADDRESS, token, now=ctx.clock())
    assert change_id is not None
    foreign = [ctx.tokens.mint(link, change_id.subject) for link in Link if link is not Link.NEW_ADDRESS]
    unheard_of = ctx.tokens.mint(Link.NEW_ADDRESS, ctx.ids())
    for one in (*foreign, unheard_of, "", "x", token[:-1], token + "a", "ä"):
        assert isinstance(await confirm_new_address(ctx, one), LinkUnknown), one
    assert all(ctx.tokens.read(link, token, now=ctx.clock()) is None for link in Link if link is not Link.NEW_ADDRESS)
    assert await address_of(ctx, ada) == ADA


async def test_an_erased_person_has_no_link(ctx: Context, ada: SubscriberId, relay: Relay) -> None:
    await wish(ctx, ada, NEW)
    token = await token_of(ctx, ada)
    await erase(ctx, ada, ON_PAGE)
    assert isinstance(await confirm_new_address(ctx, token), LinkUnknown)
    assert (await dump(ctx.db))["address_changes"] == []
    await deliver(ctx)
    assert relay.taken == []


async def test_an_address_with_a_record_of_its_own_is_refused_and_can_be_asked_for_anew_once_that_is_erased(
    ctx: Context, ada: SubscriberId
) -> None:
    await wish(ctx, ada, NEW)
    token = await token_of(ctx, ada)
    bo = await ask(ctx, NEW.upper(), BLOG)
    before = await dump(ctx.db)
    assert isinstance(await look_up(ctx, token), Taken)
    assert isinstance(await confirm_new_address(ctx, token), Taken)
    assert await dump(ctx.db) == before
    await erase(ctx, bo, ON_PAGE)
    assert isinstance(await confirm_new_address(ctx, token), LinkUnknown)
    assert isinstance(await change(ctx, ada, NEW), Changed)
    assert await person_of(ctx, NEW) == ada


async def test_another_spelling_of_ones_own_address_is_a_change_too(ctx: Context, ada: SubscriberId) -> None:
    assert isinstance(await change(ctx, ada, "Ada@example.com"), Changed)
    assert await address_of(ctx, ada) == "Ada@example.com"
    async with ctx.db.read() as connection:
        assert not await is_erased(ctx, connection, parse_address(ADA))


async def test_imports_bring_back_neither_address_but_the_one_that_was_confirmed(
    ctx: Context, ada: SubscriberId
) -> None:
    """An old list would bring the person back without their objection."""
    await erase(ctx, await join(ctx, NEW, BLOG), ON_PAGE)
    await object_to_marketing(ctx, ada, ON_PAGE)

    async def kept_out(address: str) -> bool:
        async with ctx.db.read() as connection:
            return await is_erased(ctx, connection, parse_address(address))

    assert await kept_out(NEW)
    assert isinstance(await change(ctx, ada, NEW), Changed)
    assert (await kept_out(ADA), await kept_out(NEW)) == (True, False)
    assert isinstance(await change(ctx, ada, ADA), Changed)
    assert (await kept_out(ADA), await kept_out(NEW)) == (False, True)
    assert (await states_of(ctx, ada))[BLOG] is State.OBJECTED


async def test_letters_from_the_old_address_stay_the_persons(ctx: Context, ada: SubscriberId) -> None:
    async with ctx.db.write() as connection:
        letter = UnclearMail(
            inbound_id=InboundId(ctx.ids()),
            received_at=ctx.clock(),
            subscriber_id=None,
            sender=ADA,
            subject="A question",
            excerpt="",
            message_id_header="",
        )
        await inbound.keep(connection, letter)
    await change(ctx, ada, NEW)
    await erase(ctx, ada, ON_PAGE)
    async with ctx.db.read() as connection:
        assert (await connection.execute(select(inbound_unclear))).all() == []


async def test_a_link_in_the_old_mailbox_agrees_to_nothing_for_the_new_one(
    ctx: Context, ada: SubscriberId, relay: Relay
) -> None:
    await ask(ctx, ADA, GLASFASER, first_name="Mallory")
    await deliver(ctx)
    link = await confirm_link(ctx, ada)
    before = await states_of(ctx, ada)
    await change(ctx, ada, NEW)
    assert isinstance(await confirm(ctx, link.rpartition("/")[2], (GLASFASER,)), NothingToConfirm)
    assert await states_of(ctx, ada) == before
    assert (await profile_of(ctx, ada)).first_name == "Ava"


async def test_a_question_that_waits_for_the_old_mailbox_is_mailed_to_neither(
    ctx: Context, ada: SubscriberId, relay: Relay
) -> None:
    await ask(ctx, ADA, GLASFASER)
    await change(ctx, ada, NEW)
    await deliver(ctx)
    assert [mail.rcpt_to for mail in relay.taken] == [ADA]
    assert b"/c/" not in relay.taken[0].data


async def test_the_proof_is_found_by_the_new_address_and_by_the_old_one_until_somebody_else_has_it(
    ctx: Context, ada: SubscriberId
) -> None:
    await change(ctx, ada, NEW)
    found = await gather(ctx, Inquiry(address=parse_address(NEW), reason="claim 4", by="mia"))
    assert found is not None
    assert found.subscriber_id == ada
    assert [(one.previous_address, one.address) for one in found.moves] == [(ADA, NEW)]
    assert f"from {ADA} to {NEW}" in as_text(evidence_document(ctx, found, "en"))
    by_old = Inquiry(address=parse_address("ADA@example.com"), reason="claim 4", by="mia")
    found = await gather(ctx, by_old)
    assert found is not None
    assert found.subscriber_id == ada
    assert f"from {ADA} to {NEW}" in as_text(evidence_document(ctx, found, "en"))
    assert await identify(ctx, by_old, act="look up") == ada
    heir = await join(ctx, ADA, BLOG)
    found = await gather(ctx, by_old)
    assert found is not None
    assert found.subscriber_id == heir
    assert await identify(ctx, by_old, act="look up") == heir


async def test_an_address_that_was_only_asked_for_leads_to_nobody(ctx: Context, ada: SubscriberId) -> None:
    await change(ctx, ada, NEW)
    await wish(ctx, ada, THIRD)
    assert await gather(ctx, Inquiry(address=parse_address(THIRD), reason="claim 4", by="mia")) is None
    await change(ctx, ada, "ada.fourth@example.com")
    assert await identify(ctx, Inquiry(address=parse_address(NEW), reason="claim 4", by="mia"), act="look up") == ada


async def test_the_sealed_proof_still_says_where_the_address_came_from(ctx: Context, ada: SubscriberId) -> None:
    await change(ctx, ada, NEW)
    await wish(ctx, ada, THIRD)
    await erase(ctx, ada, ON_PAGE)
    found = await gather(ctx, Inquiry(address=parse_address(NEW), reason="claim 4", by="mia"))
    assert found is not None
    assert found.sealed is not None
    assert [(one.previous_address, one.address) for one in found.moves] == [(ADA, NEW)]


async def test_ones_own_page_tells_the_address_that_waits_and_the_one_that_was(ctx: Context, ada: SubscriberId) -> None:
    async def said() -> str:
        held = await look(ctx, ada)
        assert held is not None
        return as_text(document(ctx, held, "en"))

    await wish(ctx, ada, NEW)
    assert f"Address you asked for and did not confirm: {NEW}, since 2 November 2026" in await said()
    await confirm_new_address(ctx, await token_of(ctx, ada))
    assert "did not confirm" not in await said()
    assert f"{ADA} until 2 November 2026" in await said()
    assert "Change of your e-mail address" in await said()


async def test_a_letter_is_open_until_the_new_address_is_confirmed(ctx: Context, ada: SubscriberId) -> None:
    for _ in range(2):
        await wish(ctx, ada, NEW, LETTER)
    kind = RightsRequestKind.NEW_ADDRESS.value
    assert await requests_of(ctx, ada) == [(kind, "operator", False, "letter 17")]
    await confirm_new_address(ctx, await token_of(ctx, ada))
    assert await requests_of(ctx, ada) == [(kind, "operator", True, "letter 17")]


async def test_a_letter_that_came_after_the_wish_stays_open(ctx: Context, ada: SubscriberId, clock: Clock) -> None:
    await wish(ctx, ada, NEW)
    clock.move(timedelta(hours=1))
    letter = Inquiry(address=parse_address(ADA), reason="letter 17", by="mia")
    assert await take_request(ctx, letter, RightsRequestKind.NEW_ADDRESS, clock().date())
    assert isinstance(await confirm_new_address(ctx, await token_of(ctx, ada)), Changed)
    assert sorted(await requests_of(ctx, ada)) == [
        ("new_address", "new_address_page", True, ""),
        ("new_address", "operator", False, "letter 17"),
    ]


# --- together --------------------------------------------------------------------------------------------------------------


async def test_of_two_people_who_want_one_address_the_first_to_confirm_has_it(
    ctx: Context, other: Database, ada: SubscriberId
) -> None:
    bo = await join(ctx, "bo@example.com", BLOG)
    tokens = []
    for person in (ada, bo):
        await wish(ctx, person, NEW)
        tokens.append(await token_of(ctx, person))
    elsewhere = replace(ctx, db=other)
    done = await asyncio.gather(
        *(confirm_new_address(where, token) for where, token in zip((ctx, elsewhere), tokens, strict=True))
    )
    assert sorted(type(one).__name__ for one in done) == ["Changed", "Taken"]


async def test_a_sign_up_of_the_same_address_at_the_same_time_comes_before_or_after(
    ctx: Context, other: Database, ada: SubscriberId
) -> None:
    await wish(ctx, ada, NEW)
    token = await token_of(ctx, ada)
    _, done = await asyncio.gather(ask(replace(ctx, db=other), NEW, BLOG), confirm_new_address(ctx, token))
    owner = await person_of(ctx, NEW)
    assert isinstance(done, Changed if owner == ada else Taken)


async def test_a_service_mail_that_makes_the_address_known_in_this_moment_has_it(
    ctx: Context, other: Database, ada: SubscriberId
) -> None:
    await wish(ctx, ada, NEW)
    token = await token_of(ctx, ada)
    async with other.write() as connection:
        await sends.add_addressees(connection, {SubscriberId(ctx.ids()): parse_address(NEW)}, at=ctx.clock())
        press = asyncio.create_task(confirm_new_address(ctx, token))
        await asyncio.sleep(0.5)
    assert isinstance(await press, Taken)
    assert await address_of(ctx, ada) == ADA
    assert await requests_of(ctx, ada) == []


async def test_of_two_presses_at_once_both_see_the_change_and_one_is_noted(
    ctx: Context, other: Database, ada: SubscriberId
) -> None:
    await wish(ctx, ada, NEW)
    token = await token_of(ctx, ada)
    done = await asyncio.gather(*(confirm_new_address(where, token) for where in (ctx, replace(ctx, db=other))))
    assert [type(one) for one in done] == [Changed, Changed]
    assert len(await requests_of(ctx, ada)) == 1


@dataclass(slots=True)
class Meanwhile(Relay):
    """Something happens between the finished mail and its hand-over."""

    act: Callable[[], Awaitable[object]] | None = None

    async def send(self, envelope: Envelope) -> Outcome:
        act, self.act = self.act, None
        if act is not None:
            await act()
        return await Relay.send(self, envelope) if await envelope.still_wanted() else Withheld()


async def test_a_mail_under_way_to_the_old_address_is_written_anew(ctx: Context, ada: SubscriberId) -> None:
    await wish(ctx, ada, NEW)
    await deliver(ctx)
    token = await token_of(ctx, ada)
    relay = Meanwhile(act=lambda: confirm_new_address(ctx, token))
    await mail_out(replace(ctx, transport=relay), "December")
    assert [mail.rcpt_to for mail in relay.taken] == [NEW]
    assert b"ada.new@example.com" in relay.taken[0].data
    assert b"<ada@example.com>" not in relay.taken[0].data


@pytest.mark.slow
async def test_changes_sends_deliveries_sign_ups_and_erasures_at_once_do_not_deadlock(
    ctx: Context, other: Database
) -> None:
    everywhere = [ctx, replace(ctx, db=other)]
    people = [await join(ctx, f"person{number}@example.com", BLOG, OPENS) for number in range(8)]
    for number, person in enumerate(people):
        await wish(ctx, person, f"new{number % 4}@example.com")
    tokens = [await token_of(ctx, person) for person in people]

    async def sends(here: Context) -> None:
        for _ in range(4):
            await mailing(here)
            await deliver(here)

    done = await asyncio.gather(
        *(confirm_new_address(everywhere[number % 2], token) for number, token in enumerate(tokens)),
        *(correct(everywhere[number % 2], person, Profile(phone="1"), ON_PAGE) for number, person in enumerate(people)),
        *(sends(here) for here in everywhere),
        *(ask(here, f"new{number}@example.com", BLOG) for number, here in enumerate(everywhere)),
        *(erase(here, person, ON_PAGE) for here, person in zip(everywhere, people[6:], strict=True)),
    )
    assert all(isinstance(one, Changed | Taken | LinkUnknown) for one in done[: len(tokens)])
    assert await replay(ctx) == []
    await deliver(ctx)


# --- retention -------------------------------------------------------------------------------------------------------------


async def test_an_address_that_nobody_confirms_goes_a_day_after_its_link(
    ctx: Context, ada: SubscriberId, clock: Clock
) -> None:
    await wish(ctx, ada, NEW)
    clock.move(timedelta(days=3) - timedelta(seconds=1))
    assert (await count_due(ctx))[Kept.ADDRESS_CHANGES] == 0
    clock.move(timedelta(seconds=1))
    assert (await purge_slice(ctx))[Kept.ADDRESS_CHANGES] == 1
    assert (await dump(ctx.db))["address_changes"] == []


async def test_a_confirmed_change_stays_as_long_as_there_is_a_consent_to_prove(
    ctx: Context, ada: SubscriberId, clock: Clock
) -> None:
    await change(ctx, ada, NEW)
    clock.move(timedelta(days=400))
    assert (await count_due(ctx))[Kept.ADDRESS_CHANGES] == 0
    async with ctx.db.write() as connection:
        await connection.execute(ledger.update().values(content=None, salt=None))
    assert (await count_due(ctx))[Kept.ADDRESS_CHANGES] == 1


async def test_what_a_restricted_person_asked_for_does_not_go_by_its_age(
    ctx: Context, ada: SubscriberId, clock: Clock
) -> None:
    await wish(ctx, ada, NEW)
    await restrict(ctx, ada, ON_PAGE)
    clock.move(timedelta(days=30))
    assert (await count_due(ctx))[Kept.ADDRESS_CHANGES] == 0
