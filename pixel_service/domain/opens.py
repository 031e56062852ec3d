"""What fetched a pixel: one request on its way to storage, and the verdict on it (P6).

Not here: the rules that reach a verdict on one request (`user_agents`, `networks`), those that need its mail's time of
acceptance or earlier requests, and whether an open may be stored at all, which the storing transaction decides.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from pixel_service.domain.messages import PixelId


class Verdict(StrEnum):
    HUMAN_CLIENT = "human_client"
    #: An image proxy that fetches when a person opens the mail.
    PROXY_OPEN = "proxy_open"
    #: Fetched ahead of time, whether the mail is opened or not.
    PREFETCH = "prefetch"
    SCANNER = "scanner"
    BOT = "bot"
    PREVIEW = "preview"
    UNKNOWN = "unknown"


#: Counted as opens: the floor of every report.
LIKELY_HUMAN = frozenset({Verdict.HUMAN_CLIENT, Verdict.PROXY_OPEN})
#: Shown apart, never in the floor.
MACHINE = frozenset({Verdict.PREFETCH, Verdict.SCANNER, Verdict.BOT})


class Network(StrEnum):
    """Whose network a request came from, as far as that says anything about people."""

    ELSEWHERE = "elsewhere"
    #: Security machines only: no person reads mail from there.
    SCANNER = "scanner"
    #: Scans mail on its way, but browser isolation also puts people behind it.
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: Verdict
    #: Which rule matched; at most 40 characters.
    reason: str
    #: One of a fixed set of names, never taken from the request; "" where there is none to tell.
    client_family: str = ""


class Fetch(NamedTuple):
    """One request for a pixel, on its way to storage. A tuple, because every request makes one: a frozen dataclass takes three
    times as long."""

    #: 16 bytes that grow with time; makes a repeated store harmless.
    open_id: bytes
    #: None when the token was forged: stored by the same path, matching nothing.
    pixel_id: PixelId | None
    at: datetime
    judgement: Judgement
    network: Network = Network.ELSEWHERE
