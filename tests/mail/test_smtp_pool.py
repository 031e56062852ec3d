"""The pool of connections: bounded, reused, never leaked, and never the cause of a second copy."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from pixel_service.mail.transport import Accepted, Deferred
from tests.mail.smtp_setup import Open, mail_to, relay_to
from tests.smtp_server import SmtpServer, Stage


async def test_mails_one_after_the_other_share_one_connection(server: SmtpServer, connect: Open) -> None:
    transport = connect(relay_to(server))
    for number in range(20):
        assert isinstance(await transport.send(mail_to(f"p{number}@example.org")), Accepted)
    assert server.connections == 1
    assert len(server.mails) == 20


async def test_no_more_connections_than_the_pool_holds(server: SmtpServer, connect: Open) -> None:
    server.behaviour.delay = 0.005
    transport = connect(replace(relay_to(server), pool_size=3))
    outcomes = await asyncio.gather(*(transport.send(mail_to(f"p{number}@example.org")) for number in range(30)))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert len({mail.rcpt_to for mail in server.mails}) == len(server.mails) == 30
    assert (server.connections, server.most_connections) == (3, 3)


async def test_a_connection_is_replaced_after_its_share_of_mails(server: SmtpServer, connect: Open) -> None:
    transport = connect(replace(relay_to(server), pool_size=1, max_messages_per_connection=5))
    for _ in range(12):
        assert isinstance(await transport.send(mail_to()), Accepted)
    assert [mail.connection for mail in server.mails] == [1] * 5 + [2] * 5 + [3] * 2
    assert server.most_connections == 1


async def test_an_idle_connection_is_closed_in_time(server: SmtpServer, connect: Open) -> None:
    transport = connect(replace(relay_to(server), idle=timedelta(milliseconds=30)))
    await asyncio.gather(*(transport.send(mail_to()) for _ in range(3)))
    await server.until_open(0)
    assert isinstance(await transport.send(mail_to()), Accepted)


async def test_a_connection_the_server_closed_is_replaced_without_a_word(server: SmtpServer, connect: Open) -> None:
    transport = connect(relay_to(server))
    assert isinstance(await transport.send(mail_to("first@example.org")), Accepted)
    server.hang_up_all()  # blocks this loop, so the transport can not have seen it yet: the race that matters
    assert isinstance(await transport.send(mail_to("second@example.org")), Accepted)
    assert [mail.rcpt_to for mail in server.mails] == ["first@example.org", "second@example.org"]
    assert server.connections == 2


async def test_a_connection_known_to_be_closed_says_nothing_about_what_the_server_offers(
    server: SmtpServer, connect: Open
) -> None:
    transport = connect(relay_to(server))
    assert isinstance(await transport.send(mail_to()), Accepted)
    await asyncio.to_thread(server.hang_up_all)
    await asyncio.sleep(0.02)  # now the transport has seen it
    assert isinstance(await transport.send(mail_to("jörg@example.org")), Accepted)


async def test_a_server_that_says_it_is_leaving_is_taken_at_its_word(server: SmtpServer, connect: Open) -> None:
    transport = connect(relay_to(server))
    server.behaviour.content_replies["anna@example.org"] = "421 4.3.2 shutting down"
    assert await transport.send(mail_to()) == Deferred(421, "4.3.2 shutting down")
    await server.until_open(0)


async def test_a_server_that_takes_one_mail_per_connection_gets_every_mail_once(
    server: SmtpServer, connect: Open
) -> None:
    server.behaviour.hang_up_after = 1
    transport = connect(replace(relay_to(server), pool_size=1))
    for number in range(5):
        assert isinstance(await transport.send(mail_to(f"p{number}@example.org")), Accepted)
    assert [mail.rcpt_to for mail in server.mails] == [f"p{number}@example.org" for number in range(5)]
    assert server.connections == 5


async def test_a_server_that_only_hangs_up_is_asked_once_more_and_no_oftener(server: SmtpServer, connect: Open) -> None:
    transport = connect(replace(relay_to(server), pool_size=1))
    assert isinstance(await transport.send(mail_to()), Accepted)
    server.behaviour.hang_up_after = 0
    assert await transport.send(mail_to()) == Deferred(421, "4.7.0 localhost closing connection")
    assert server.connections == 2


@pytest.mark.parametrize("stage", ["data", "content"])
async def test_a_mail_whose_content_was_offered_is_never_offered_again(
    server: SmtpServer, connect: Open, stage: Stage
) -> None:
    transport = connect(relay_to(server))
    assert isinstance(await transport.send(mail_to("first@example.org")), Accepted)
    server.behaviour.drop_at = stage
    assert isinstance(await transport.send(mail_to("second@example.org")), Deferred)
    assert server.connections == 1


@pytest.mark.parametrize("stage", ["connect", "mail", "content"])
async def test_a_cancelled_send_leaves_no_connection_and_frees_its_slot(
    server: SmtpServer, connect: Open, stage: Stage
) -> None:
    server.behaviour.mute_at = stage
    transport = connect(replace(relay_to(server), pool_size=1))
    sending = asyncio.create_task(transport.send(mail_to()))
    await server.until_open(1)
    if stage != "connect":
        await server.until_muted()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await server.until_open(0)
    server.behaviour.mute_at = None
    async with asyncio.timeout(3):
        assert isinstance(await transport.send(mail_to()), Accepted)


async def test_closing_lets_mails_under_way_finish_and_refuses_new_ones(server: SmtpServer, connect: Open) -> None:
    server.behaviour.delay = 0.05
    transport = connect(relay_to(server))
    sending = asyncio.create_task(transport.send(mail_to()))
    await server.until_open(1)
    await transport.close()
    assert isinstance(await sending, Accepted)
    await server.until_open(0)
    with pytest.raises(RuntimeError, match="closed"):
        await transport.send(mail_to())
    await transport.close()
