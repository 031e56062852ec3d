"""What fetched a pixel: the verdict on one request, read off its headers by tables (P6).

The tables hold what mail programs, their image proxies and machines are known to call themselves. The first match wins,
so their order in `_judge_agent` is part of the rules: a proxy that borrows a browser's name is asked for first.
Not here: rules that need more than one request (time since acceptance, networks, bursts), and whether an open may be
stored at all, which the storing transaction decides.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pixel_service.domain.messages import PixelId

#: Real user agents stay below 400 characters; what follows the bound is not looked at.
MAX_USER_AGENT = 1000


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


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: Verdict
    #: Which rule matched; at most 40 characters.
    reason: str
    #: One of a fixed set of names, never taken from the request; "" where there is none to tell.
    client_family: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """One request for a pixel, on its way to storage."""

    #: 16 bytes that grow with time; makes a repeated store harmless.
    open_id: bytes
    #: None when the token was forged: stored by the same path, matching nothing.
    pixel_id: PixelId | None
    at: datetime
    judgement: Judgement


_APPLE_MPP = Judgement(Verdict.PREFETCH, "apple_mpp", "Apple Mail")
_EXACT = {
    "Mozilla/5.0": _APPLE_MPP,
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
    ): Judgement(Verdict.PREFETCH, "gmail", "Gmail"),
    "": Judgement(Verdict.UNKNOWN, "no_user_agent"),
}
_BY_HEADER = Judgement(Verdict.PREFETCH, "header")

# Lower-case parts of a user agent.
_MAIL_PROXIES = (
    ("gmail-content-sampling", Judgement(Verdict.SCANNER, "gmail", "Gmail")),
    ("googleimageproxy", Judgement(Verdict.PROXY_OPEN, "gmail", "Gmail")),
    ("yahoomailproxy", Judgement(Verdict.PROXY_OPEN, "yahoo", "Yahoo Mail")),
    ("seznamemailproxy", Judgement(Verdict.PROXY_OPEN, "seznam", "Seznam Email")),
    ("fastmailua", Judgement(Verdict.PROXY_OPEN, "fastmail", "Fastmail")),
    ("hey.com/imageproxy", Judgement(Verdict.PROXY_OPEN, "hey", "HEY")),
)
_SECURITY = Judgement(Verdict.SCANNER, "security_product")
_OFFICE_PROBE = Judgement(Verdict.SCANNER, "office_probe")
_SCANNERS = (
    *(
        (name, _SECURITY)
        for name in (
            "barracuda",
            "proofpoint",
            "mimecast",
            "messagelabs",
            "symantec",
            "sophos",
            "forcepoint",
            "ironport",
            "fireeye",
            "trendmicro",
        )
    ),
    ("ms-office-protocol-discovery", _OFFICE_PROBE),
    ("microsoft office existence discovery", _OFFICE_PROBE),
)
_TOOL = Judgement(Verdict.BOT, "http_tool")
_HEADLESS = Judgement(Verdict.BOT, "headless_browser")
_LINK_PREVIEW = Judgement(Verdict.BOT, "link_preview")
_BOTS = (
    *(
        (name, _TOOL)
        for name in (
            "curl",
            "wget",
            "python-requests",
            "python-urllib",
            "aiohttp",
            "httpx",
            "go-http-client",
            "libwww-perl",
            "node-fetch",
        )
    ),
    ("headless", _HEADLESS),
    ("phantomjs", _HEADLESS),
    ("facebookexternalhit", _LINK_PREVIEW),
    ("whatsapp", _LINK_PREVIEW),
)
#: "Googlebot/2.1", "Slackbot-LinkExpanding", "robots"; not Cubot, which makes telephones, nor "bottom".
_BOT_WORD = re.compile(r"(?<!cu)bots?(?![a-z])")
_BOT_BY_WORD = Judgement(Verdict.BOT, "bot_word")

# Apple Mail without privacy protection and the new Outlook send the same, so neither is named alone, and no system is.
_BARE_WEBKIT = Judgement(Verdict.HUMAN_CLIENT, "bare_webkit", "Apple Mail or Outlook")
_APPLE_MAIL = Judgement(Verdict.HUMAN_CLIENT, "ios_mail", "Apple Mail")
_CLIENTS = (
    ("microsoft outlook", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook")),
    ("ms-office", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook")),
    ("msoffice", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook")),
    ("macoutlook", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook")),
    ("outlook-ios", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook mobile")),
    ("outlook-android", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook mobile")),
    ("thunderbird/", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Thunderbird")),
    ("; wv)", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Android mail app")),
    # Libraries that Android mail programs fetch images with: no bots, and no proof of a person either.
    ("okhttp", Judgement(Verdict.UNKNOWN, "android_library", "Android mail app")),
    ("dalvik", Judgement(Verdict.UNKNOWN, "android_library", "Android mail app")),
)
#: Webmail without a proxy. Before these versions (2023, Safari 2022) a browser is years behind: more often a machine.
_BROWSERS = tuple(
    (re.compile(pattern), oldest, Judgement(Verdict.HUMAN_CLIENT, "browser", family))
    for pattern, oldest, family in (
        (r"edg(?:a|ios)?/(\d{1,4})", 115, "Edge"),
        (r"opr/(\d{1,4})", 101, "Opera"),
        (r"(?:firefox|fxios)/(\d{1,4})", 115, "Firefox"),
        (r"(?:chrome|crios)/(\d{1,4})", 115, "Chrome"),
        (r"version/(\d{1,4})[\d.]* (?:mobile/\w+ )?safari/", 16, "Safari"),
    )
)
_OLD_BROWSER = Judgement(Verdict.UNKNOWN, "old_browser")
_UNRECOGNISED = Judgement(Verdict.UNKNOWN, "unrecognised")

#: Every name a report can show, for bounded labels and translations.
CLIENT_FAMILIES = frozenset(
    judgement.client_family
    for judgement in (
        *_EXACT.values(),
        *(judgement for table in (_MAIL_PROXIES, _CLIENTS) for _, judgement in table),
        *(judgement for _, _, judgement in _BROWSERS),
        _BARE_WEBKIT,
    )
)


def judge(user_agent: str, purpose: str = "") -> Judgement:
    """`purpose` is the value of Sec-Purpose or Purpose; both arguments are taken as the client sent them."""
    if purpose and _names_prefetch(purpose):
        return _BY_HEADER
    agent = user_agent[:MAX_USER_AGENT]
    return _EXACT.get(agent) or _judge_agent(agent.lower())


def _names_prefetch(purpose: str) -> bool:
    """``prefetch``, ``prerender``, or a list like ``prefetch;prerender``."""
    words = purpose[:MAX_USER_AGENT].lower()
    return "prefetch" in words or "prerender" in words


def _judge_agent(agent: str) -> Judgement:
    for rule in _RULES:
        if judgement := rule(agent):
            return judgement
    return _UNRECOGNISED


def _first_part(table: tuple[tuple[str, Judgement], ...]) -> Callable[[str], Judgement | None]:
    def rule(agent: str) -> Judgement | None:
        for part, judgement in table:
            if part in agent:
                return judgement
        return None

    return rule


def _bot_word(agent: str) -> Judgement | None:
    # The plain search first: the expression alone takes 50 us on a long user agent.
    return _BOT_BY_WORD if "bot" in agent and _BOT_WORD.search(agent) else None


def _bare_webkit(agent: str) -> Judgement | None:
    return _BARE_WEBKIT if agent.endswith("(khtml, like gecko)") and "macintosh" in agent else None


def _ios_mail(agent: str) -> Judgement | None:
    if "mobile/15e148" not in agent or not ("iphone" in agent or "ipad" in agent):
        return None
    return None if any(other in agent for other in ("safari/", "crios", "gsa/", "fban")) else _APPLE_MAIL


def _browser(agent: str) -> Judgement | None:
    for pattern, oldest, judgement in _BROWSERS:
        if found := pattern.search(agent):
            return judgement if int(found[1]) >= oldest else _OLD_BROWSER
    return None


#: The order of judgement: first match wins.
_RULES: tuple[Callable[[str], Judgement | None], ...] = (
    _first_part(_MAIL_PROXIES),
    _first_part(_SCANNERS),
    _first_part(_BOTS),
    _bot_word,
    _bare_webkit,
    _ios_mail,
    _first_part(_CLIENTS),
    _browser,
)
