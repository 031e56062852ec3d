"""What anybody may read without saying who they are."""

import re
from dataclasses import replace

from httpx import AsyncClient

from pixel_service.catalogue import load_catalogue, packaged_catalogue
from pixel_service.storage.texts import publish
from pixel_service.usecases.context import Context
from pixel_service.web.notice import blocks
from tests.builders import web
from tests.company import nordlicht, terms


async def test_the_notice_is_shown_in_both_languages_with_its_version(visitor: AsyncClient, ctx: Context) -> None:
    for language, heading in (("de", "Ihre Rechte"), ("en", "Your rights")):
        page = await visitor.get(f"/privacy?lang={language}")
        assert page.status_code == 200
        assert heading in re.findall("<h2>(.*?)</h2>", page.text)
        assert ctx.catalogue.notice_version in page.text
        assert "## " not in page.text
        assert page.text.count("<h1>") == 1


def test_headings_paragraphs_and_lists_of_a_notice_are_told_apart() -> None:
    text = "# Title\n\nBefore.\n\n## One\n\nFirst\nline.\n\n### Two\n\n- **Who:** we,\n  you: all\n- **Why:** so\n\n- a **b:** c\n- d"
    assert blocks(text) == [
        ("p", "Before."),
        ("h2", "One"),
        ("p", "First line."),
        ("h3", "Two"),
        ("dl", [("Who", "we, you: all"), ("Why", "so")]),
        ("ul", ["a **b:** c", "d"]),
    ]


def test_a_notice_of_the_sample_is_understood_to_the_last_line(ctx: Context) -> None:
    for notice in ctx.catalogue.notices.values():
        assert not re.search(r"\*\*|(?m:^#|^- )", " ".join(str(content) for _, content in blocks(notice.text)))


async def test_what_was_shown_earlier_can_be_read_as_it_was(ctx: Context) -> None:
    old = load_catalogue(packaged_catalogue(), nordlicht(phone="+49 40 999"), terms())
    for catalogue in (old, ctx.catalogue):
        async with ctx.db.write() as connection:
            await publish(connection, catalogue, at=ctx.clock())
    async with web(ctx) as visitor:
        today = await visitor.get("/privacy?lang=en")
        earlier = await visitor.get(f"/privacy?lang=en&version={old.notice_version}")
        same = await visitor.get(f"/privacy?lang=en&version={ctx.catalogue.notice_version}")
        for unknown in ("2000-01", "x" * 30, "%00", ""):
            assert (await visitor.get(f"/privacy?version={unknown}")).status_code == 404
    assert "+49 40 999" in earlier.text
    assert "This is an earlier version" in earlier.text
    assert '<meta name="robots" content="noindex">' in earlier.text
    assert "+49 40 999" not in today.text
    assert same.text == today.text


async def test_the_imprint_names_the_company(visitor: AsyncClient, ctx: Context) -> None:
    page = await visitor.get("/imprint")
    assert page.status_code == 200
    assert ctx.company.name in page.text
    assert ctx.company.register_entry in page.text


async def test_search_engines_are_kept_to_offers_and_legal_pages(visitor: AsyncClient) -> None:
    robots = (await visitor.get("/robots.txt")).text
    rules = [line.split(": ") for line in robots.splitlines()]
    assert rules[-1] == ["Disallow", "/"]
    assert {path for rule, path in rules if rule == "Allow"} == {
        "/$",
        "/newsletter/",
        "/whitepaper/",
        "/privacy$",
        "/privacy?",
        "/privacy/request",
        "/imprint",
    }


async def test_a_page_follows_the_language_of_the_browser_unless_told_otherwise(visitor: AsyncClient) -> None:
    english = {"Accept-Language": "en-GB,en;q=0.9,de;q=0.5"}
    assert '<html lang="de">' in (await visitor.get("/imprint")).text
    assert '<html lang="en">' in (await visitor.get("/imprint", headers=english)).text
    assert '<html lang="de">' in (await visitor.get("/imprint?lang=de", headers=english)).text
    assert '<html lang="de">' in (await visitor.get("/imprint?lang=xx")).text


async def test_links_and_forms_keep_the_folder_the_service_is_published_under(ctx: Context) -> None:
    below = replace(ctx, policy=replace(ctx.policy, base_url="https://news.example/mail"))
    async with web(below) as visitor:
        # The proxy in front has taken the folder off.
        page = (await visitor.get("https://news.example/newsletter/blog")).text
    targets = re.findall(r'(?:href|action)="(/[^"]*)"', page)
    assert targets
    assert [target for target in targets if not target.startswith("/mail/")] == []
