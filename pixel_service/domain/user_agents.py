"""The verdict on one request, read off its headers by tables (P6).

The tables hold what mail programs, their image proxies and machines are known to call themselves. The first match wins,
so their order in `_RULES` is part of the rules: a proxy that borrows a browser's name is asked for first.
They are our own, and tests hold them against the maintained lists of crawlers: those were made for web servers, where
calling a person a machine costs nothing (tests/domain/data/disagreements.tsv has where we differ, and why).
"""

import re
from collections.abc import Callable
from functools import lru_cache

from pixel_service.domain.opens import Judgement, Verdict

#: Real user agents stay below 400 characters; what follows the bound is not looked at.
MAX_USER_AGENT = 800
#: User agents remembered with their judgement: at most 2 MB, however many a stranger makes up.
REMEMBERED = 2048

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
_CRAWLER = Judgement(Verdict.BOT, "crawler")
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
            "axios/",
            "httpclient",
            "guzzle",
            "scrapy",
        )
    ),
    *(
        (name, _HEADLESS)
        for name in ("headless", "phantomjs", "selenium", "playwright", "puppeteer", "webdriver", "lighthouse")
    ),
    *(
        (name, _LINK_PREVIEW)
        for name in ("facebookexternalhit", "whatsapp", "uripreview", "bingpreview", "googlemessages")
    ),
    *(
        (word, _CRAWLER)
        for word in ("crawl", "spider", "slurp", "scrap", "google-", "-google", "googleother", "synthetic", "monitor")
    ),
    # Of the maintained lists, what would otherwise pass for a person's browser.
    *(
        (name, _CRAWLER)
        for name in (
            "claude-web",
            "cookiehub",
            "debugbear",
            "geedo",
            "gtmetrix",
            "manus-user",
            "newsai/",
            "nitro-optimizer",
            "scope3/",
            "sindup",
            "sqwatcher",
            "testlocally",
            "turingos",
        )
    ),
)
#: "Googlebot/2.1", "Slackbot-LinkExpanding", "robots"; not "bottom", nor the telephones of Cubot and "M bot 60 Build/".
_BOT_WORD = re.compile(r"(?<!cu)bots?(?![a-z]|[ \d+a-z]{0,8} build/)")
_BOT_BY_WORD = Judgement(Verdict.BOT, "bot_word")
#: No browser or mail program of today carries an address to look its maker up.
_WEB_ADDRESSES = tuple((part, Judgement(Verdict.BOT, "web_address")) for part in ("http://", "https://", "www."))

# Apple Mail without privacy protection and the new Outlook send the same, so neither is named alone, and no system is.
_BARE_WEBKIT = Judgement(Verdict.HUMAN_CLIENT, "bare_webkit", "Apple Mail or Outlook")
_APPLE_MAIL = Judgement(Verdict.HUMAN_CLIENT, "ios_mail", "Apple Mail")
_IOS_MAIL_END = re.compile(r"mobile/15e148(?: \(\d+\))?$")
_IOS_VIEW = Judgement(Verdict.HUMAN_CLIENT, "ios_view", "iOS mail app")
_IOS_BROWSERS = (
    "safari/",
    "crios",
    "gsa/",
    "fban",
    "fxios",
    "edgios",
    "version/",
    "instagram",
    "twitter",
    "linkedinapp",
)
_CLIENTS = (
    ("microsoft outlook", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook")),
    ("ms-office", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook")),
    ("msoffice", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook")),
    ("macoutlook", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook")),
    ("outlook-ios", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook mobile")),
    ("outlook-android", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook mobile")),
    ("thunderbird/", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Thunderbird")),
    ("em client/", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "eM Client")),
    ("airmail ", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Airmail")),
    ("foxmail ", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Foxmail")),
    ("lotus-notes/", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Notes")),
    ("; wv)", Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Android mail app")),
    # Libraries that Android mail programs fetch images with: no bots, and no proof of a person either.
    ("okhttp", Judgement(Verdict.UNKNOWN, "android_library", "Android mail app")),
    ("dalvik", Judgement(Verdict.UNKNOWN, "android_library", "Android mail app")),
)
#: Webmail without a proxy. Before these versions (2023, Safari 2022) a browser is years behind: more often a machine.
#: Browsers that also carry another's name come before it.
_BROWSERS = tuple(
    (re.compile(pattern), oldest, Judgement(Verdict.HUMAN_CLIENT, "browser", family))
    for pattern, oldest, family in (
        (r"edg(?:a|ios)?/(\d{1,4})", 115, "Edge"),
        (r"opr/(\d{1,4})", 101, "Opera"),
        (r"samsungbrowser/(\d{1,4})", 23, "Samsung Internet"),
        (r"gsa/(\d{1,4})", 270, "Google app"),
        (r"(?:firefox|fxios)/(\d{1,4})", 115, "Firefox"),
        (r"(?:chrome|crios)/(\d{1,4})", 115, "Chrome"),
        (r"version/(\d{1,4})[\d.]* (?:mobile/\w+ )?safari/", 16, "Safari"),
    )
)
_OLD_BROWSER = Judgement(Verdict.UNKNOWN, "old_browser")
#: No browser has called itself "compatible" since Internet Explorer.
_DISGUISED = Judgement(Verdict.BOT, "disguised")
_UNRECOGNISED = Judgement(Verdict.UNKNOWN, "unrecognised")

#: Every name a report can show; the tests have an example of each.
CLIENT_FAMILIES = frozenset(
    judgement.client_family
    for judgement in (
        *_EXACT.values(),
        *(judgement for table in (_MAIL_PROXIES, _CLIENTS) for _, judgement in table),
        *(judgement for _, _, judgement in _BROWSERS),
        _BARE_WEBKIT,
        _IOS_VIEW,
    )
)


def judge(user_agent: str, purpose: str = "") -> Judgement:
    """`purpose` is the value of Sec-Purpose or Purpose; both arguments are taken as the client sent them."""
    if purpose and _names_prefetch(purpose):
        return _BY_HEADER
    return _judge_agent(user_agent[:MAX_USER_AGENT])


def _names_prefetch(purpose: str) -> bool:
    """``prefetch``, ``prerender``, or a list like ``prefetch;prerender``."""
    words = purpose[:MAX_USER_AGENT].lower()
    return "prefetch" in words or "prerender" in words


@lru_cache(maxsize=REMEMBERED)
def _judge_agent(agent: str) -> Judgement:
    """Remembers what programs call themselves: in this process only, never written, and nothing else of the request."""
    if exact := _EXACT.get(agent):
        return exact
    lowered = agent.lower()
    for rule in _RULES:
        if judgement := rule(lowered):
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
    if any(other in agent for other in _IOS_BROWSERS):
        return None
    # Mail's view adds nothing, or a number in brackets; those of other mail programs may add a name.
    return _APPLE_MAIL if _IOS_MAIL_END.search(agent) else _IOS_VIEW


def _browser(agent: str) -> Judgement | None:
    if not agent.startswith("mozilla/"):
        return None
    for pattern, oldest, judgement in _BROWSERS:
        if found := pattern.search(agent):
            if int(found[1]) < oldest:
                return _OLD_BROWSER
            return _DISGUISED if "compatible" in agent else judgement
    return None


#: The order of judgement: first match wins.
_RULES: tuple[Callable[[str], Judgement | None], ...] = (
    _first_part(_MAIL_PROXIES),
    _first_part(_SCANNERS),
    _first_part(_BOTS),
    _bot_word,
    _first_part(_WEB_ADDRESSES),
    _bare_webkit,
    _ios_mail,
    _first_part(_CLIENTS),
    _browser,
)
