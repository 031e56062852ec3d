"""Restriction, its end, objection, and the deletion of one's opens: what stops, what stays, who is never mailed (R4, R6, R9)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from pixel_service.domain.consent import SERVICE, Act, State
from pixel_service.domain.messages import CampaignId, Reason, SubscriberId, Verdict
from pixel_service.domain.retention import Kept
from pixel_service.domain.rights import RightsRequestKind
from pixel_service.domain.sends import RecipientAsked
from pixel_service.domain.signup import Choice
from pixel_service.mail.transport import Accepted, Deferred
from pixel_service.storage import subscribers
from pixel_service.storage.engine import Database
from pixel_service.storage.recording import store
from pixel_service.storage.reports import campaign_report, list_campaigns
from pixel_service.storage.schema import ledger, messages, opens, pixels, rights_requests, scrubs, sign_ups
from pixel_service.usecases.confirm import Confirmed, LinkUnknown, confirm
from pixel_service.usecases.content import Content
from pixel_service.usecases.context import Context
from pixel_service.usecases.ledger import replay
from pixel_service.usecases.preferences import Save, save
from pixel_service.usecases.retain import erase_unconfirmed, remind
from pixel_service.usecases.retain_data import purge_slice
from pixel_service.usecases.rights import Asked, delete_my_opens, lift, object_to_marketing, restrict
from pixel_service.usecases.send import SendAnswer, SendCommand, dry_run, send
from pixel_service.usecases.sign_up import resend_confirmation
from pixel_service.usecases.withdraw import Source, withdraw, withdraw_all
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
    join,
    last_sign_up,
    ledger_of,
    queued,
    states_of,
)
from tests.journeys.machine import NETZ, two_newsletters
from tests.tracked_mail import LONG_AGO
from tests.usecases.test_withdraw import mailing, measured, open_everything, rows, seen

ANNA = "anna@example.com"
BY_PAGE = Asked(source=Source.PRIVACY_PAGE)
NOBODY = SubscriberId("z" * 26)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def relay() -> Relay:
    return Relay()


@pytest.fixture
def ctx(db: Database, clock: Clock, relay: Relay) -> Context:
    return replace(context(db, clock, relay), catalogue=two_newsletters())


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """The same database from another process."""
    database = Database(database_url)
    yield database
    await database.close()


async def person(ctx: Context, subscriber_id: SubscriberId) -> subscribers.Subscriber:
    async with ctx.db.read() as connection:
        found = await subscribers.get(connection, subscriber_id)
    assert found is not None
    return found


async def tracking(ctx: Context, subscriber_id: SubscriberId) -> set[str]:
    """Of the marketing mails."""
    async with ctx.db.read() as connection:
        query = select(messages.c.tracking).where(
            messages.c.subscriber_id == subscriber_id, messages.c.campaign_id.is_not(None)
        )
        return set((await connection.execute(query)).scalars())


async def figures(ctx: Context, campaign: CampaignId) -> tuple[int, int, int, int, int, int]:
    """Sent, with a pixel that counts, without, withdrawn, restricted, opened; the list of campaigns says the same."""
    async with ctx.db.read() as connection:
        report = await campaign_report(connection, campaign, whole_since=LONG_AGO)
        (listed,) = [
            one for one in await list_campaigns(connection, whole_since=LONG_AGO) if one.campaign_id == campaign
        ]
    assert report is not None
    assert (listed.sent, listed.tracked, listed.unique_opens) == (report.sent, report.tracked, report.unique_opens)
    assert report.total_opens == sum(point.opens for point in report.timeline) == sum(c.total for c in report.clients)
    return (
        *(report.sent, report.tracked, report.untracked),
        *(report.withdrawn_since, report.restricted, report.unique_opens),
    )


async def only_campaign(ctx: Context) -> CampaignId:
    async with ctx.db.read() as connection:
        (one,) = await list_campaigns(connection, whole_since=LONG_AGO)
    return one.campaign_id


async def service_mail(ctx: Context, *addresses: str, key: str = "service") -> SendAnswer:
    return await send(ctx, _service_mail(*addresses, key=key))


def _service_mail(*addresses: str, key: str) -> SendCommand:
    return SendCommand(
        campaign="Invoice",
        purpose=SERVICE,
        content=Content(subject="Rechnung", template=None, html="<p>Rechnung</p>", text=None, variables={}),
        recipients=tuple(RecipientAsked(address=address, variables={}) for address in addresses),
        api_key_id="a",
        idempotency_key=key,
        body_hash="",
    )


async def stops(ctx: Context, right: str, subscriber_id: SubscriberId) -> None:
    await {"restrict": restrict, "object": object_to_marketing}[right](ctx, subscriber_id, BY_PAGE)


both = pytest.mark.parametrize("right", ["restrict", "object"])

# --- restriction --------------------------------------------------------------------------------------------------------


async def test_a_restriction_keeps_everything_and_uses_nothing(ctx: Context) -> None:
    anna = await measured(ctx)
    campaign = await only_campaign(ctx)
    assert await figures(ctx, campaign) == (1, 1, 0, 0, 0, 1)
    receipt = await restrict(ctx, anna, BY_PAGE)
    assert receipt is not None
    assert (receipt.purposes, receipt.kind) == ((BLOG, OPENS), RightsRequestKind.RESTRICTION)
    assert await states_of(ctx, anna) == {BLOG: State.RESTRICTED, OPENS: State.RESTRICTED}
    assert (await person(ctx, anna)).restricted_at == ctx.clock()
    assert (len(await rows(ctx.db, opens)), len(await rows(ctx.db, pixels))) == (1, 1)
    assert await figures(ctx, campaign) == (1, 0, 0, 0, 1, 0)
    assert await replay(ctx) == []


async def test_a_restriction_leaves_the_others_in_the_report(ctx: Context) -> None:
    await join(ctx, "bo@example.com", BLOG, OPENS)
    anna = await measured(ctx)
    await restrict(ctx, anna, BY_PAGE)
    assert await figures(ctx, await only_campaign(ctx)) == (2, 1, 0, 0, 1, 1)


async def test_the_pixel_of_a_restricted_person_records_nothing(ctx: Context) -> None:
    anna = await measured(ctx)
    await restrict(ctx, anna, BY_PAGE)
    assert await open_everything(ctx, ctx.db) == 0
    await lift(ctx, anna, BY_PAGE)
    assert await open_everything(ctx, ctx.db) == 1


async def test_lifting_gives_back_what_stood_and_its_opens(ctx: Context, clock: Clock) -> None:
    anna = await measured(ctx)
    campaign = await only_campaign(ctx)
    await restrict(ctx, anna, BY_PAGE)
    clock.move(timedelta(days=3))
    receipt = await lift(ctx, anna, BY_PAGE)
    assert receipt is not None
    assert receipt.purposes == (BLOG, OPENS)
    assert await states_of(ctx, anna) == {BLOG: State.GIVEN, OPENS: State.GIVEN}
    assert (await person(ctx, anna)).restricted_at is None
    assert await figures(ctx, campaign) == (1, 1, 0, 0, 0, 1)
    told = [(purpose, act, said["source"]) for purpose, act, said in (await ledger_of(ctx, anna))[-4:]]
    assert told == [
        (BLOG, Act.RESTRICTED, "privacy_page"),
        (OPENS, Act.RESTRICTED, "privacy_page"),
        (BLOG, Act.LIFTED, "privacy_page"),
        (OPENS, Act.LIFTED, "privacy_page"),
    ]
    assert await replay(ctx) == []


async def test_what_was_withdrawn_during_a_restriction_does_not_come_back(ctx: Context) -> None:
    anna = await measured(ctx)
    campaign = await only_campaign(ctx)
    await restrict(ctx, anna, BY_PAGE)
    receipt = await withdraw(ctx, anna, {OPENS}, Source.STOP_TRACKING_PAGE)
    assert receipt is not None
    assert (receipt.opens, receipt.pixels) == (1, 1)
    assert await figures(ctx, campaign) == (1, 0, 0, 1, 0, 0)
    await lift(ctx, anna, BY_PAGE)
    assert await states_of(ctx, anna) == {BLOG: State.GIVEN, OPENS: State.WITHDRAWN}
    assert await tracking(ctx, anna) == {"withdrawn"}
    assert await rows(ctx.db, opens) == []


async def test_measuring_does_not_end_with_one_of_two_restricted_newsletters(ctx: Context) -> None:
    anna = await measured(ctx, ANNA, BLOG, NETZ, OPENS)
    await restrict(ctx, anna, BY_PAGE)
    await withdraw(ctx, anna, {NETZ}, Source.UNSUBSCRIBE_PAGE)
    assert len(await rows(ctx.db, opens)) == 2
    await lift(ctx, anna, BY_PAGE)
    assert await states_of(ctx, anna) == {BLOG: State.GIVEN, NETZ: State.WITHDRAWN, OPENS: State.GIVEN}
    await withdraw(ctx, anna, {BLOG}, Source.UNSUBSCRIBE_PAGE)
    assert await rows(ctx.db, opens) == []


async def test_opens_whose_consent_does_not_stand_again_stay_out_of_the_figures(ctx: Context) -> None:
    anna = await measured(ctx)
    await withdraw(ctx, anna, {OPENS}, Source.STOP_TRACKING_PAGE)
    async with ctx.db.write() as connection:
        await connection.execute(messages.update().values(tracking="restricted"))
    await restrict(ctx, anna, BY_PAGE)
    await lift(ctx, anna, BY_PAGE)
    assert "tracked" not in await tracking(ctx, anna)


async def test_restricting_twice_and_lifting_twice_act_once(ctx: Context, clock: Clock) -> None:
    anna = await measured(ctx)
    await restrict(ctx, anna, BY_PAGE)
    since = ctx.clock()
    clock.move(timedelta(hours=1))
    again = await restrict(ctx, anna, BY_PAGE)
    assert again is not None
    assert (again.purposes, (await person(ctx, anna)).restricted_at) == ((), since)
    await lift(ctx, anna, BY_PAGE)
    entries = len(await rows(ctx.db, ledger))
    twice = await lift(ctx, anna, BY_PAGE)
    assert twice is not None
    assert (twice.purposes, len(await rows(ctx.db, ledger))) == ((), entries)


async def test_nobody_on_record_has_no_rights_to_use(ctx: Context) -> None:
    for right in (restrict, lift, object_to_marketing, delete_my_opens):
        assert await right(ctx, NOBODY, BY_PAGE) is None
    assert await rows(ctx.db, rights_requests) == []


async def test_waiting_mails_of_a_restricted_person_are_cancelled_and_say_why(ctx: Context, relay: Relay) -> None:
    anna = await join(ctx, ANNA, BLOG, OPENS)
    await deliver(ctx)
    await mailing(ctx)
    receipt = await restrict(ctx, anna, BY_PAGE)
    assert receipt is not None
    assert receipt.mails == 1
    before = len(relay.taken)
    await deliver(ctx)
    assert len(relay.taken) == before
    (mail,) = [row for row in await rows(ctx.db, messages) if row.purpose == BLOG]
    assert (mail.status, mail.reason) == ("cancelled", Reason.RESTRICTED)
    await mailing(ctx)
    await deliver(ctx)
    assert len(relay.taken) == before


async def test_a_person_who_never_agreed_may_restrict_too(ctx: Context) -> None:
    anna = await ask(ctx, ANNA, BLOG)
    receipt = await restrict(ctx, anna, BY_PAGE)
    assert receipt is not None
    assert receipt.purposes == (BLOG, OPENS)
    assert await states_of(ctx, anna) == {BLOG: State.REQUESTED, OPENS: State.UNKNOWN}
    assert await replay(ctx) == []


# --- nothing is mailed to restricted and objected people ------------------------------------------------------------------


@both
async def test_no_form_asks_them_for_anything_and_everybody_gets_the_same_answer(
    ctx: Context, clock: Clock, right: str
) -> None:
    anna = await join(ctx, ANNA, BLOG)
    await deliver(ctx)
    await stops(ctx, right, anna)
    await deliver(ctx)
    # Later than any limit; for what they had, for what they refused and for what is new.
    clock.move(timedelta(days=400))
    await ask(ctx, ANNA, NETZ, GLASFASER, OPENS)
    await ask(ctx, ANNA, BLOG, OPENS)
    assert await queued(ctx) == []
    assert [act for _, act, _ in await ledger_of(ctx, anna)].count(Act.REQUESTED) == 1
    assert len([row for row in await rows(ctx.db, sign_ups) if row.subscriber_id == anna]) == 3


@both
async def test_a_confirmation_mail_that_waits_does_not_go_out_and_its_link_leads_nowhere(
    ctx: Context, relay: Relay, right: str
) -> None:
    anna = await ask(ctx, ANNA, BLOG, OPENS)
    link = await confirm_link(ctx, anna)
    await stops(ctx, right, anna)
    await deliver(ctx)
    assert relay.taken == []
    assert isinstance(await confirm(ctx, link.rpartition("/")[2], {BLOG, OPENS}), LinkUnknown)
    assert State.GIVEN not in (await states_of(ctx, anna)).values()


@both
async def test_neither_reminders_nor_new_mails_for_old_links_go_to_them(
    ctx: Context, relay: Relay, clock: Clock, right: str
) -> None:
    ctx = replace(ctx, policy=replace(ctx.policy, reminder_after=timedelta(days=3)))
    anna = await ask(ctx, ANNA, BLOG)
    await deliver(ctx)
    sign_up_id = (await last_sign_up(ctx, anna)).sign_up_id
    await stops(ctx, right, anna)
    clock.move(timedelta(days=4))
    while await remind(ctx):
        pass
    await resend_confirmation(ctx, sign_up_id, even_if_it_works=True)
    await deliver(ctx)
    assert len(relay.taken) == 1


async def test_service_mail_is_refused_to_restricted_people_and_goes_to_those_who_objected(
    ctx: Context, relay: Relay
) -> None:
    anna, bo = await join(ctx, ANNA, BLOG), await join(ctx, "bo@example.com", BLOG)
    await deliver(ctx)
    await restrict(ctx, anna, BY_PAGE)
    await object_to_marketing(ctx, bo, BY_PAGE)
    await deliver(ctx)
    before = len(relay.taken)
    tried = await dry_run(ctx, _service_mail(ANNA, "bo@example.com", key="dry"))
    answer = await service_mail(ctx, ANNA, "bo@example.com")
    for told in (tried, answer):
        assert told.rulings is not None
        assert [(one.verdict, one.reason) for one in told.rulings] == [
            (Verdict.REFUSED, Reason.RESTRICTED),
            (Verdict.UNTRACKED, Reason.SERVICE_MAIL),
        ]
    await deliver(ctx)
    assert [envelope.rcpt_to for envelope in relay.taken[before:]] == ["bo@example.com"]


async def test_service_mail_accepted_before_a_restriction_is_not_handed_over(ctx: Context, relay: Relay) -> None:
    anna = await join(ctx, ANNA, BLOG)
    await deliver(ctx)
    await service_mail(ctx, ANNA)
    await restrict(ctx, anna, BY_PAGE)
    before = len(relay.taken)
    await deliver(ctx)
    assert len(relay.taken) == before
    (mail,) = [row for row in await rows(ctx.db, messages) if row.send_id is not None]
    assert (mail.status, mail.reason) == ("cancelled", Reason.RESTRICTED)


async def test_marketing_is_refused_with_the_right_that_was_used(ctx: Context) -> None:
    anna, bo = await join(ctx, ANNA, BLOG), await join(ctx, "bo@example.com", BLOG)
    await restrict(ctx, anna, BY_PAGE)
    await object_to_marketing(ctx, bo, BY_PAGE)
    command = replace(_service_mail(ANNA, "bo@example.com", key="m"), purpose=BLOG, campaign="News")
    answer = await send(ctx, command)
    assert answer.rulings is not None
    assert [one.reason for one in answer.rulings] == [Reason.RESTRICTED, Reason.OBJECTED]
    assert all(one.ledger_seq is not None for one in answer.rulings)


async def test_the_receipt_of_a_right_still_reaches_a_restricted_person(ctx: Context, relay: Relay) -> None:
    """A goodbye that waits, from a withdrawal just before."""
    anna = await join(ctx, ANNA, BLOG)
    await deliver(ctx)
    await withdraw_all(ctx, anna, Source.ONE_CLICK)
    await restrict(ctx, anna, BY_PAGE)
    before = len(relay.taken)
    await deliver(ctx)
    assert len(relay.taken) == before + 1


# --- what is restricted does not go by its age -----------------------------------------------------------------------------


async def purge_everything(ctx: Context) -> dict[Kept, int]:
    gone = dict.fromkeys(Kept, 0)
    while any((went := await purge_slice(ctx)).values()):
        gone = {kind: gone[kind] + number for kind, number in went.items()}
    return gone


async def test_nothing_of_a_restricted_person_goes_by_its_age_until_they_lift_it(ctx: Context, clock: Clock) -> None:
    anna = await measured(ctx)
    await ask(ctx, ANNA, GLASFASER)
    await restrict(ctx, anna, BY_PAGE)
    # Nothing waits: a mail under way would keep the evidence too.
    await deliver(ctx)
    tables = (opens, pixels, messages, ledger, sign_ups)
    before = [await rows(ctx.db, table) for table in tables]
    clock.move(timedelta(days=365 * 8))
    gone = await purge_everything(ctx)
    while await erase_unconfirmed(ctx):
        pass
    assert (gone[Kept.OPENS], gone[Kept.PIXELS], gone[Kept.MESSAGES], gone[Kept.EVIDENCE]) == (0, 0, 0, 0)
    assert gone[Kept.UNUSED_CONSENT] == 0
    assert [await rows(ctx.db, table) for table in tables] == before
    await lift(ctx, anna, BY_PAGE)
    gone = await purge_everything(ctx)
    assert (gone[Kept.OPENS], gone[Kept.PIXELS]) == (1, 1)


# --- objection -------------------------------------------------------------------------------------------------------------


async def test_an_objection_ends_everything_deletes_the_opens_and_says_so_by_mail(ctx: Context, relay: Relay) -> None:
    anna = await measured(ctx)
    campaign = await only_campaign(ctx)
    await mailing(ctx)
    before = len(relay.taken)
    receipt = await object_to_marketing(ctx, anna, BY_PAGE)
    assert receipt is not None
    assert (receipt.purposes, receipt.opens, receipt.pixels, receipt.mails) == ((BLOG, OPENS), 1, 1, 1)
    assert await states_of(ctx, anna) == {BLOG: State.OBJECTED, OPENS: State.OBJECTED}
    assert (await person(ctx, anna)).objected_at == ctx.clock()
    assert (await rows(ctx.db, opens), await rows(ctx.db, pixels)) == ([], [])
    assert await figures(ctx, campaign) == (1, 0, 0, 1, 0, 0)
    assert await queued(ctx) == ["goodbye"]
    await deliver(ctx)
    assert len(relay.taken) == before + 1
    assert await replay(ctx) == []


async def test_who_had_no_newsletter_gets_no_mail_upon_an_objection(ctx: Context) -> None:
    anna = await join(ctx, ANNA, GLASFASER)
    await deliver(ctx)
    await object_to_marketing(ctx, anna, BY_PAGE)
    assert await queued(ctx) == []


async def test_an_objection_of_a_restricted_person_deletes_what_was_kept(ctx: Context) -> None:
    anna = await measured(ctx)
    await restrict(ctx, anna, BY_PAGE)
    await object_to_marketing(ctx, anna, BY_PAGE)
    assert await rows(ctx.db, opens) == []
    await lift(ctx, anna, BY_PAGE)
    assert await states_of(ctx, anna) == {BLOG: State.OBJECTED, OPENS: State.OBJECTED}


async def test_objecting_twice_acts_once(ctx: Context, clock: Clock) -> None:
    anna = await measured(ctx)
    await object_to_marketing(ctx, anna, BY_PAGE)
    since = ctx.clock()
    clock.move(timedelta(days=1))
    entries = len(await rows(ctx.db, ledger))
    again = await object_to_marketing(ctx, anna, BY_PAGE)
    assert again is not None
    assert (again.purposes, len(await rows(ctx.db, ledger))) == ((), entries)
    assert (await person(ctx, anna)).objected_at == since
    assert await queued(ctx) == ["goodbye"]


async def test_only_the_persons_own_page_and_button_take_an_objection_back(ctx: Context) -> None:
    anna = await join(ctx, ANNA, BLOG)
    await deliver(ctx)
    await object_to_marketing(ctx, anna, BY_PAGE)
    await deliver(ctx)
    await _tick(ctx, anna)
    assert await queued(ctx) == ["confirmation"]
    assert (await person(ctx, anna)).objected_at is not None
    link = await confirm_link(ctx, anna)
    assert isinstance(await confirm(ctx, link.rpartition("/")[2], {BLOG}), Confirmed)
    assert (await person(ctx, anna)).objected_at is None
    assert await states_of(ctx, anna) == {BLOG: State.GIVEN, OPENS: State.OBJECTED}
    # What they did not take back is not asked for by any form.
    await deliver(ctx)
    await ask(ctx, ANNA, BLOG, OPENS)
    assert await queued(ctx) == []


async def test_a_restricted_person_is_not_asked_by_mail_even_at_their_own_wish(ctx: Context) -> None:
    anna = await join(ctx, ANNA, GLASFASER)
    await deliver(ctx)
    await restrict(ctx, anna, BY_PAGE)
    saved = await _tick(ctx, anna)
    assert saved == ()
    assert await queued(ctx) == []


async def _tick(ctx: Context, subscriber_id: SubscriberId) -> tuple[str, ...]:
    version = ctx.catalogue.current(BLOG, "de").version
    command = Save(
        subscriber_id=subscriber_id,
        shown=(BLOG,),
        wanted=(Choice(purpose=BLOG, wording_version=version),),
        language="de",
        form_url="https://news.example/p/x",
    )
    saved = await save(ctx, command)
    assert saved is not None
    return saved.asked


# --- only my opens -----------------------------------------------------------------------------------------------------------


async def test_deleting_my_opens_leaves_consent_and_pixels_so_later_opens_count(ctx: Context) -> None:
    anna = await measured(ctx)
    campaign = await only_campaign(ctx)
    entries = len(await rows(ctx.db, ledger))
    receipt = await delete_my_opens(ctx, anna, BY_PAGE)
    assert receipt is not None
    assert (receipt.opens, receipt.pixels, receipt.purposes) == (1, 0, ())
    assert await figures(ctx, campaign) == (1, 1, 0, 0, 0, 0)
    assert await states_of(ctx, anna) == {BLOG: State.GIVEN, OPENS: State.GIVEN}
    assert len(await rows(ctx.db, ledger)) == entries
    assert await open_everything(ctx, ctx.db) == 1
    assert await figures(ctx, campaign) == (1, 1, 0, 0, 0, 1)


async def test_what_happened_before_ones_opens_were_deleted_is_not_stored_afterwards(ctx: Context) -> None:
    """It waits in a recorder's buffer, perhaps of another process."""
    anna = await measured(ctx)
    waiting = [
        seen(ctx, row.pixel_id)._replace(at=ctx.clock() - timedelta(microseconds=1))
        for row in await rows(ctx.db, pixels)
    ]
    assert await delete_my_opens(ctx, anna, BY_PAGE)
    async with ctx.db.write() as connection:
        assert (await store(connection, waiting)).not_consented == len(waiting)
    assert await rows(ctx.db, opens) == []


