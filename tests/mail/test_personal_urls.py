"""Content whose mails would load or link something that differs from person to person is recognised (D4)."""

from pathlib import Path

import pytest

from pixel_service.mail.compose import ContentInvalid
from tests.mail.mails import PIXEL_URL, composer, html_of, recipient, source

PERSONAL = [
    '<a href="https://shop.example/?c={{ code }}">Shop</a>',
    '<img src="https://shop.example/{{ code }}.png">',
    "<img srcset='https://shop.example/{{ code }}.png 2x'>",
    '<p style="background:url(https://x.example/{{ code }})">a</p>',
    '<td background="https://x.example/{{ code|lower }}">a</td>',
    "<p>https://shop.example/{{ code }}</p>",
    "<p>www.shop.example/?{{ code }}</p>",
    "<p>{{ code }}.shop.example/x</p>",
    '<!--[if mso]><v:rect href="https://shop.example/{{ code }}"><![endif]-->',
    "<!-- {{ code }} -->",
    '{% set c = code %}<a href="https://shop.example/{{ c }}">Shop</a>',
    '{% set c = code|upper %}<a href="{{ base_url ~ c }}">Shop</a>',
    '{% if code == "a" %}<a href="https://shop.example/a">Shop</a>{% endif %}',
    '{% if code %}a{% elif tracked %}<img src="https://shop.example/a">{% endif %}',
    '{% if code == "a" %}a{% else %}<img src="https://shop.example/a">{% endif %}',
    '{% for c in code %}<img src="x.png">{% endfor %}',
    '<a href="{{ "https://a.example" if code == "a" else "https://b.example" }}">Shop</a>',
    '<p>{{ "https://a.example" if code == "a" else "" }}</p>',
    "{% if code %}<p>{{ shop }}</p>{% endif %}",
    "<p>{{ shop ~ code }}</p>",
    '{% if code %}<a href="{{ unsubscribe_url }}">Bye</a>{% endif %}',
    "{% if code %}<style>p{background:url(x)}</style>{% endif %}",
    '<p class="{{ code }}">a</p>',
    '<p id="{{ code }}" lang="de">a</p>',
    '{% if first_name == "Anna" %}<p class="a">a</p>{% endif %}',
    "{% if first_name %}<p>Hello {{ first_name }}</p>{% else %}<p>Hello</p>{% endif %}",
    '{% for i in [1] if first_name == "Anna" %}<img src="https://a.example/a.png">{% endfor %}',
    '<style>p[title^="A"]{background:url(https://a.example/A)}</style><p title="{{ first_name }}">Hi</p>',
    r'<style>p[\74itle^="A"]{background:url(https://a.example/A)}</style><p title="{{ first_name }}">Hi</p>',
    "<style>@font-face{font-family:q;src:url(https://a.example/A);unicode-range:U+41}</style><p>{{ first_name }}</p>",
    "<style>p:empty{background:url(https://a.example/A)}</style><p>{{ first_name }}</p>",
    '<style>a[href*="/u/a"]{background:url(https://a.example/A)}</style><a href="{{ unsubscribe_url }}">Bye</a>',
    '{% if code == "a" %}<object data="https:&#47;&#47;a.example/a.gif"></object>{% endif %}',
    r'{% if code == "a" %}<p style="list-style:u\72l(https:&#47;&#47;a.example/a)">x</p>{% endif %}',
    "<p>shop.example/{{ code }}</p>",
    "<p>{{ code }}.shop.example</p>",
    "<p>{{ code }}@shop.example</p>",
    "<p>https://shop.example/<b>{{ code }}</b></p>",
    "<!--[if {{ code }}]><p>a</p><![endif]-->",
    '<img src="{{ unsubscribe_url }}">',
    '<p style="background:url({{ unsubscribe_url }})">a</p>',
    '<link rel="stylesheet" href="{{ preferences_url }}">',
    '<a href="https://click.example/?to={{ unsubscribe_url }}">Bye</a>',
    '<a href="{{ unsubscribe_url }}?{{ code }}">Bye</a>',
    "<p>https://click.example/?to={{ unsubscribe_url }}</p>",
]
HARMLESS = [
    "<p>{{ code }}</p>",
    '<a href="https://shop.example/">{{ code }}</a>',
    '<img src="https://shop.example/a.png" alt="For {{ first_name }}" title="{{ code }}">',
    '<a href="{{ unsubscribe_url }}">Bye</a><a href="{{ preferences_url }}">Choices</a>',
    '<a href="{{ shop }}">Shop</a>',
    "<p>Hello {{ first_name|default('you') }}</p>",
    '<style>a[href^="tel:"]{color:red} u + .body p{color:red}</style><a href="{{ unsubscribe_url }}">Bye</a> {{ code }}',
    "<p>Stop: {{ unsubscribe_url }}.</p>",
    '{% if tracked %}<a href="{{ stop_tracking_url }}">Stop</a>{% endif %}',
    '{% if extra is defined %}<a href="{{ extra }}">More</a>{% endif %}',
    "<p>Your code: {{ code }}. See you!</p>",
    '<!--[if mso]><v:rect href="{{ preferences_url }}"><![endif]-->',
]


