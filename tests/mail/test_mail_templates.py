"""The mails themselves: both languages, text beside HTML, and what each of them must not contain."""

import html
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from jinja2 import Environment, FileSystemLoader, StrictUndefined, nodes
from jinja2.ext import babel_extract

from pixel_service.domain.wordings import Company
from pixel_service.i18n import Catalogues, packaged_locales
from pixel_service.usecases import personal
from tests.company import nordlicht

FOLDER = Path(__file__).parents[2] / "templates" / "emails"
MAILS = ("newsletter", "confirmation", "welcome", "whitepaper", "goodbye", "my_data", "new_address", "address_asked")
SYSTEM_MAILS = MAILS[1:]
LANGUAGES = ("de", "en")
#: The composer fills these in after rendering; a template may print them and nothing else.
RECIPIENT_NAMES = {
    *("greeting", "unsubscribe_url", "preferences_url"),
    *("stop_tracking_url", "confirm_url", "download_url", "my_data_url"),
}
BASE = "https://news.nordlicht-telekom.example"
WORDING = "Yes, Nordlicht may write to me.\n\nAbout <fibre> & networks. I can withdraw by the link in every e-mail."


def environment(language: str, *, trim: bool = False) -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=trim,
        lstrip_blocks=trim,
    )
    translations = Catalogues(packaged_locales()).translations(language)
    made.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]  # added by the extension
    return made


def values(mail: str, language: str = "en", **changes: object) -> dict[str, object]:
    company: Company = nordlicht()
    common: dict[str, object] = {
        "company": company,
        "language": language,
        "base_url": BASE,
        "logo_url": f"{BASE}/static/logo.png",
        "imprint_url": f"{BASE}/imprint",
        "privacy_url": f"{BASE}/privacy",
        "rights_url": f"{BASE}/privacy/request",
        "tracked": True,
        "marketing": mail == "newsletter",
        "greeting": "Guten Tag Frau Meier",
        "unsubscribe_url": f"{BASE}/u/token",
        "preferences_url": f"{BASE}/p/token",
        "stop_tracking_url": f"{BASE}/t/token",
    }
    article = {"title": "Three questions", "text": "Before a contract.", "url": "https://blog.example/1"}
    own: dict[str, dict[str, object]] = {
        "newsletter": {"headline": "Fibre & more", "intro": "First.\n\nSecond.", "articles": [article, article]},
        "confirmation": {
            "choices": [{"label": "Network Blog", "text": WORDING}, {"label": "Measuring", "text": "Yes, measure."}],
            "requested_at": "22 November 2026, 10:15 CET",
            "expires_at": "29 November 2026, 10:15 CET",
            "confirm_url": f"{BASE}/c/token",
            "code": "048213",
        },
        "welcome": {"confirmed": ["Network Blog", "Measuring"], "tracked_opens": True},
        "whitepaper": {
            "title": "Business fibre",
            "download_url": f"{BASE}/d/token",
            "expires_at": "22 December 2026, 10:15 CET",
        },
        "my_data": {
            "asked_at": "22 November 2026, 10:15 CET",
            "expires_at": "23 November 2026, 10:15 CET",
            "my_data_url": f"{BASE}/privacy/me/token",
        },
        "new_address": {
            "asked_at": "22 November 2026, 10:15 CET",
            "expires_at": "24 November 2026, 10:15 CET",
            "confirm_url": f"{BASE}/a/token",
        },
        "address_asked": {"asked_at": "22 November 2026, 10:15 CET"},
        "goodbye": {"withdrawn": ["Measuring"], "at": "22 November 2026, 10:15 CET", "opens": 1, "pixels": 12},
    }
    return common | own[mail] | changes


def render(mail: str, part: str, language: str = "en", **changes: object) -> str:
    return environment(language).get_template(f"{mail}.{part}.j2").render(values(mail, language, **changes))


def visible(document: str) -> str:
    """What a reader sees of HTML: no head, comments or hidden preheader."""
    body = document[document.index("<body") :]
    body = re.sub(r"(?s)<!--.*?-->|<div style=\"display:none.*?</div>", " ", body)
    return html.unescape(re.sub(r"<[^>]+>", " ", body)).replace("\xa0", " ")


