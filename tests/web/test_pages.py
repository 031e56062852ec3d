"""Every page in every language: complete, safe with hostile values, usable without eyes, mouse or script."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from pixel_service.domain.wordings import contrast
from pixel_service.i18n import Catalogues, packaged_locales
from pixel_service.web.bars import TimelinePoint, chart
from pixel_service.web.pages import PAGES as FOLDER, Pages, compact, paragraphs
from pixel_service.web.palette import DARK_GROUND, LIGHT_GROUND, palette
from tests.company import nordlicht
from tests.web.page_contexts import CAMPAIGN, CONFIRM, PAGES, SIGN_UP, Values

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}%(x)s"
VOID = {"meta", "link", "input", "br", "img", "rect", "line", "path", "circle"}
CATALOGUES = Catalogues(packaged_locales())
EVERY_PAGE = [
    pytest.param(name, number, language, id=f"{name}-{number}-{language}")
    for name, states in PAGES.items()
    for number in range(len(states))
    for language in CATALOGUES.languages
]


class Document(HTMLParser):
    """The elements of a page with their attributes; unbalanced markup is an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"an attribute twice: {tag} {attrs}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"closed but never opened: {tag}"
        assert self._open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == tag]

    def values(self, name: str) -> Iterator[str]:
        for _tag, attributes in self.elements:
            if value := attributes.get(name):
                yield value


def pages(**company: str) -> Pages:
    return Pages(CATALOGUES, nordlicht(**company), "https://post.example/mail/", ZoneInfo("Europe/Berlin"))


def render(name: str, values: Values, language: str = "de", path: str = "/mail/c/x") -> str:
    return pages().render(name, language=language, path=path, **values)


def spoiled(value: Any) -> Any:
    """The same value with every text in it replaced by a hostile one; what picks a branch stays."""
    match value:
        case str():
            return HOSTILE
        case list() | tuple():
            return [spoiled(entry) for entry in value]
        case dict():
            return {key: entry if key in {"kind", "what"} else spoiled(entry) for key, entry in value.items()}
        case _:
            return value


def test_every_template_is_rendered_here() -> None:
    parts = {"layout", "card", "parts", "fields", "console/layout", "console/evidence_parts", "console/report_parts"}
    found = {str(path.relative_to(FOLDER)).removesuffix(".html.j2") for path in FOLDER.rglob("*.j2")}
    assert found - parts == set(PAGES)


@pytest.mark.parametrize("name, number, language", EVERY_PAGE)
def test_a_page_holds_nothing_its_policy_forbids(name: str, number: int, language: str) -> None:
    document = Document(render(name, PAGES[name][number], language))
    assert not document.all("script")
    assert not [key for _tag, attributes in document.elements for key in attributes if key.startswith(("on", "style"))]
    fetched = [*document.values("src"), *(link["href"] or "" for link in document.all("link"))]
    assert all(address.startswith(("/mail/static/", "data:")) for address in fetched), fetched
    assert all((form["action"] or "").startswith("/") and form["method"] == "post" for form in document.all("form"))


@pytest.mark.parametrize("name, number, language", EVERY_PAGE)
def test_a_page_can_be_used_without_seeing_it(name: str, number: int, language: str) -> None:
    document = Document(render(name, PAGES[name][number], language))
    ids = list(document.values("id"))
    assert len(ids) == len(set(ids))
    assert document.all("html") == [{"lang": language}]
    levels = [int(tag[1]) for tag, _ in document.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels)), levels
    labelled = {label["for"] for label in document.all("label")}
    fields = [*document.all("input"), *document.all("select")]
    assert {field["id"] for field in fields if field.get("type") != "hidden"} == labelled
    referred = " ".join([*document.values("aria-describedby"), *document.values("aria-labelledby")]).split()
    jumps = [href[1:] for href in document.values("href") if href.startswith("#")]
    assert {*referred, *jumps} <= set(ids)


