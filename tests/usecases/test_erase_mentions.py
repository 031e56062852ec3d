"""What others asked for, wrote or were answered about a person goes with the person too: no column names an erased address."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from pixel_service.domain.accounts import Role, User
from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import SERVICE
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.rights import RightsRequestKind
from pixel_service.domain.sends import RecipientAsked
from pixel_service.mail.transport import Envelope, Outcome, Rejected, Withheld
from pixel_service.storage import subscribers
from pixel_service.storage.engine import Database
from pixel_service.storage.inbound import InboundId, UnclearMail, keep
from pixel_service.storage.schema import inbound_unclear, messages, metadata, rights_requests, sends
from pixel_service.usecases import accounts
from pixel_service.usecases.content import Content
from pixel_service.usecases.context import Context
from pixel_service.usecases.erase import erase
from pixel_service.usecases.inbox import Settle, settle
from pixel_service.usecases.privacy import look
from pixel_service.usecases.rectify import ask_new_address
from pixel_service.usecases.rights_requests import Asked, note_request, open_requests
from pixel_service.usecases.send import SendCommand, progress_of, send
from pixel_service.usecases.withdraw import Source
from tests.builders import BLOG, Relay, context, deliver, join
from tests.usecases.test_withdraw import rows

ADA, BO = "ada@example.com", "bo@example.com"
LETTER = Asked(source=Source.OPERATOR)


@pytest.fixture
def relay() -> Relay:
    return Relay()


@pytest.fixture
async def ctx(db: Database, relay: Relay) -> Context:
    """Ada and Bo read one newsletter."""
    ctx = context(db, relay=relay)
    for one in (ADA, BO):
        await join(ctx, one, BLOG)
    await deliver(ctx)
    relay.taken.clear()
    return ctx


async def erased(ctx: Context, address: str) -> None:
    assert await erase(ctx, await number_of(ctx, address), LETTER) is not None


async def number_of(ctx: Context, address: str) -> SubscriberId:
    key = parse_address(address).key
    async with ctx.db.read() as connection:
        return (await subscribers.find(connection, [key]))[key].subscriber_id


async def named_in(ctx: Context, address: str) -> set[str]:
    """Every column of every table is looked at."""
    found = set()
    for table in metadata.sorted_tables:
        for row in await rows(ctx.db, table):
            found |= {f"{table.name}.{name}" for name, value in row._mapping.items() if address in repr(value).lower()}
    return found


async def wishes(ctx: Context, address: str, wanted: str) -> None:
    assert await ask_new_address(ctx, await number_of(ctx, address), parse_address(wanted), LETTER)


# --- what pipelines sent ---------------------------------------------------------------------------------------------------


def bill(name: str, *addresses: str) -> SendCommand:
    html = f"<p>Rechnung an {addresses[0]}</p>"
    return SendCommand(
        campaign="bills",
        purpose=SERVICE,
        content=Content(subject=f"Für {addresses[0]}", template=None, html=html, text=None, variables={}),
        recipients=tuple(RecipientAsked(address=one, variables={}) for one in addresses),
        api_key_id="a",
        idempotency_key=name,
        body_hash="",
    )


async def test_what_was_sent_to_nobody_else_is_forgotten_and_a_repeat_is_answered_as_before(ctx: Context) -> None:
    answer = await send(ctx, bill("1", BO))
    await deliver(ctx)
    assert await named_in(ctx, BO) >= {"sends.content"}
    await erased(ctx, BO)
    assert await named_in(ctx, BO) == set()
    assert await send(ctx, bill("1", BO)) == answer
    assert answer.send_id is not None
    assert (await progress_of(ctx, answer.send_id))[0].tracked + (await progress_of(ctx, answer.send_id))[
        0
    ].untracked == 1


async def test_what_still_goes_to_somebody_stays_until_they_are_erased_too(ctx: Context, relay: Relay) -> None:
    await send(ctx, bill("1", ADA, BO))
    await erased(ctx, BO)
    await deliver(ctx)
    assert [mail.rcpt_to for mail in relay.taken] == [ADA]
    assert await named_in(ctx, ADA) >= {"sends.content"}
    await erased(ctx, ADA)
    assert await named_in(ctx, ADA) == set()


async def test_an_audience_that_is_still_walked_keeps_what_it_says(ctx: Context) -> None:
    command = replace(bill("1", BO), purpose=BLOG, recipients=None)
    await send(ctx, command)
    await erased(ctx, ADA)
    (row,) = await rows(ctx.db, sends)
    assert row.content == command.content.to_json()


async def test_what_nobody_was_sent_is_forgotten_too(ctx: Context) -> None:
    """Its only recipient was refused, so no mail leads to it."""
    stranger = RecipientAsked(address="stranger@example.com", variables={})
    await send(ctx, replace(bill("1", BO), purpose=BLOG, recipients=(stranger,)))
    assert await named_in(ctx, BO) >= {"sends.content"}
    await erased(ctx, BO)
    assert await named_in(ctx, BO) == set()


# --- changes of address ----------------------------------------------------------------------------------------------------


async def test_who_asked_for_the_address_gets_it_no_more_and_nothing_is_mailed_there(
    ctx: Context, relay: Relay
) -> None:
    await wishes(ctx, ADA, BO)
    await erased(ctx, BO)
    assert await named_in(ctx, BO) == set()
    await deliver(ctx)
    assert [mail for mail in relay.taken if BO in repr(mail).lower()] == []


async def test_an_answer_of_a_relay_that_names_the_address_is_forgotten(ctx: Context, relay: Relay) -> None:
    await wishes(ctx, ADA, BO)
    relay.answers += [Rejected(550, "550 5.1.1 <Bo@Example.com>: no such user")] * 2
    await deliver(ctx)
    assert await named_in(ctx, BO) >= {"messages.last_reply"}
    await erased(ctx, BO)
    assert await named_in(ctx, BO) == set()
    assert [row.status for row in await rows(ctx.db, messages) if row.template == "new_address"] == ["failed"]


@dataclass(slots=True)
class Meddling(Relay):
    """Somebody is erased while the relay greets us, or while it has the mail."""

    act: Callable[[], Awaitable[None]] | None = None
    early: bool = False

    async def send(self, envelope: Envelope) -> Outcome:
        if envelope.rcpt_to != BO or self.act is None:
            return await Relay.send(self, envelope)
        if self.early:
            await self.act()
        if not await envelope.still_wanted():
            return Withheld()
        await self.act()
        return Rejected(550, f"550 5.1.1 <{BO}>: no such user")


@pytest.mark.parametrize("early", [True, False])
async def test_a_mail_in_hand_over_to_the_address_is_not_sent_or_its_answer_is_recorded_nowhere(
    ctx: Context, early: bool
) -> None:
    gone: list[str] = []

    async def go() -> None:
        gone.append(BO)
        await erased(ctx, BO)

    await wishes(ctx, ADA, BO)
    relay = Meddling(act=go, early=early)
    await deliver(replace(ctx, transport=relay))
    assert gone == [BO]
    assert await named_in(ctx, BO) == set()


# --- letters ---------------------------------------------------------------------------------------------------------------


async def wrote(ctx: Context, text: str, subject: str = "Frage", *, sender: str = "cy@example.org") -> InboundId:
    inbound_id = InboundId(ctx.ids())
    mail = UnclearMail(
        inbound_id=inbound_id,
        received_at=ctx.clock(),
        subscriber_id=None,
        sender=sender,
        subject=subject,
        excerpt=text,
        message_id_header="",
    )
    async with ctx.db.write() as connection:
        await keep(connection, mail)
    return inbound_id


async def officer(ctx: Context) -> User:
    new = accounts.NewUser(email="mia@nordlicht.example", role=Role.PRIVACY_OFFICER, password="correct horse battery")
    return await accounts.create_user(ctx, new)


async def letters(ctx: Context) -> list[tuple[str, str, str]]:
    found = sorted(await rows(ctx.db, inbound_unclear), key=lambda one: str(one.inbound_id))
    return [(row.state, row.subject, row.excerpt) for row in found]


async def test_an_open_letter_of_somebody_else_loses_the_address_and_a_settled_one_its_text(ctx: Context) -> None:
    await wrote(ctx, f"Bitte auch <BO@Example.com> und turbo@example.com, x.{BO}", f"Wegen {BO}.")
    done = await wrote(ctx, f"Mein Mann Bo ({BO})", "Hallo")
    await wrote(ctx, f"x-{BO} und tur{BO}")
    await settle(ctx, await officer(ctx), done, Settle.DONE, "")
    await erased(ctx, BO)
    assert await letters(ctx) == [
        ("open", "Wegen […].", f"Bitte auch <[…]> und turbo@example.com, x.{BO}"),
        ("done", "", ""),
        ("open", "Frage", f"x-{BO} und tur{BO}"),
    ]


async def test_an_address_beyond_ascii_is_struck_out_in_either_spelling(ctx: Context) -> None:
    await join(ctx, "info@bücher.example", BLOG)
    for spelling in ("Info@bücher.example", "info@xn--bcher-kva.example"):
        await wrote(ctx, spelling)
    await erased(ctx, "info@bücher.example")
    assert await letters(ctx) == [("open", "Frage", "[…]")] * 2


async def test_a_letter_is_of_the_person_it_was_decided_on(ctx: Context) -> None:
    """They see it among their data, and it goes with them, whoever wrote it."""
    about_bo = await wrote(ctx, "Mein Mann will keine Mails mehr", "Bitte")
    await settle(ctx, await officer(ctx), about_bo, Settle.WITHDRAW_ALL, BO)
    seen = await look(ctx, await number_of(ctx, BO))
    assert seen is not None
    assert [one.subject for one in seen.letters] == ["Bitte"]
    await erased(ctx, BO)
    assert await letters(ctx) == []


# --- open requests ---------------------------------------------------------------------------------------------------------


async def test_no_request_of_an_erased_person_is_left_open(ctx: Context) -> None:
    bo, ada = await number_of(ctx, BO), await number_of(ctx, ADA)
    async with ctx.db.write() as connection:
        for person, kind in (
            (bo, RightsRequestKind.ACCESS),
            (bo, RightsRequestKind.ERASURE),
            (ada, RightsRequestKind.ACCESS),
        ):
            await note_request(ctx, connection, person, kind, LETTER, done=False)
    await erased(ctx, BO)
    assert [(one.request.subscriber_id, one.address) for one in await open_requests(ctx)] == [(ada, ADA)]
    assert {row.done_at for row in await rows(ctx.db, rights_requests) if row.subscriber_id == bo} == {ctx.clock()}
