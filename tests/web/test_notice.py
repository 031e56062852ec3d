"""What anybody may read without saying who they are."""

import re
from dataclasses import replace

from httpx import AsyncClient

from pixel_service.usecases.context import Context
from pixel_service.web.notice import sections
from tests.builders import web


async def test_the_notice_is_shown_in_both_languages_with_its_version(visitor: AsyncClient, ctx: Context) -> None:
    for language, heading in (("de", "Ihre Rechte"), ("en", "Your rights")):
        page = await visitor.get(f"/privacy?lang={language}")
        assert page.status_code == 200
        assert heading in re.findall("<h2>(.*?)</h2>", page.text)
        assert ctx.catalogue.notice_version in page.text
        assert "## " not in page.text
        assert page.text.count("<h1>") == 1


def test_every_paragraph_of_the_notice_is_shown_below_its_heading() -> None:
    text = "# Title\n\nBefore.\n\n## One\n\nFirst\nline.\n\nSecond.\n\n## Two\n\nThird."
    assert sections(text) == [("", ["Before."]), ("One", ["First line.", "Second."]), ("Two", ["Third."])]


def test_a_notice_that_begins_with_a_heading_has_no_empty_section() -> None:
    assert sections("# Title\n\n## One\n\nFirst.") == [("One", ["First."])]


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
        "/privacy",
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