@pytest.mark.parametrize("name, number, language", EVERY_PAGE)
def test_hostile_values_stay_text(name: str, number: int, language: str) -> None:
    values = spoiled(PAGES[name][number])
    html = pages(name=HOSTILE, email=HOSTILE, supervisory_authority=HOSTILE).render(
        name, language=language, path="//evil.example/" + HOSTILE, **values
    )
    calm = Document(render(name, PAGES[name][number], language))
    body = html.partition("</style>")[2]
    assert "<script" not in html
    assert "<img" not in html
    assert not re.search(r"<[^>]*\sonerror=[^>]*>", re.sub(r'"[^"]*"', '""', body))
    assert {tag for tag, _ in Document(html).elements} <= {tag for tag, _ in calm.elements} | {"a"}
    assert 'href="//' not in html
    assert "49" not in re.findall(r"&gt;(\d+)%", html)


def test_every_text_has_a_german_translation() -> None:
    used = {
        message
        for _file, _line, message, _comments, _context in extract_from_dir(
            FOLDER, [("**.j2", "jinja2")], {"**.j2": {"newstyle_gettext": "true", "trim_blocks": "true"}}
        )
    }
    with (packaged_locales() / "de" / "pages.po").open("rb") as source:
        german = {message.id: message for message in read_po(source, locale="de")}
    assert len(used) > 100
    assert not [text for text in used if text not in german or not german[text].string or german[text].fuzzy]
    placeholders = re.compile(r"%\(\w+\)s|</?\w+")
    for text in used:
        assert set(placeholders.findall(str(text))) == set(placeholders.findall(str(german[text].string)))


def test_the_confirm_page_is_one_small_request_with_one_button() -> None:
    for language in CATALOGUES.languages:
        html = render("confirm", CONFIRM, language)
        document = Document(html)
        assert len(html.encode()) <= 15 * 1024
        assert not [*document.values("src"), *(link for link in document.all("link") if link["rel"] == "stylesheet")]
        assert len(document.all("button")) == 1


def test_confirming_shows_each_purpose_with_its_full_text_and_its_own_box() -> None:
    html = render("confirm", CONFIRM)
    boxes = [field for field in Document(html).all("input") if field["type"] == "checkbox"]
    assert [box["name"] for box in boxes] == ["newsletter-blog", "tracking-opens"]
    for choice in CONFIRM["choices"]:
        for paragraph in paragraphs(choice["text"])[:2]:
            assert paragraph in html


def test_no_box_of_the_form_is_ticked_and_only_the_address_is_required() -> None:
    document = Document(render("sign_up", SIGN_UP))
    assert not [field for field in document.all("input") if "checked" in field]
    assert [field["name"] for field in document.all("input") if "required" in field] == ["address"]


def test_a_form_shown_again_keeps_what_was_typed_and_leads_to_each_error() -> None:
    html = render("sign_up", PAGES["sign_up"][1])
    document = Document(html)
    fields = {field.get("name"): field for field in document.all("input")}
    assert fields["address"]["value"] == "anna@"
    assert fields["address"]["aria-invalid"] == "true"
    assert "error-address" in (fields["address"]["aria-describedby"] or "").split()
    assert fields["company"]["value"] == "Beispiel AG"
    assert any(option["value"] == "ms" and "selected" in option for option in document.all("option"))
    assert {"#field-address", "#field-choices"} <= set(document.values("href"))
    assert any("open" in details for details in document.all("details")), "typed values must not be hidden"


def test_the_form_posts_the_versions_it_shows() -> None:
    hidden = {f["name"]: f["value"] for f in Document(render("sign_up", SIGN_UP)).all("input") if f["type"] == "hidden"}
    assert hidden == {
        "newsletter-blog_version": "2026-11",
        "tracking-opens_version": "2026-11",
        "notice_version": "2026-11",
        "language": "de",
    }


def test_language_links_lead_to_the_same_page_and_never_to_another_host() -> None:
    links = Document(render("error", PAGES["error"][0], path="//evil.example")).all("a")
    assert [(link["href"], link.get("aria-current")) for link in links if "hreflang" in link] == [
        ("/evil.example?lang=de", "true"),
        ("/evil.example?lang=en", None),
    ]