@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("html", PERSONAL)
def test_a_url_that_differs_per_person_is_found(tmp_path: Path, html: str, *, tracked: bool) -> None:
    content = source(html, variables={"shop": "https://shop.example/"})
    assert composer(tmp_path).prepare(content, language="en", tracked=tracked).personal_urls


@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("html", HARMLESS)
def test_personal_words_and_the_links_every_mail_has_are_no_personal_urls(
    tmp_path: Path, html: str, *, tracked: bool
) -> None:
    content = source(html, variables={"shop": "https://shop.example/"})
    assert not composer(tmp_path).prepare(content, language="en", tracked=tracked).personal_urls


def test_a_text_part_is_looked_at_too(tmp_path: Path) -> None:
    content = source("<p>Hi</p>", text="See https://shop.example/{{ code }}")
    assert composer(tmp_path).prepare(content, language="en", tracked=False).personal_urls


def test_own_templates_are_looked_at_through_their_macros(tmp_path: Path) -> None:
    files = {
        "_button.html.j2": '{% macro button(url) %}<a href="{{ url }}">Go</a>{% endmacro %}',
        "offer.html.j2": '{% from "_button.html.j2" import button %}<p>{{ button(target) }}</p>',
        "offer.txt.j2": "Go there",
    }
    made = composer(tmp_path, files)
    own = source(None, template="offer")
    assert made.prepare(own, language="en", tracked=False).personal_urls
    fixed = source(None, template="offer", variables={"target": "https://shop.example/"})
    assert not made.prepare(fixed, language="en", tracked=False).personal_urls


def test_what_a_recipient_brings_unasked_can_not_become_a_url_in_an_untracked_mail(tmp_path: Path) -> None:
    content = source('{% if extra is defined %}<a href="{{ extra }}">More</a>{% endif %}<p>Hi</p>')
    brought = {"extra": "https://shop.example/anna"}
    prepared = composer(tmp_path).prepare(content, language="en", tracked=False)
    with pytest.raises(ContentInvalid):
        prepared.compose(recipient(tracked=False, variables=brought))
    tracked = composer(tmp_path).prepare(content, language="en", tracked=True)
    assert brought["extra"] in html_of(tracked.compose(recipient(variables=brought)))


def test_a_subject_of_personal_words_decides_nothing_unseen(tmp_path: Path) -> None:
    html = '{% if (subject|lower) == "anna" %}<img src="https://a.example/anna.png">{% endif %}'
    prepared = composer(tmp_path).prepare(source(html, subject="{{ first_name }}"), language="en", tracked=False)
    assert prepared.personal_urls


@pytest.mark.parametrize(
    "value", ["https://a.example/u/1", "www.a.example", "see a.example/1", "a.example", "a．example"]
)
@pytest.mark.parametrize("where", ["html", "text"])
def test_a_value_that_mail_programs_make_a_link_of_stays_out_of_untracked_mails(
    tmp_path: Path, where: str, value: str
) -> None:
    content = source(**{"html": "<p>Hi</p>", where: "<p>{{ code }}</p>"})
    made = composer(tmp_path)
    with pytest.raises(ContentInvalid) as refused:
        made.prepare(content, language="en", tracked=False).compose(recipient(tracked=False, variables={"code": value}))
    assert refused.value.field == "variables"
    assert "example" not in refused.value.detail
    assert made.prepare(content, language="en", tracked=True).compose(recipient(variables={"code": value}))


