"""Content from outside can print, compare and loop. It can not reach the program, and it can not keep it busy."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from pixel_service.mail.compose import ContentInvalid, Prepared
from pixel_service.mail.markup import attributes, tokens
from tests.mail.mails import composer, html_of, read, recipient, source, text_of


def rendered(folder: Path, content: str, **variables: object) -> str:
    prepared = composer(folder).prepare(source(content, variables=variables), language="en", tracked=True)
    return html_of(prepared.compose(recipient(variables={"first_name": "Anna"})))


@pytest.mark.parametrize(
    "html, shown",
    [
        ("{{ title|upper }}", "NEWS"),
        ("{{ 'Hi ' ~ title }}", "Hi News"),
        ("{{ 1 + 2 * 3 }} {{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 3 }}", "7 3 3 8"),
        ("{{ data.deep[0].name }}", "x"),
        ("{{ data['deep'][0]['name'] }}", "x"),
        ("{% for a in items %}{{ loop.index }}{{ a }}{% if not loop.last %}, {% endif %}{% endfor %}", "1a, 2b"),
        ("{% for k, v in data.pairs|dictsort %}{{ k }}={{ v }};{% endfor %}", "a=1;b=2;"),
        ("{% for a in items %}{% for b in items %}{{ a }}{{ b }} {% endfor %}{% endfor %}", "aa ab ba bb"),
        ("{% set x = title %}{{ x|lower }}", "news"),
        ("{{ items|join(' and ') }}", "a and b"),
        ("{{ missing|default('nothing') }}", "nothing"),
        ("{{ html|safe }}", "<em>y</em>"),
        ("{{ html }}", "&lt;em&gt;y&lt;/em&gt;"),
        ("{% if 'a' in items and title == 'News' %}yes{% endif %}", "yes"),
        ("{{ first_name|upper }}", "ANNA"),
        ("{{ (first_name ~ ' ' ~ last_name)|trim }}!", "Anna!"),
        ("[{{ nothing }}]", "[]"),
    ],
)
def test_what_a_mail_needs_works(tmp_path: Path, html: str, shown: str) -> None:
    data = {"deep": [{"name": "x"}], "pairs": {"b": 2, "a": 1}}
    given = {"title": "News", "items": ["a", "b"], "data": data, "html": "<em>y</em>", "nothing": None}
    assert f"<i>{shown}</i>" in rendered(tmp_path, f"<p>Hi</p><i>{html}</i>", **given).replace(" </i>", "</i>")


@pytest.mark.parametrize(
    "html",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ title|attr('__class__') }}",
        "{{ title.upper() }}",
        "{{ title.format }}",
        "{{ '%s'|format(title) }}",
        "{{ loop.__class__ }}",
        "{% for a in items %}{{ loop.cycle('a', 'b') }}{% endfor %}",
        "{% for a in items %}{{ loop._iterable }}{% endfor %}",
        "{{ range(3) }}",
        "{{ lipsum() }}",
        "{{ cycler('a') }}",
        "{{ joiner() }}",
        "{{ namespace(a=1) }}",
        "{{ dict(a=1) }}",
        "{{ self }}",
        "{{ self._TemplateReference__context }}",
        "{{ _(title) }}",
        "{% include 'layout.html.j2' %}",
        "{% import 'layout.html.j2' as x %}",
        "{% from 'layout.html.j2' import x %}",
        "{% extends 'layout.html.j2' %}",
        "{% block a %}{% endblock %}",
        "{% macro a() %}{% endmacro %}",
        "{% filter upper %}a{% endfilter %}",
        "{% set x %}a{% endset %}",
        "{% autoescape false %}{{ first_name }}{% endautoescape %}",
        "{{ first_name|safe }}",
        "{{ (first_name ~ 'x')|safe }}",
        "{{ first_name[:100]|safe }}",
        "{{ first_name|e|striptags|safe }}",
        "{{ [first_name]|map('safe')|join }}",
        "{% set a = first_name %}{{ a[0]|safe }}",
        "{% for c in first_name %}{{ c|safe }}{% endfor %}",
        "{% for c in first_name %}{{ loop.previtem|safe }}{% endfor %}",
        "{{ items|map('attr', '__class__')|list }}",
        "{{ items }}",
        "{{ items[9] }}",
        "{{ data.a.b.c }}",
        "{{ data.nope.b }}",
        "{% for a in data.nope %}{% endfor %}",
        "{{ 10 ** 17 }}",
        "{% for a in items %}{{ loop }}{% endfor %}",
        "{{ data }}",
        "{% for a in items recursive %}{{ loop(a) }}{% endfor %}",
        "{% for a in items %}{% for b in items %}{% for c in items %}{% endfor %}{% endfor %}{% endfor %}",
    ],
)
def test_what_reaches_further_is_refused(tmp_path: Path, html: str) -> None:
    with pytest.raises(ContentInvalid) as refused:
        rendered(tmp_path, html, title="News", items=["a", "b"], data={"a": 1})
    assert refused.value.field == "html"


BOMBS = {
    "multiplied text": "{{ 'x' * 1000000000 }}",
    "multiplied list": "{% for a in [1] * 1000000000 %}{% endfor %}",
    "power": "{{ 9 ** 9 ** 9 ** 9 }}",
    "padded": "{{ '%1000000000d' % 1 }}",
    "loops": "{% for a in items %}{% for b in items %}x{% endfor %}{% endfor %}",
    "silent loops": "{% for a in items %}{% for b in items %}{% endfor %}{% endfor %}",
    "long output": "{% for a in items %}{{ text }}{% endfor %}",
    "doubling by join": "{% set a = 'x' %}" + "{% set a = a ~ a %}" * 60 + "{{ a }}",
    "doubling by list": "{% set a = ['x'] %}" + "{% set a = [a, a] %}" * 60 + "{{ a == a }}",
    "doubling by with": "{% with a = text ~ text %}{{ a }}{% endwith %}",
    "growth by replace": "{{ text|replace('x', text) }}",
    "growth by join": "{{ text|list|join(text) }}",
    "rounding": "{{ 1.5|round(100000000) }}",
    "deep brackets": "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
    "deep ifs": "{% if 1 %}" * 3_000 + "{% endif %}" * 3_000,
    "deep sum": "{{ " + "1+" * 20_000 + "1 }}",
    "long source": "x" * 500_001,
    "sorting": "{% for i in items %}{{ items|sort|length }}{% endfor %}",
    "comparing": "{% for i in items %}{% if items == items|list %}{% endif %}{% endfor %}",
    "looking through": "{% for i in items %}{% if 'x' in items %}{% endif %}{% endfor %}",
    "testing": "{% for i in items %}{{ items|select('in', items)|first }}{% endfor %}",
    "slices": "{% for i in items %}{% set a = text[1:] %}{% endfor %}",
    "joined and dropped": "{% for i in items %}{% if text ~ text %}{% endif %}{% endfor %}",
    "lists of long texts": "{{ [" + "items|map('replace', 1, text)|list," * 12 + "]|length }}",
    "lazy lists": "{% for i in items %}{% set a = items|map('string')|map('upper') %}{% endfor %}",
    "many words": "{{ " + "first_name ~ " * 30_000 + "1 }}",
    "many conditions": "{% if first_name == 'a' %}x{% endif %}" * 4_000,
    "deep html": "<div>" * 20_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_would_take_forever_or_all_memory_is_refused_at_once(tmp_path: Path, bomb: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ContentInvalid):
        rendered(tmp_path, BOMBS[bomb], items=list(range(1_000)), text="x" * 20_000)
    assert time.perf_counter() - started < 10  # most take milliseconds; the bound only tells "at once" from "forever"


@pytest.mark.parametrize(
    "html, detail",
    [
        ("<p>\n\n{{ oops", "line 3: "),
        ("<p>\n{% if x %}", "line 2: "),
        ("\n{{ data.oops }}", "line 2: 'dict object' has no attribute 'oops'"),
        ("\n\n{{ 1 / 0 }}", "line 3: ZeroDivisionError"),
        ("{{ 'a' + 'b' }}", "line 1: '+' takes numbers"),
        ("a{{ x|nope }}", "line 1: "),
    ],
)
def test_an_error_names_the_line_and_the_field(tmp_path: Path, html: str, detail: str) -> None:
    with pytest.raises(ContentInvalid) as refused:
        rendered(tmp_path, html, data={}, x=1)
    assert refused.value.field == "html"
    assert refused.value.detail.startswith(detail)


def test_errors_in_subject_and_text_name_their_fields(tmp_path: Path) -> None:
    made = composer(tmp_path)
    for field in ("subject", "text"):
        with pytest.raises(ContentInvalid) as refused:
            made.prepare(source(**{field: "{{ oops"}), language="en", tracked=False)
        assert refused.value.field == field


def test_an_error_for_one_recipient_does_not_repeat_their_value(tmp_path: Path) -> None:
    prepared = composer(tmp_path).prepare(
        source("{% if n|int > 5 %}{{ 1 / (n|int - 7) }}{% endif %}"), language="en", tracked=False
    )
    assert prepared.compose(recipient(tracked=False, variables={"n": "9"}))
    with pytest.raises(ContentInvalid) as refused:
        prepared.compose(recipient(tracked=False, variables={"n": "7"}))
    assert refused.value.detail == "line 1: ZeroDivisionError"


@pytest.mark.parametrize(
    "html", ["{{ s|striptags|length }}", "{{ s|title|length }}", "{{ s|wordcount }}", "{{ s|urlencode|length }}"]
)
def test_filters_read_a_long_text_in_one_pass(tmp_path: Path, html: str) -> None:
    started = time.perf_counter()
    rendered(tmp_path, f"<p>{html}</p>", s="<!--x-->< " * 15_000)
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("html", ["{{ name[:3] }}", "{{ name|e }}", "{{ name|list|join }}", "{{ name|forceescape }}"])
def test_what_is_made_of_a_value_is_escaped_like_the_value(tmp_path: Path, html: str) -> None:
    prepared = composer(tmp_path).prepare(source(f"<p>{html}</p>"), language="en", tracked=True)
    data = prepared.compose(recipient(variables={"name": "<b onclick=x>"}))
    assert "<b " not in html_of(data)
    assert "&lt;" in html_of(data)


hostile = st.sampled_from(
    [
        *("<script>", "</p>", '" onload="x', "' x='", "{{ 7 * 7 }}", "{% raw %}", "\U00100000", "\U0010fffd", "&amp;"),
        *("-->", "\r\n.\r\n", "]]>", "</title>", "\x00", "\ud800"),
    ]
)


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    html = (
        '<title>{{ first_name }}</title><p title="{{ first_name }}">{{ first_name }}|{{ first_name|upper }}|'
        '{{ first_name ~ "!" }}</p><!--[if mso]><b title="{{ first_name }}">{{ first_name }}</b><![endif]-->'
        '{% if first_name == "z" %}z{% endif %}'
    )
    text = "{{ first_name }}|{{ unsubscribe_url }} {{ stop_tracking_url }}"
    content = source(html, text=text, subject="S {{ first_name }}")
    return composer(tmp_path_factory.mktemp("emails")).prepare(content, language="en", tracked=True)


@given(value=st.lists(st.one_of(hostile, st.text(max_size=8)), max_size=5).map("".join))
@settings(max_examples=100, deadline=None)
def test_a_value_of_a_recipient_stays_text_in_every_place(everywhere: Prepared, value: str) -> None:
    hurt, calm = (everywhere.compose(recipient(variables={"first_name": name})) for name in (value, "Anna"))
    assert _shape(html_of(hurt)) == _shape(html_of(calm))
    assert read(hurt).keys() == read(calm).keys()
    # What they typed is what is shown: nothing is evaluated, nothing taken for one of our marks.
    shown = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", " ", value).split())
    shown = re.sub("[\U00100000-\U0010fffd]", "\ufffd", shown)
    assert " ".join(text_of(hurt).rpartition("|")[0].split()) == shown


def _shape(document: str) -> list[tuple[str, str, int]]:
    return [(t.kind, t.name, len(attributes(t.inside))) for t in tokens(document) if t.kind != "text"]