def words(text: str) -> list[str]:
    return sorted(re.findall(r"[\w@%][\w@%.\-]*\w|\w", re.sub(r"https?://\S+", " ", text)))


def links(document: str) -> list[str]:
    return [html.unescape(url) for url in re.findall(r'href="([^"]*)"', document)]


# --- languages ----------------------------------------------------------------------------------------------


def _used() -> set[object]:
    options = {"trimmed": "false", "silent": "false", "encoding": "utf-8"}
    found: set[object] = set()
    for path in FOLDER.glob("*.j2"):
        messages = babel_extract(BytesIO(path.read_bytes()), ("_", "gettext", "ngettext"), [], options)
        for _line, _function, message, _comments in messages:
            ids = tuple(filter(None, message)) if isinstance(message, tuple) else (message,)
            found.add(ids[0] if len(ids) == 1 else ids[:2])
    return found | _greetings()


def _greetings() -> set[object]:
    """They are chosen by the person's salutation, so they stand in the code and not in a template."""
    code = Path(personal.__file__).read_bytes()
    return {message for _line, message, _comments, _context in extract("python", BytesIO(code), {"translate": None})}


def _known(language: str) -> dict[object, object]:
    with (packaged_locales() / language / "mails.po").open("rb") as file:
        return {m.id: m.string for m in read_po(file, locale=language, abort_invalid=True) if m.id and not m.fuzzy}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_the_templates_is_in_the_catalogue_and_no_other(language: str) -> None:
    assert _used() == set(_known(language))


def test_every_text_has_a_german_translation_with_the_same_placeholders() -> None:
    for message, translated in _known("de").items():
        originals = message if isinstance(message, tuple) else (message,)
        strings = translated if isinstance(translated, tuple) else (translated,)
        assert all(strings), message
        for original, string in zip(originals, strings, strict=True):
            assert set(re.findall(r"%\(\w+\)s", str(original))) == set(re.findall(r"%\(\w+\)s", str(string)))


@pytest.mark.parametrize("mail", MAILS)
def test_every_mail_has_a_subject_a_text_and_html_in_both_languages(mail: str) -> None:
    subjects = {language: render(mail, "subject", language) for language in LANGUAGES}
    assert all(subject.strip() == subject and "\n" not in subject and subject for subject in subjects.values())
    for language in LANGUAGES:
        assert f'<html lang="{language}"' in render(mail, "html", language)
    if mail != "newsletter":
        assert subjects["de"] != subjects["en"]
        assert render(mail, "txt", "de") != render(mail, "txt", "en")


@pytest.mark.parametrize(
    "opens,expected", [(0, "0 gespeicherte Öffnungen"), (1, "1 gespeicherte Öffnung"), (2, "2 gespeicherte Öffnungen")]
)
def test_the_receipt_counts_in_good_german(opens: int, expected: str) -> None:
    assert f"* {expected}\n" in render("goodbye", "txt", "de", opens=opens)


# --- text and HTML ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("mail", SYSTEM_MAILS)
def test_text_and_html_say_the_same(mail: str, language: str) -> None:
    assert words(visible(render(mail, "html", language))) == words(render(mail, "txt", language))


@pytest.mark.parametrize("tracked", [True, False])
def test_the_newsletter_says_the_same_in_text_and_html(tracked: bool) -> None:
    shown, text = visible(render("newsletter", "html", tracked=tracked)), render("newsletter", "txt", tracked=tracked)
    assert ("Stop measuring" in shown) is tracked
    # The logo stands for the company's name, with which the text begins.
    assert sorted([*words(shown), *words(nordlicht().name)]) == words(text)


@pytest.mark.parametrize("mail", MAILS)
def test_text_parts_read_well_whatever_the_whitespace_options(mail: str) -> None:
    plain, trimmed = (
        environment("de", trim=trim).get_template(f"{mail}.txt.j2").render(values(mail, "de")) for trim in (False, True)
    )
    assert plain == trimmed
    assert not re.search(r"\n{4}|[ \t]+\n(?<!-- \n)|^\s", plain)


