"""Whole mails, read back as a mail program would: both variants, both ways of rendering, and what can not get in."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from pixel_service.mail.compose import ContentInvalid, Prepared
from tests.mail.mails import LINKS, PIXEL_URL, composer, html_of, read, recipient, source, text_of

PIXEL = f'<img src="{PIXEL_URL}" width="1" height="1" alt="">'
HTML = (
    '<html><body><div style="display:none">Psst {{ first_name }}</div><table><tr><td><p>{{ greeting }},</p>'
    '<p>Grüße für {{ city }} – <a href="https://a.example/?a=1&amp;b=2">mehr</a></p></td></tr></table></body></html>'
)


def prepare(folder: Path, html: str = HTML, *, tracked: bool = True, language: str = "en", **given: object) -> Prepared:
    return composer(folder).prepare(source(html, **given), language=language, tracked=tracked)


def test_a_mail_reads_back_complete(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, subject="Neues für {{ first_name }}", language="de")
    headers = {
        "List-Unsubscribe": f"<{LINKS['unsubscribe_url']}>, <mailto:unsubscribe+abc@nordlicht.example>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-Id": "Blög <blog.nordlicht.example>",
    }
    sent = recipient(
        variables={"first_name": "Änne", "city": "Köln <&> Bonn", "greeting": "Guten Tag"}, headers=headers
    )
    data = prepared.compose(sent)
    mail = read(data)
    assert mail["From"] == "Nordlicht – Blog <blog@nordlicht.example>"
    assert mail["To"] == "Anna Müller <anna@kunde.example>"
    assert mail["Reply-To"] == "kontakt@nordlicht.example"
    assert mail["Subject"] == "Neues für Änne"
    assert mail["Date"].datetime == sent.sent_at
    assert mail["Message-ID"] == "<m1@nordlicht.example>"
    assert mail["MIME-Version"] == "1.0"
    assert {name: mail[name] for name in headers} == headers
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert "Guten Tag,\n\nGrüße für Köln <&> Bonn – mehr <https://a.example/?a=1&b=2>" in text_of(data)
    assert "<p>Grüße für Köln &lt;&amp;&gt; Bonn – <a" in html_of(data)


def test_the_pixel_is_in_the_tracked_variant_after_the_preheader_and_only_there(tmp_path: Path) -> None:
    person = {"first_name": "Änne", "city": "Köln"}
    assert f"<td><p>{PIXEL}Hello Änne," in html_of(prepare(tmp_path).compose(recipient(variables=person)))
    plain = prepare(tmp_path, tracked=False).compose(recipient(tracked=False, variables=person))
    assert "/o/" not in html_of(plain)
    assert "/t/" not in html_of(plain) + text_of(plain)


def test_a_pixel_in_the_wrong_variant_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    for tracked in (True, False):
        with pytest.raises(ValueError, match="pixel"):
            prepare(tmp_path, "<p>Hi</p>", tracked=tracked).compose(recipient(tracked=not tracked))


def test_service_mail_is_never_tracked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="never tracked"):
        prepare(tmp_path, "<p>Hi</p>", marketing=False)


SHAPES = {
    "document": "<html><body><p>Hi</p></body></html>",
    "fragment": "<p>Hi</p>",
    "text": "Hi",
    "unclosed": "<table><tr><td>Hi",
    "hidden at the end": '<p>Hi</p><div style="display:none">',
    "comment at the end": "<p>Hi</p><!-- ",
    "only in a comment": '<p>Hi</p><!-- <a href="{{ unsubscribe_url }}"> {{ stop_tracking_url }} -->',
}


@pytest.mark.parametrize("shape", SHAPES)
def test_html_without_an_unsubscribe_link_gets_a_footer(tmp_path: Path, shape: str) -> None:
    data = prepare(tmp_path, SHAPES[shape], language="de").compose(recipient())
    without_comments = re.sub("<!--.*?-->", "", html_of(data), flags=re.DOTALL)
    for name, link in LINKS.items():
        assert f'<a href="{link}"' in without_comments, name
        assert f"<{link}>" in text_of(data), name
    assert "Abbestellen" in without_comments
    assert "Nordlicht &amp; Söhne GmbH" in without_comments
    assert "/imprint?lang=de" in without_comments
    assert html_of(data).rstrip().endswith(("</body></html>", "-->"))


def test_html_with_its_own_links_gets_no_second_footer(tmp_path: Path) -> None:
    html = '<p>Hi <a href="{{ unsubscribe_url }}">Bye</a>{% if tracked %}<a href="{{ stop_tracking_url }}">Stop</a>{% endif %}</p>'
    for tracked in (True, False):
        data = prepare(tmp_path, html, tracked=tracked).compose(recipient(tracked=tracked))
        assert html_of(data).count("/u/") == 1
        assert html_of(data).count("/t/") == int(tracked)


UNSUBSCRIBE = '<a href="{{ unsubscribe_url }}">Bye</a>'


def test_own_links_without_an_imprint_get_the_imprint(tmp_path: Path) -> None:
    data = prepare(tmp_path, f"<p>{UNSUBSCRIBE}</p>", tracked=False).compose(recipient(tracked=False))
    assert html_of(data).count("/u/") == 1
    assert "/imprint?lang=en" in html_of(data)
    assert "Nordlicht &amp; Söhne GmbH" in html_of(data)


@pytest.mark.parametrize(
    "imprint",
    [
        '<a href="{{ imprint_url }}">Imprint</a>',
        "<p>{{ company.name }}<br>{{ company.street }}, <b>{{ company.postal_code }}</b> {{ company.city }}</p>",
    ],
)
def test_an_imprint_that_is_visible_is_not_repeated(tmp_path: Path, imprint: str) -> None:
    content = f"<p>{UNSUBSCRIBE}{imprint}</p>"
    data = prepare(tmp_path, content, tracked=False).compose(recipient(tracked=False))
    assert "Privacy notice" not in html_of(data)
    assert html_of(data).count("Imprint") == int("Imprint" in imprint)


@pytest.mark.parametrize(
    "unseen",
    [
        f'<div style="display:none">{UNSUBSCRIBE}</div>',
        f"<style>.x{{display:none}}</style><p class=x>{UNSUBSCRIBE}</p>",
        "<title>{{ unsubscribe_url }}</title>",
        f"<!-- {UNSUBSCRIBE} -->",
        '<a href="{{ unsubscribe_url }}"></a>',
        '<a href="{{ unsubscribe_url }}" style="font-size:0">Bye</a>',
        '<a href="{{ unsubscribe_url }}"><img src="cid:x" width="1" height="1"></a>',
        f'<div style="position:absolute;left:-9999px">{UNSUBSCRIBE}</div>',
    ],
)
def test_a_link_that_nobody_sees_is_no_unsubscribe_link(tmp_path: Path, unseen: str) -> None:
    data = prepare(tmp_path, f"<p>Hi</p>{unseen}", tracked=False).compose(recipient(tracked=False))
    assert f'<a href="{LINKS["unsubscribe_url"]}">Unsubscribe</a>' in html_of(data)


def test_tracked_html_without_a_link_to_stop_measuring_gets_a_footer(tmp_path: Path) -> None:
    html = '<p>Hi <a href="{{ unsubscribe_url }}">Bye</a></p>'
    assert "/t/" in html_of(prepare(tmp_path, html).compose(recipient()))


def test_a_text_of_the_sender_gets_a_footer_of_its_own(tmp_path: Path) -> None:
    text = text_of(
        prepare(tmp_path, "<p>Hi</p>", text="Only {{ first_name }}\r\n.\r\nx").compose(
            recipient(variables={"first_name": "Ann"})
        )
    )
    assert text.startswith("Only Ann\n.\nx\n\n-- \nUnsubscribe: https://")
    assert LINKS["stop_tracking_url"] in text


def test_service_mail_gets_the_imprint_and_nothing_to_unsubscribe(tmp_path: Path) -> None:
    data = prepare(tmp_path, "<p>Hi</p>", tracked=False, marketing=False).compose(recipient(tracked=False))
    assert "Nordlicht &amp; Söhne GmbH" in html_of(data)
    assert "/imprint?lang=en" in html_of(data)
    assert "/u/" not in html_of(data) + text_of(data)


def test_the_link_to_stop_measuring_does_not_exist_without_measuring(tmp_path: Path) -> None:
    with pytest.raises(ContentInvalid, match="tracked mails only"):
        prepare(tmp_path, '<a href="{{ stop_tracking_url }}">Stop</a>', tracked=False)


def test_content_may_ask_whether_there_is_measuring_to_stop(tmp_path: Path) -> None:
    html = '<p>{% if stop_tracking_url %}<a href="{{ stop_tracking_url }}">Stop</a>{% else %}Nothing{% endif %}</p>'
    assert "Nothing" in html_of(prepare(tmp_path, html, tracked=False).compose(recipient(tracked=False)))
    assert LINKS["stop_tracking_url"] in html_of(prepare(tmp_path, html).compose(recipient()))


def test_images_of_others_that_measure_are_counted_and_stripped_on_demand(tmp_path: Path) -> None:
    spy = '<p>Hi</p><img src="https://spy.example/o" width="1" height="1"><img src="https://mail.nordlicht.example/static/a.gif" width="1" height="1">'
    counted = prepare(tmp_path, spy, tracked=False)
    assert counted.foreign_pixels == 1
    assert "spy.example" in html_of(counted.compose(recipient(tracked=False)))
    stripped = composer(tmp_path).prepare(source(spy), language="en", tracked=False, strip_foreign_pixels=True)
    assert stripped.foreign_pixels == 1
    assert "spy.example" not in html_of(stripped.compose(recipient(tracked=False)))
    assert "static/a.gif" in html_of(stripped.compose(recipient(tracked=False)))


def test_large_html_warns(tmp_path: Path) -> None:
    assert prepare(tmp_path, "<p>" + "word " * 21_000).warnings == ("html_over_100_kb",)
    assert prepare(tmp_path, "<p>" + "word " * 15_000).warnings == ()


def test_variables_are_those_that_nobody_else_gives(tmp_path: Path) -> None:
    html = "<p>{{ greeting }} {{ company.name }} {{ city }} {{ offer }} {{ maybe|default('') }}{% if vip %}!{% endif %}</p>"
    assert prepare(tmp_path, html, variables={"offer": 1}, subject="{{ topic }}").variables == {"city", "vip", "topic"}


def test_a_missing_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContentInvalid) as refused:
        prepare(tmp_path).compose(recipient())
    assert refused.value.field == "variables"
    assert "city" in refused.value.detail


def test_a_link_that_is_printed_and_missing_is_an_error_and_not_an_empty_link(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, '<a href="{{ download_url }}">PDF</a>')
    with pytest.raises(ContentInvalid, match="download_url"):
        prepared.compose(recipient())
    optional = prepare(tmp_path, '{% if download_url %}<a href="{{ download_url }}">PDF</a>{% endif %}')
    assert "PDF" not in html_of(optional.compose(recipient()))
    assert "PDF" in html_of(optional.compose(recipient(variables={"download_url": "https://a.example/d/x"})))


def test_without_a_greeting_people_are_greeted_by_name(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, "<p>{{ greeting }},</p>", language="de")
    assert "Guten Tag Anna Meier," in html_of(
        prepared.compose(recipient(variables={"first_name": "Anna", "last_name": "Meier"}))
    )
    assert "Guten Tag," in html_of(prepared.compose(recipient()))


@pytest.mark.parametrize("subject", ["", "  ", "{{ '' }}"])
def test_a_mail_has_a_subject(tmp_path: Path, subject: str) -> None:
    with pytest.raises(ContentInvalid) as refused:
        prepare(tmp_path, "<p>Hi</p>", subject=subject)
    assert refused.value.field == "subject"


# --- two ways of rendering, one result -------------------------------------------------------------------

words = st.text(alphabet=st.characters(codec="utf-8"), max_size=30)
persons = st.fixed_dictionaries(dict.fromkeys(("first_name", "last_name", "city", "greeting"), words))
CONTENTS = [
    HTML,
    '<p title="{{ city }}">{{ first_name ~ " " ~ last_name }}</p>{% for a in items %}<li>{{ a }} {{ city }}</li>{% endfor %}',
    "{% set c = city %}<p>{{ c }}{{ c }}</p><table>{{ first_name }}<tr><td>{{ greeting }}</td></tr></table>",
]


@pytest.fixture(scope="module", params=range(len(CONTENTS)))
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Prepared, Prepared]:
    """The same content, rendered once for all and, forced by a condition, for each recipient."""
    folder, html = tmp_path_factory.mktemp("emails"), CONTENTS[request.param]
    given: dict[str, Any] = {"subject": "To {{ first_name }}", "variables": {"items": ["x", "y"]}}
    return prepare(folder, html, **given), prepare(
        folder, f"{{% if city == 'never' %}}never{{% endif %}}{html}", **given
    )


@given(person=persons)
@settings(max_examples=60, deadline=None)
def test_rendering_once_for_all_gives_the_same_bytes_as_rendering_for_each(
    both: tuple[Prepared, Prepared], person: dict[str, str]
) -> None:
    once, each = both
    assert once.renders_once
    assert not each.renders_once
    assert once.compose(recipient(variables=person)) == each.compose(recipient(variables=person))


@pytest.fixture(scope="module")
def logical(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    html = (
        "<p>{% if city == 'Kiel' %}north{% elif city|length > 5 %}long{% elif not city %}none{% else %}other{% endif %}|"
        "{{ 'x' if 'a' in city else 'y' }}|{{ city|upper }}</p>"
    )
    return prepare(tmp_path_factory.mktemp("emails"), html)


@given(city=st.one_of(words, st.sampled_from(["", "Kiel", "Lübeck", "Aach", " Kiel ", "ß"])))
@settings(max_examples=100, deadline=None)
def test_logic_sees_the_real_values(logical: Prepared, city: str) -> None:
    data = logical.compose(recipient(variables={"city": city}))
    seen = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", re.sub("[\U00100000-\U0010fffd]", "\ufffd", city)).strip()
    kind = "north" if seen == "Kiel" else "long" if len(seen) > 5 else "other" if seen else "none"
    assert text_of(data).startswith(f"{kind}|{'x' if 'a' in seen else 'y'}|")
    assert " ".join(text_of(data).split("|", 2)[2].split()).startswith(" ".join(seen.upper().split()))


# --- what can not get in ---------------------------------------------------------------------------------

breaks = st.sampled_from(
    [
        "\r\n",
        "\n",
        "\r",
        "\x00",
        "\x85",
        "\u2028",
        "\r\n.\r\n",
        "\n.\n",
        "\r\nBcc: x@y.example\r\n",
        "\r\n\r\n",
        "=?utf-8?q?=0D=0ABcc:_x?=",
    ]
)
hostile = st.lists(st.one_of(breaks, st.text(max_size=10)), max_size=6).map("".join)


@pytest.fixture(scope="module")
def open_to_words(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    text = "{{ word }}\n{{ unsubscribe_url }} {{ stop_tracking_url }}"
    return prepare(tmp_path_factory.mktemp("emails"), "<p>{{ word }}</p>", subject="A {{ word }}", text=text)


@given(name=hostile, word=hostile)
@settings(max_examples=150, deadline=None)
def test_no_value_adds_a_header_or_ends_the_mail(open_to_words: Prepared, name: str, word: str) -> None:
    data = open_to_words.compose(recipient(display_name=name, variables={"word": word}))
    calm = open_to_words.compose(recipient(display_name="Anna", variables={"word": "word"}))
    assert data.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\x00", data)
    assert not re.search(rb"^\.|^From ", data, re.MULTILINE)
    assert max(map(len, data.split(b"\r\n"))) <= 78
    assert data.endswith(b"--\r\n")
    mail = read(data)
    assert mail.keys() == read(calm).keys()
    assert len(list(mail.iter_parts())) == 2
    assert [address.addr_spec for address in mail["To"].addresses] == ["anna@kunde.example"]


def test_line_ends_in_a_fixed_subject_are_spaces(tmp_path: Path) -> None:
    data = prepare(tmp_path, "<p>Hi</p>", subject="News\r\nBcc: x@y.example\n").compose(recipient())
    assert read(data)["Subject"] == "News Bcc: x@y.example"
    assert "Bcc" not in read(data)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "a\r\nBcc: x@y.example"},
        {"X-A\r\nBcc": "x"},
        {"Bcc": "x@y.example"},
        {"subject": "other"},
        {"Content-Type": "text/plain"},
        {"X-A": "1", "x-a": "2"},
    ],
)
def test_headers_that_could_change_the_mail_are_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    with pytest.raises(ContentInvalid) as refused:
        prepare(tmp_path, "<p>Hi</p>").compose(recipient(headers=headers))
    assert refused.value.field == "headers"


@pytest.mark.parametrize(
    "given, field",
    [
        ({"address": "a@b.example, c@d.example"}, "address"),
        ({"address": "ännä@kunde.example"}, "address"),
        ({"message_id": "a@b>\r\nBcc: x"}, "headers"),
        ({"variables": {"first_name": "x" * 4_001}}, "variables"),
    ],
)
def test_what_is_wrong_with_one_recipient_is_said_without_naming_them(
    tmp_path: Path, given: dict[str, Any], field: str
) -> None:
    prepared = prepare(tmp_path, "<p>{{ first_name }}</p>")
    with pytest.raises(ContentInvalid) as refused:
        prepared.compose(recipient(**given))
    assert refused.value.field == field
    assert "example" not in refused.value.detail


def test_a_time_without_zone_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="time zone"):
        prepare(tmp_path, "<p>Hi</p>").compose(recipient(sent_at=datetime(2026, 11, 22)))  # noqa: DTZ001 - the mistake


def test_a_recipient_shows_nobody_in_a_traceback() -> None:
    shown = repr(recipient(variables={"first_name": "Anna"}))
    assert not re.search("anna|kunde|Müller|/u/|/o/", shown, re.IGNORECASE)


def test_the_same_recipient_gives_the_same_bytes(tmp_path: Path) -> None:
    assert prepare(tmp_path, "<p>Hi</p>").compose(recipient()) == prepare(tmp_path, "<p>Hi</p>").compose(recipient())
