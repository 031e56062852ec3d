"""The verdict on one request, by enumeration of what mail programs and machines really send."""

import pytest

from pixel_service.domain.opens import (
    CLIENT_FAMILIES,
    LIKELY_HUMAN,
    MACHINE,
    MAX_USER_AGENT,
    Judgement,
    Verdict,
    judge,
)

GMAIL_PREFETCH = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
GMAIL_PROXY = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
)
BARE_WEBKIT = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE_MAIL = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
)

KNOWN = [
    # prefetch
    ("Mozilla/5.0", "prefetch", "apple_mpp", "Apple Mail"),
    (GMAIL_PREFETCH, "prefetch", "gmail", "Gmail"),
    # proxies that fetch when a person opens the mail
    (GMAIL_PROXY, "proxy_open", "gmail", "Gmail"),
    ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "proxy_open", "yahoo", "Yahoo Mail"),
    ("SeznamEmailProxy/2.0.145", "proxy_open", "seznam", "Seznam Email"),
    ("Mozilla/5.0 FastmailUA/1.0", "proxy_open", "fastmail", "Fastmail"),
    ("Mozilla/5.0 (compatible; hey.com/imageproxy)", "proxy_open", "hey", "HEY"),
    # scanners
    ("Mozilla/5.0 Chrome/150.0 Gmail-content-sampling", "scanner", "gmail", "Gmail"),
    ("BarracudaCentral/1.0", "scanner", "security_product", ""),
    ("Mozilla/5.0 (Proofpoint URL Defense) Chrome/150.0", "scanner", "security_product", ""),
    ("ms-office-protocol-discovery", "scanner", "office_probe", ""),
    ("Microsoft Office Existence Discovery", "scanner", "office_probe", ""),
    # bots
    ("curl/8.5.0", "bot", "http_tool", ""),
    ("python-requests/2.32.3", "bot", "http_tool", ""),
    ("Python/3.11 aiohttp/3.9.1", "bot", "http_tool", ""),
    ("python-httpx/0.28.0", "bot", "http_tool", ""),
    ("Go-http-client/2.0", "bot", "http_tool", ""),
    ("libwww-perl/6.67", "bot", "http_tool", ""),
    ("node-fetch/1.0 (+https://github.com/bitinn/node-fetch)", "bot", "http_tool", ""),
    (CHROME.replace("Chrome/", "HeadlessChrome/"), "bot", "headless_browser", ""),
    ("facebookexternalhit/1.1", "bot", "link_preview", ""),
    ("WhatsApp/2.23.20.0", "bot", "link_preview", ""),
    ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "bot", "bot_word", ""),
    ("Twitterbot/1.0", "bot", "bot_word", ""),
    ("LinkedInBot/1.0 (compatible; Mozilla/5.0)", "bot", "bot_word", ""),
    ("TelegramBot (like TwitterBot)", "bot", "bot_word", ""),
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot", "bot_word", ""),
    # people's programs
    (BARE_WEBKIT, "human_client", "bare_webkit", "Apple Mail or Outlook"),
    (IPHONE_MAIL, "human_client", "ios_mail", "Apple Mail"),
    (IPHONE_MAIL.replace("iPhone;", "iPad;"), "human_client", "ios_mail", "Apple Mail"),
    (
        "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)",
        "human_client",
        "mail_client",
        "Outlook",
    ),
    (
        "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; ms-office; MSOffice 16)",
        "human_client",
        "mail_client",
        "Outlook",
    ),
    ("Outlook-iOS/723.4027091.prod.iphone", "human_client", "mail_client", "Outlook mobile"),
    ("Outlook-iOS-Android/1.0", "human_client", "mail_client", "Outlook mobile"),
    ("MacOutlook/16.89.24090815 (Intelx64 Mac OS X)", "human_client", "mail_client", "Outlook"),
    (
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.3.0",
        "human_client",
        "mail_client",
        "Thunderbird",
    ),
    (
        (
            "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AP2A; wv) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Version/4.0 Chrome/128.0 Mobile Safari/537.36"
        ),
        "human_client",
        "mail_client",
        "Android mail app",
    ),
    (CHROME, "human_client", "browser", "Chrome"),
    (CHROME + " Edg/150.0.0.0", "human_client", "browser", "Edge"),
    (CHROME + " OPR/130.0", "human_client", "browser", "Opera"),
    ("Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0", "human_client", "browser", "Firefox"),
    (BARE_WEBKIT + " Version/26.0 Safari/605.1.15", "human_client", "browser", "Safari"),
    (
        IPHONE_MAIL.replace("Mobile", "Version/18.5 Mobile") + " Safari/604.1",
        "human_client",
        "browser",
        "Safari",
    ),
    # a telephone's name, no bot
    (
        (
            "Mozilla/5.0 (Linux; Android 13; CUBOT NOTE 21) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/140.0 Mobile Safari/537.36"
        ),
        "human_client",
        "browser",
        "Chrome",
    ),
    # nothing to tell
    ("", "unknown", "no_user_agent", ""),
    ("okhttp/4.12.0", "unknown", "android_library", "Android mail app"),
    ("Dalvik/2.1.0 (Linux; U; Android 14; SM-S918B)", "unknown", "android_library", "Android mail app"),
    (GMAIL_PREFETCH[: -len(" Mozilla/5.0")], "unknown", "old_browser", ""),
    (CHROME.replace("Chrome/150", "Chrome/114"), "unknown", "old_browser", ""),
    (IPHONE_MAIL + " [FBAN/FBIOS]", "unknown", "unrecognised", ""),
    ("Mozilla/5.0 ", "unknown", "unrecognised", ""),
    ("Mozilla/5.0 (KHTML, like Gecko)", "unknown", "unrecognised", ""),
    ("bottom line", "unknown", "unrecognised", ""),
    ("Ünïcode \x00 \ud800", "unknown", "unrecognised", ""),
]