@pytest.mark.parametrize("mail", MAILS)
def test_the_html_is_small_and_made_of_layout_tables(mail: str) -> None:
    document = render(mail, "html")
    assert len(document.encode()) < 20_000
    assert re.findall(r"<table(?![^>]*role=\"presentation\")[^>]*>", document) == []
    assert document.count("<h1") == 1
    assert "prefers-color-scheme: dark" in document


@pytest.mark.parametrize("mail", MAILS)
def test_a_button_is_a_padded_cell_for_outlook(mail: str) -> None:
    buttons = re.findall(r'<table class="action".*?</table>', render(mail, "html"), re.DOTALL)
    assert len(buttons) == (0 if mail in {"goodbye", "address_asked"} else 1)
    assert all('bgcolor="#0b5fa5" style="mso-padding-alt:' in button for button in buttons)


def test_html_escapes_what_the_text_part_shows_as_it_is() -> None:
    title = "<script>alert(1)</script> & “more”"
    assert "<script>" not in render("whitepaper", "html", title=title)
    assert "&lt;script&gt;" in render("whitepaper", "html", title=title)
    assert title in render("whitepaper", "txt", title=title)
    assert title in render("whitepaper", "subject", title=title)


def test_text_on_a_light_brand_colour_is_dark() -> None:
    document = render("welcome", "html", company=nordlicht(brand_colour="#ffd400"))
    assert "color: #111111; text-decoration: none;" in document
    assert "color: #ffd400" not in document.replace("background-color: #ffd400", "")


# --- what a template may do ---------------------------------------------------------------------------------


def _names(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.Name):
        yield node.name
    for name in node.find_all(nodes.Name):
        yield name.name


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.j2")), ids=lambda path: path.name)
def test_values_of_a_recipient_are_only_printed(path: Path) -> None:
    tree = environment("en").parse(path.read_text(encoding="utf-8"))
    deciding: list[nodes.Node] = [node.test for node in tree.find_all(nodes.If)]
    deciding += [node.test for node in tree.find_all(nodes.CondExpr)]
    deciding += [node.iter for node in tree.find_all(nodes.For)]
    deciding += list(tree.find_all((nodes.Filter, nodes.Test, nodes.Getattr, nodes.Getitem, nodes.Compare)))
    used = {name for node in deciding for name in _names(node)}
    assert used & RECIPIENT_NAMES == set()


@pytest.mark.parametrize("mail", SYSTEM_MAILS)
def test_service_mail_carries_no_image_and_no_unsubscribe(mail: str) -> None:
    document = render(mail, "html")
    assert not re.search(r"<img|url\(|background=|logo|\.png|\.gif|@import|@font-face|<link", document)
    assert f"{BASE}/u/token" not in document + render(mail, "txt")
    assert f"{BASE}/t/token" not in document + render(mail, "txt")


@pytest.mark.parametrize("mail", SYSTEM_MAILS)
def test_service_mail_names_the_sender_in_full(mail: str) -> None:
    company = nordlicht()
    for part in (visible(render(mail, "html")), render(mail, "txt")):
        for fact in (company.name, company.street, company.managing_directors, company.register_entry, company.phone):
            assert fact in part


def test_the_only_image_of_the_newsletter_is_the_shared_logo() -> None:
    images = re.findall(r"<img[^>]*>", render("newsletter", "html"))
    assert len(images) == 1
    assert f'src="{BASE}/static/logo.png"' in images[0]
    assert 'alt="Nordlicht Telekom GmbH"' in images[0]


def test_the_preheader_is_the_first_thing_in_the_newsletter() -> None:
    document = render("newsletter", "html", preheader="A look inside")
    assert re.search(r"<body>\s*<div style=\"display:none[^>]*>A look inside</div>", document)
    assert "display:none" not in render("newsletter", "html")


def test_the_newsletter_needs_a_headline_and_an_intro_only() -> None:
    given = values("newsletter")
    del given["articles"]
    for part in ("html", "txt", "subject"):
        rendered = environment("en").get_template(f"newsletter.{part}.j2").render(given)
        assert "Fibre" in rendered
        assert "Read on" not in rendered


