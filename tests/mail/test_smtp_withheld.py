"""A mail that is no longer wanted when the relay is ready: its content stays here, the connection stays good (D3)."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pixel_service.domain.errors import StorageUnavailable
from pixel_service.mail.transport import Accepted, Envelope, Withheld
from tests.mail.smtp_setup import Open, mail_to, relay_to
from tests.smtp_server import SmtpServer, Stage

CONNECTED: Sequence[Stage] = ["connect"]
ASKED: Sequence[Stage] = ["mail", "rcpt"]
TAKEN: Sequence[Stage] = ["mail", "rcpt", "data", "content"]


def unwanted(rcpt_to: str = "anna@example.org") -> Envelope:
    async def never() -> bool:
        return False

    return replace(mail_to(rcpt_to), still_wanted=never)


async def test_a_mail_is_asked_about_when_the_relay_has_taken_its_recipient_and_no_content(
    server: SmtpServer, connect: Open
) -> None:
    seen: list[Stage] = []

    async def look() -> bool:
        seen.extend(server.stages)
        return True

    assert isinstance(await connect(relay_to(server)).send(replace(mail_to(), still_wanted=look)), Accepted)
    assert seen == [*CONNECTED, *ASKED]
    assert server.stages == [*CONNECTED, *TAKEN]


async def test_a_mail_that_is_no_longer_wanted_is_withheld_and_its_content_never_offered(
    server: SmtpServer, connect: Open
) -> None:
    assert await connect(relay_to(server)).send(unwanted()) == Withheld()
    assert server.stages == [*CONNECTED, *ASKED]
    assert server.mails == []


async def test_after_withheld_mails_the_same_connection_takes_the_next(server: SmtpServer, connect: Open) -> None:
    transport = connect(replace(relay_to(server), pool_size=1))
    for _ in range(2):
        assert await transport.send(unwanted()) == Withheld()
    assert isinstance(await transport.send(mail_to("berta@example.org")), Accepted)
    assert server.stages == [*CONNECTED, *ASKED, *ASKED, *TAKEN]
    assert [(mail.rcpt_to, mail.connection) for mail in server.mails] == [("berta@example.org", 1)]


async def test_a_mail_nobody_can_be_asked_about_is_not_sent_and_costs_the_next_nothing(
    server: SmtpServer, connect: Open
) -> None:
    async def ask_in_vain() -> bool:
        raise StorageUnavailable("no database")

    transport = connect(replace(relay_to(server), pool_size=1))
    with pytest.raises(StorageUnavailable):
        await transport.send(replace(mail_to(), still_wanted=ask_in_vain))
    assert isinstance(await transport.send(mail_to("berta@example.org")), Accepted)
    assert server.stages == [*CONNECTED, *ASKED, *CONNECTED, *TAKEN]
