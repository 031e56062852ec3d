"""Our own templates: which there are, what they ask for, and in which language they speak."""

from pathlib import Path

import pytest

from pixel_service.mail.compose import ContentInvalid
from pixel_service.mail.templates import find_templates_folder
from tests.mail.mails import composer, html_of, read, recipient, source, templates, text_of

LAYOUT = {
    "layout.html.j2": (
        '{% set accent = "#123456" %}<html lang="{{ language }}"><body>{% block body %}{% endblock %}'
        '{% if marketing %}{% include "_footer.html.j2" %}{% else %}{% include "_imprint.html.j2" %}{% endif %}</body></html>'
    ),
    "layout.txt.j2": '{% block body %}{% endblock %}\n\n{% if marketing %}{% include "_footer.txt.j2" %}{% endif %}',
    "news.html.j2": (
        '{% extends "layout.html.j2" %}{% block body %}<p style="color:{{ accent }}">{{ greeting }}, {{ _("Unsubscribe") }}'
        "{% if extra is defined %} {{ extra }}{% endif %} {{ headline }} {{ code }}</p>{% endblock %}"
    ),
    "news.txt.j2": '{% extends "layout.txt.j2" %}{% block body %}{{ greeting }} {{ headline }} {{ code }}{% endblock %}',
    "news.subject.j2": "{{ headline }} & more",
    "bare.html.j2": "<p>{{ greeting }}</p>",
    "bare.txt.j2": "{{ greeting }}",
    "half.html.j2": "<p>no text part</p>",
}


def test_names_are_whole_mails_and_not_their_parts(tmp_path: Path) -> None:
    assert templates(tmp_path, LAYOUT).names == {"news", "bare"}


def test_the_templates_that_ship_are_found_and_have_both_parts() -> None:
    assert (find_templates_folder() / "layout.html.j2").is_file()
    assert {"newsletter", "confirmation", "welcome", "whitepaper", "goodbye"} <= {
        path.name.removesuffix(".txt.j2") for path in find_templates_folder().glob("*.txt.j2")
    }


def test_a_template_says_what_recipients_have_to_bring(tmp_path: Path) -> None:
    news = source(None, template="news", variables={"headline": "Fibre"})
    assert composer(tmp_path, LAYOUT).prepare(news, language="en", tracked=True).variables == {"code"}


def test_a_template_brings_its_subject_and_speaks_the_language_of_the_mail(tmp_path: Path) -> None:
    news = source(None, template="news", subject="", variables={"headline": "Fibre", "code": "7"})
    prepared = composer(tmp_path, LAYOUT).prepare(news, language="de", tracked=True)
    mail = prepared.compose(recipient(variables={"greeting": "Guten Tag"}))
    assert read(mail)["Subject"] == "Fibre & more"
    assert read(mail)["Content-Language"] == "de"
    assert "Guten Tag, Abbestellen Fibre 7" in html_of(mail)
    assert 'style="color:#123456"' in html_of(mail)
    assert text_of(mail).startswith("Guten Tag Fibre 7\n")


def test_what_one_file_makes_for_another_is_not_asked_of_recipients(tmp_path: Path) -> None:
    files = {
        "_parts.html.j2": "{% macro shout(word) %}<b>{{ word|upper }}</b>{% endmacro %}",
        "base.html.j2": (
            '{% set a = "A" %}{% set b %}B{{ a }}{% endset %}{% import "_parts.html.j2" as parts %}'
            '{% from "_parts.html.j2" import shout as cry %}{% macro own(word) %}{{ word }}{% endmacro %}'
            "<p>{% block body %}{% endblock %}</p>"
        ),
        "base.txt.j2": "x",
        "kid.html.j2": (
            '{% extends "base.html.j2" %}{% from "_parts.html.j2" import shout %}'
            "{% block body %}{{ a }} {{ b }} {{ shout(city) }} {{ city.upper() }}{% endblock %}"
        ),
        "kid.txt.j2": "{{ city }}",
    }
    prepared = composer(tmp_path, files).prepare(source(None, template="kid"), language="en", tracked=False)
    assert prepared.variables == {"city"}
    mail = prepared.compose(recipient(tracked=False, variables={"city": "Köln"}))
    assert "A BA <b>KÖLN</b> KÖLN" in html_of(mail)


def test_a_subject_of_the_send_wins(tmp_path: Path) -> None:
    news = source(
        None, template="news", subject="{{ first_name }}: {{ headline }}", variables={"headline": "Fibre", "code": "7"}
    )
    mail = (
        composer(tmp_path, LAYOUT)
        .prepare(news, language="en", tracked=True)
        .compose(recipient(variables={"first_name": "Ann"}))
    )
    assert read(mail)["Subject"] == "Ann: Fibre"


def test_a_recipient_may_bring_what_a_template_can_do_without(tmp_path: Path) -> None:
    news = source(None, template="news", variables={"headline": "Fibre", "code": "7"})
    prepared = composer(tmp_path, LAYOUT).prepare(news, language="en", tracked=True)
    assert " Gift Fibre" in html_of(prepared.compose(recipient(variables={"extra": "Gift"})))
    assert " Fibre" in html_of(prepared.compose(recipient()))
    assert "Gift" not in html_of(prepared.compose(recipient()))


@pytest.mark.parametrize("name", ["nope", "_footer", "layout", "half", "../layout", ""])
def test_an_unknown_template_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ContentInvalid) as refused:
        composer(tmp_path, LAYOUT).prepare(source(None, template=name), language="en", tracked=True)
    assert refused.value.field == "template"


@pytest.mark.parametrize("given", [{"template": "bare", "html": "<p>"}, {"template": None, "html": None}])
def test_a_send_names_a_template_or_brings_html(tmp_path: Path, given: dict[str, str | None]) -> None:
    with pytest.raises(ContentInvalid) as refused:
        composer(tmp_path, LAYOUT).prepare(source(**given), language="en", tracked=True)
    assert refused.value.field == "template"


def test_service_mail_from_a_template_has_the_imprint_and_nothing_to_unsubscribe(tmp_path: Path) -> None:
    news = source(None, template="news", variables={"headline": "Fibre", "code": "7"}, marketing=False)
    mail = composer(tmp_path, LAYOUT).prepare(news, language="en", tracked=False).compose(recipient(tracked=False))
    assert "Nordlicht &amp; Söhne GmbH" in html_of(mail)
    assert "/u/" not in html_of(mail) + text_of(mail)


def test_the_links_of_our_own_service_mail_may_come_with_the_send(tmp_path: Path) -> None:
    files = {"hello.html.j2": '<a href="{{ confirm_url }}">Go</a>', "hello.txt.j2": "{{ confirm_url }}"}
    hello = source(None, template="hello", variables={"confirm_url": "https://a.example/c/x"}, marketing=False)
    mail = composer(tmp_path, files).prepare(hello, language="en", tracked=False).compose(recipient(tracked=False))
    assert text_of(mail) == "https://a.example/c/x"


@pytest.mark.parametrize("name", ["unsubscribe_url", "tracked", "company", "confirm_url", "base_url"])
def test_a_send_can_not_replace_what_the_service_fills_in(tmp_path: Path, name: str) -> None:
    with pytest.raises(ContentInvalid) as refused:
        composer(tmp_path).prepare(source(variables={name: "x"}), language="en", tracked=True)
    assert refused.value.field == "variables"
    assert name in refused.value.detail