async def test_the_opens_of_others_stay(ctx: Context) -> None:
    await join(ctx, "bo@example.com", BLOG, OPENS)
    anna = await measured(ctx)
    await delete_my_opens(ctx, anna, BY_PAGE)
    assert await figures(ctx, await only_campaign(ctx)) == (2, 2, 0, 0, 0, 1)


async def test_deleted_opens_leave_the_files_too(ctx: Context) -> None:
    anna = await measured(ctx)
    before = len(await rows(ctx.db, scrubs))
    await delete_my_opens(ctx, anna, BY_PAGE)
    await delete_my_opens(ctx, anna, BY_PAGE)
    assert len(await rows(ctx.db, scrubs)) == before + 1


@pytest.mark.parametrize("right", ["restrict", "object", "delete"])
async def test_a_right_waits_for_a_recorder_that_saw_the_consent(ctx: Context, other: Database, right: str) -> None:
    """What it stores is found by the right, not left behind by it (W8)."""
    anna = await measured(ctx)
    (pixel,) = await rows(ctx.db, pixels)
    acts = {"restrict": restrict, "object": object_to_marketing, "delete": delete_my_opens}
    async with other.write() as connection:
        await store(connection, [seen(ctx, pixel.pixel_id)])
        pressing = asyncio.create_task(acts[right](ctx, anna, BY_PAGE))
        await asyncio.sleep(0.2)
        assert not pressing.done()
    receipt = await pressing
    assert receipt is not None
    assert len(await rows(ctx.db, opens)) == (2 if right == "restrict" else 0)
    assert (await figures(ctx, await only_campaign(ctx)))[5] == 0


# --- a mail under way --------------------------------------------------------------------------------------------------------


@both
async def test_a_mail_that_the_relay_put_off_is_not_tried_again(
    ctx: Context, relay: Relay, clock: Clock, right: str
) -> None:
    anna = await join(ctx, ANNA, BLOG, OPENS)
    await deliver(ctx)
    await mailing(ctx)
    relay.answers = [Deferred(451, "451 later")]
    await deliver(ctx)
    await stops(ctx, right, anna)
    relay.answers = [Accepted("250 ok")] * 3
    clock.move(timedelta(hours=1))
    taken = len(relay.taken)
    await deliver(ctx)
    assert {envelope.rcpt_to for envelope in relay.taken[taken:]} <= {ANNA}
    assert len(relay.taken) - taken == (1 if right == "object" else 0)
    (mail,) = [row for row in await rows(ctx.db, messages) if row.purpose == BLOG]
    assert mail.status == "cancelled"
