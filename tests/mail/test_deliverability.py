"""Whether mail can arrive, as far as a name server says; in doubt it can. The name server is real and our own."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from dns.resolver import Resolver

from pixel_service.domain.address import parse_address
from pixel_service.mail.deliverability import believe, takes_mail

#: What the name server knows; it never answers for "silent".
MX = {"takes.example.com.": "10 mail.example.com.", "refuses.example.com.": "0 ."}


class NameServer(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text()
        if name.startswith("silent."):
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if name not in MX:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif dns.rdatatype.to_text(question.rdtype) == "MX":
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "MX", MX[name]))
        self._transport.sendto(answer.to_wire(), addr)


@pytest.fixture
async def resolver() -> AsyncIterator[Resolver]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    asking = Resolver(configure=False)
    asking.nameservers, asking.port = ["127.0.0.1"], transport.get_extra_info("sockname")[1]
    asking.timeout = asking.lifetime = 0.5
    yield asking
    transport.close()


@pytest.mark.parametrize(
    "domain, takes",
    [
        ("takes.example.com", True),
        ("refuses.example.com", False),
        ("missing.example.com", False),
        ("silent.example.com", True),
    ],
)
async def test_only_a_clear_no_turns_somebody_away(resolver: Resolver, domain: str, takes: bool) -> None:
    assert await takes_mail(parse_address(f"anna@{domain}"), resolver) is takes


async def test_without_the_setting_everybody_is_believed() -> None:
    assert await believe(parse_address("anna@missing.example.com"))