@pytest.mark.parametrize("value", ["12.50", "z.B. 3", "22.11.2026", "Dr. Nord", "anna@kunde.example", "A.B", "10:30"])
def test_other_values_may_have_dots_and_the_own_address_is_no_news(tmp_path: Path, value: str) -> None:
    prepared = composer(tmp_path).prepare(source("<p>{{ code }}</p>"), language="en", tracked=False)
    assert value in html_of(prepared.compose(recipient(tracked=False, variables={"code": value})))


def test_a_company_may_be_called_like_its_site(tmp_path: Path) -> None:
    prepared = composer(tmp_path).prepare(source("<p>{{ company_name }}</p>"), language="en", tracked=False)
    assert prepared.compose(recipient(tracked=False, variables={"company_name": "nord.example"}))


SERVICE = {
    '<a href="https://shop.example/reset/{{ code }}">Reset</a>': False,
    "<p>https://shop.example/reset/{{ code }}</p>": False,
    "<p>{% if code %}Yes{% else %}No{% endif %}</p>": False,
    '<img src="https://shop.example/{{ code }}.png">': True,
    '<p style="background:url(https://x.example/{{ code }})">a</p>': True,
    '<p class="{{ code }}">a</p>': True,
    '{% if code %}<img src="https://shop.example/a.png">{% endif %}': True,
    '<style>@media all{.a{background:url(https://a.example/a)}}</style><p {% if code %}class="a"{% endif %}>a</p>': True,
    '<p title="{{ code }}">a</p><style>p[title^="A"]{background:url(https://a.example/A)}</style>': True,
}


@pytest.mark.parametrize("html", SERVICE)
def test_service_mail_may_link_but_not_load_what_is_personal(tmp_path: Path, html: str) -> None:
    prepared = composer(tmp_path).prepare(source(html, marketing=False), language="en", tracked=False)
    assert prepared.personal_loads is SERVICE[html]


def test_a_value_that_would_load_something_else_is_refused_even_when_no_sample_showed_it(tmp_path: Path) -> None:
    html = '<p>Hi</p>{% if code == "a" %}<img src="https://shop.example/a.png">{% endif %}'
    prepared = composer(tmp_path).prepare(source(html, marketing=False), language="en", tracked=False)
    assert prepared.compose(recipient(tracked=False, variables={"code": "b"}))
    with pytest.raises(ContentInvalid, match="depends on the recipient"):
        prepared.compose(recipient(tracked=False, variables={"code": "a"}))


@pytest.mark.parametrize(
    "html, place",
    [
        ("<p title={{ code }}>a</p>", "without quotation marks"),
        ("<a href={{ unsubscribe_url }}>a</a>", "without quotation marks"),
        ("<p {{ code }}>a</p>", "outside of a quoted attribute"),
        ('<p {{ code }}="a">a</p>', "outside of a quoted attribute"),
        ("<h{{ code }}>a</h1>", "name of an element"),
        ("<script>var a = '{{ code }}'</script>", "inside <script>"),
        ("<style>p{color:{{ code }}}</style>", "inside <style>"),
        ("{% if code %}<p title={{ code }}>a</p>{% endif %}", "without quotation marks"),
        ("<!--[if mso]><p title={{ code }}><![endif]-->", "without quotation marks"),
    ],
)
def test_a_value_in_a_place_where_escaping_does_not_help_is_refused(tmp_path: Path, html: str, place: str) -> None:
    made = composer(tmp_path)
    with pytest.raises(ContentInvalid, match=place):
        made.prepare(source(html), language="en", tracked=False)


def test_a_value_behind_a_less_than_sign_opens_no_element(tmp_path: Path) -> None:
    prepared = composer(tmp_path).prepare(source("<{{ code }}>a"), language="en", tracked=False)
    mail = prepared.compose(recipient(tracked=False, variables={"code": "b onclick=x"}))
    assert "<body>&lt;b onclick=x&gt;a" in html_of(mail)


def test_the_same_mail_to_two_people_without_tracking_consent_has_the_same_urls(tmp_path: Path) -> None:
    prepared = composer(tmp_path).prepare(
        source('<p>{{ first_name }}<img src="https://a.example/a.png" alt="{{ first_name }}"></p>'),
        language="en",
        tracked=False,
    )
    anna, ben = (
        html_of(prepared.compose(recipient(tracked=False, variables={"first_name": name}))).replace(name, "")
        for name in ("Anna", "Ben")
    )
    assert anna == ben
    assert PIXEL_URL not in anna
