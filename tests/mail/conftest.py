"""A running SMTP server, and transports that are closed after the test."""

from collections.abc import AsyncIterator

import pytest

from pixel_service.mail.smtp import SmtpRelay, SmtpTransport
from tests.mail.smtp_setup import Open
from tests.smtp_server import SmtpServer


@pytest.fixture
async def server() -> AsyncIterator[SmtpServer]:
    async with SmtpServer() as running:
        yield running


@pytest.fixture
async def connect() -> AsyncIterator[Open]:
    """Makes transports, and closes them before the servers (requested earlier) stop."""
    made: list[SmtpTransport] = []

    def make(relay: SmtpRelay) -> SmtpTransport:
        made.append(SmtpTransport(relay))
        return made[-1]

    yield make
    for transport in made:
        await transport.close()