@pytest.mark.parametrize("user_agent, verdict, reason, family", KNOWN)
def test_each_known_user_agent_gets_its_verdict(user_agent: str, verdict: str, reason: str, family: str) -> None:
    assert judge(user_agent) == Judgement(Verdict(verdict), reason, family)


@pytest.mark.parametrize(
    "purpose", ["prefetch", "Prefetch", "prefetch;prerender", "prerender", "prefetch;anonymous-client-ip"]
)
@pytest.mark.parametrize("user_agent", [CHROME, "Mozilla/5.0", "curl/8.5.0", ""])
def test_a_prefetch_header_decides_before_the_user_agent(purpose: str, user_agent: str) -> None:
    assert judge(user_agent, purpose) == Judgement(Verdict.PREFETCH, "header")


def test_another_purpose_header_decides_nothing() -> None:
    assert judge(CHROME, "navigation").verdict is Verdict.HUMAN_CLIENT


def test_apple_prefetch_is_the_whole_user_agent_and_nothing_else() -> None:
    assert judge("Mozilla/5.0").reason == "apple_mpp"
    assert {judge(agent).reason for agent in ("mozilla/5.0", "Mozilla/5.0;", " Mozilla/5.0", BARE_WEBKIT)}.isdisjoint(
        {"apple_mpp"}
    )


def test_what_follows_the_bound_is_not_looked_at() -> None:
    padding = "x" * MAX_USER_AGENT
    assert judge(padding + "GoogleImageProxy").verdict is Verdict.UNKNOWN
    assert judge(padding[:-20] + "GoogleImageProxy").verdict is Verdict.PROXY_OPEN
    assert judge(CHROME, padding + "prefetch").verdict is Verdict.HUMAN_CLIENT


def test_a_huge_version_number_is_no_error() -> None:
    assert judge(CHROME.replace("150", "9" * 900)).verdict is Verdict.HUMAN_CLIENT


def test_every_reason_and_family_fits_its_column() -> None:
    assert all(len(judge(agent).reason) <= 40 and len(judge(agent).client_family) <= 40 for agent, *_ in KNOWN)


def test_every_family_is_in_the_fixed_set() -> None:
    assert {family for *_, family in KNOWN} == CLIENT_FAMILIES


def test_no_verdict_is_both_human_and_machine() -> None:
    assert LIKELY_HUMAN.isdisjoint(MACHINE)
    assert set(Verdict) - LIKELY_HUMAN - MACHINE == {Verdict.PREVIEW, Verdict.UNKNOWN}