def test_the_newsletter_shows_all_it_is_given() -> None:
    article = {"title": "One", "text": "Text", "url": "https://blog.example/1", "link_label": "Go there"}
    for part in ("html", "txt"):
        rendered = render(
            "newsletter", part, articles=[article, {"title": "Two", "text": "No link"}], closing="See you"
        )
        assert all(text in rendered for text in ("Go there", "https://blog.example/1", "No link", "See you"))
        assert "Read on" not in rendered
    assert render("newsletter", "subject", subject="A subject") == "A subject"
    assert render("newsletter", "subject") == "Fibre & more"


# --- the confirmation verifies only -------------------------------------------------------------------------


def test_the_confirmation_has_exactly_one_link() -> None:
    assert links(render("confirmation", "html")) == [f"{BASE}/c/token"]
    assert re.findall(r"https?://\S+", render("confirmation", "txt")) == [f"{BASE}/c/token"]


def test_the_mail_to_a_new_address_has_exactly_one_link() -> None:
    assert links(render("new_address", "html")) == [f"{BASE}/a/token"]
    assert re.findall(r"https?://\S+", render("new_address", "txt")) == [f"{BASE}/a/token"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_confirmation_shows_wordings_time_expiry_and_what_to_do_otherwise(language: str) -> None:
    ignore = {"de": "ignorieren Sie diese E-Mail", "en": "ignore this e-mail"}[language]
    shown = " ".join(visible(render("confirmation", "html", language)).split())
    for text in (shown, " ".join(render("confirmation", "txt", language).split())):
        assert all(" ".join(paragraph.split()) in text for paragraph in WORDING.split("\n\n"))
        assert all(
            fact in text for fact in ("22 November 2026", "29 November 2026", "Network Blog", "Measuring", ignore)
        )


def test_the_confirmation_prints_the_code_where_there_is_one() -> None:
    for text in (visible(render("confirmation", "html")), render("confirmation", "txt")):
        assert "If the page asks for a code, it is: 048213" in " ".join(text.split())
    for text in (visible(render("confirmation", "html", code="")), render("confirmation", "txt", code="")):
        assert "code" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_confirmation_does_not_advertise_or_thank(language: str) -> None:
    for part in ("html", "txt", "subject"):
        rendered = render("confirmation", part, language, choices=[])
        assert not re.search(
            r"(?i)dank|thank|willkommen|welcome|freuen|glad|angebot|offer|rabatt|discount|!(?!doctype|--|\[|important)",
            rendered,
        )


def test_the_confirmation_does_not_repeat_what_a_stranger_typed() -> None:
    for part in ("html", "txt"):
        assert "WIN NOW" not in render("confirmation", part, greeting="Hello WIN NOW")


# --- the others ---------------------------------------------------------------------------------------------


def test_the_welcome_says_truthfully_whether_opens_are_measured() -> None:
    for part in ("html", "txt"):
        assert "You agreed that we measure" in render("welcome", part, tracked_opens=True)
        assert "We do not measure" in render("welcome", part, tracked_opens=False)
        assert f"{BASE}/p/token" in render("welcome", part)


def test_the_whitepaper_mail_links_the_document_and_the_choices() -> None:
    for part in ("html", "txt"):
        assert f"{BASE}/d/token" in render("whitepaper", part)
        assert f"{BASE}/p/token" in render("whitepaper", part)
        assert "22 December 2026" in render("whitepaper", part)


def test_the_goodbye_is_a_receipt_and_offers_nothing() -> None:
    fixed = [f"{BASE}/imprint", f"{BASE}/p/token", f"{BASE}/privacy", f"{BASE}/privacy/request"]
    assert sorted(links(render("goodbye", "html"))) == fixed
    for text in (visible(render("goodbye", "html")), render("goodbye", "txt")):
        for fact in ("1 recorded open", "12 links", "22 November 2026", "Measuring", "receipt", "proof"):
            assert fact in text