def test_an_unknown_language_gets_a_page_too() -> None:
    assert '<html lang="de">' in render("imprint", {}, "xx")


def test_the_hash_allows_the_style_of_the_page_and_nothing_else() -> None:
    made = pages()
    [style] = re.findall(r"<style>(.*?)</style>", made.render("imprint", language="de", path="/imprint"), re.DOTALL)
    assert made.style_hash == f"sha256-{b64encode(sha256(style.encode()).digest()).decode()}"
    assert "#0b5fa5" in style
    assert pages(brand_colour="#123456").style_hash != made.style_hash
    assert compact("/* why */\na { color: red;\n  margin: 0 1px; }\n") == "a{color: red;margin: 0 1px}"


def test_the_logo_stands_on_every_page_but_the_confirm_page() -> None:
    made = Pages(CATALOGUES, nordlicht(), "https://post.example", ZoneInfo("UTC"), "/static/logo.png")
    shown = made.render("imprint", language="de", path="/")
    assert 'src="/static/logo.png" alt="Nordlicht Telekom GmbH"' in shown
    assert "logo.png" not in made.render("confirm", language="de", path="/", **CONFIRM)


@pytest.mark.parametrize("brand", ["#0b5fa5", "#e20074", "#ffd400", "#fff", "#000000", "#7f7f7f", "#00a651"])
def test_text_is_readable_whatever_the_brand_colour(brand: str) -> None:
    colours = palette(brand)
    assert contrast(colours.brand, colours.on_brand) >= 4.5
    assert contrast(colours.brand_deep, colours.on_brand) >= 4.5
    for accent, on_accent, ground in (
        (colours.accent, colours.on_accent, LIGHT_GROUND),
        (colours.dark_accent, colours.dark_on_accent, DARK_GROUND),
    ):
        assert contrast(accent, ground) >= 4.5
        assert contrast(accent, on_accent) >= 4.5


@pytest.mark.parametrize("brand", ["blue", "#12", "#12345g", "", "#000}body{display:none", "#0b5fa5\n"])
def test_only_a_colour_gets_into_the_style(brand: str) -> None:
    with pytest.raises(ValueError, match="brand colour must look like"):
        palette(brand)


def test_the_bars_of_the_chart_are_as_high_as_their_figures() -> None:
    timeline: list[TimelinePoint] = [
        {"label": "9", "opens": 180, "machine": 310},
        {"label": "10", "opens": 0, "machine": 0},
    ]
    drawn = chart(timeline)
    first, second = drawn.bars
    assert [figure for _y, figure in drawn.ticks] == [0, 200, 400, 600]
    assert first.opens_height / first.machine_height == pytest.approx(180 / 310, rel=0.01)
    assert first.machine_y + first.machine_height == pytest.approx(first.opens_y, abs=0.2)
    assert first.opens_y + first.opens_height == pytest.approx(drawn.floor, abs=0.2)
    assert second.opens_height == second.machine_height == 0
    assert first.x + first.width <= second.x
    assert second.x + second.width <= 100


@pytest.mark.parametrize("highest", [0, 1, 3, 7, 10, 99, 1234, 10_000_000])
def test_the_axis_ends_at_a_round_figure_above_the_highest(highest: int) -> None:
    ticks = [figure for _y, figure in chart([{"label": "", "opens": highest, "machine": 0}]).ticks]
    assert ticks[0] == 0
    assert ticks[-1] >= highest
    assert 3 <= len(ticks) <= 5


def test_the_campaign_page_holds_the_figures_of_its_chart_in_a_table_too() -> None:
    html = render("console/campaign", CAMPAIGN)
    table = html.partition("<table>")[2]
    assert all(f'<th scope="row">{point["label"]}</th>' in table for point in CAMPAIGN["timeline"])


def test_reports_speak_of_loaded_images_never_of_reading() -> None:
    shown = json.dumps([render(name, PAGES[name][0], "en") for name in PAGES if name.startswith("console/")])
    assert "mages loaded" in shown
    assert not re.search(r"\b(read|opened by|reader)\b", re.sub(r"<style>.*?</style>", "", shown))
