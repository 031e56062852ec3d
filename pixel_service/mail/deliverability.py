"""Whether the domain of an address takes mail at all: a DNS look-up, optional, and kind in doubt (S4)."""

import asyncio

from dns.resolver import Resolver
from email_validator import EmailUndeliverableError, caching_resolver, validate_email

from pixel_service.domain.address import Address

_TIMEOUT_SECONDS = 3


async def takes_mail(address: Address, resolver: Resolver | None = None) -> bool:
    """False only when DNS says that no mail can arrive there (no MX and no address, or a null MX, RFC 7505).
    A resolver that is slow or broken is no reason to turn somebody away. `resolver`: the system's, unless given."""
    return await asyncio.to_thread(_look_up, address.normalised, resolver)


def _look_up(address: str, resolver: Resolver | None) -> bool:
    try:
        asking = resolver or caching_resolver(timeout=_TIMEOUT_SECONDS)
        validate_email(address, check_deliverability=True, dns_resolver=asking)
    except EmailUndeliverableError:
        return False
    return True


async def believe(_address: Address) -> bool:
    """For an operator who does not want the look-up."""
    return True
