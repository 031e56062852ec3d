"""The text part made from HTML: what a reader sees, with every link."""

import pytest
from hypothesis import given, strategies as st

from pixel_service.mail.html import inlined
from pixel_service.mail.plain_text import text_of


@pytest.mark.parametrize(
    "source, text",
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("<h1>Title</h1>\n  <p>Some\n   text</p>", "Title\n\nSome text"),
        ("a<br>b<br/><br>c", "a\nb\n\nc"),
        ('<a href="https://a.example/x?a=1&amp;b=2">Read on</a>!', "Read on <https://a.example/x?a=1&b=2>!"),
        ('<a href="https://a.example/">https://a.example/</a>', "https://a.example/"),
        (
            '<a href="mailto:a@b.example">Write</a> <a href="mailto:a@b.example">a@b.example</a>',
            "Write <a@b.example> a@b.example",
        ),
        ('<a href="https://a.example/"><img src="x" alt="Shop"></a>', "Shop <https://a.example/>"),
        ('<a href="https://a.example/"><img src="x"></a>', "https://a.example/"),
        ('<a href="#top">Up</a><a name="x">Here</a>', "UpHere"),
        ('<a href="\U00100001">Unsubscribe</a>', "Unsubscribe <\U00100001>"),
        ("<ul><li>a<li>b</ul><ol><li>c</li><li>d</li></ol>", "* a\n* b\n\n1. c\n2. d"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ('<div style="display:none">Preview</div><p>Hi</p>', "Hi"),
        ("<style>p{color:red}</style><script>x()</script><title>T</title><p>Hi</p><!-- no -->", "Hi"),
        ("<p>1 &lt; 2 &amp; 3&nbsp;€</p>", "1 < 2 & 3\xa0€"),
        ("<p>a</p><hr><p>b</p>", f"a\n\n{'-' * 40}\n\nb"),
        ("<p>Dear <b>Anna</b> <i>M</i>.</p>", "Dear Anna M."),
        ("", ""),
    ],
)
def test_text_says_what_html_shows(source: str, text: str) -> None:
    assert text_of(inlined(source)) == text


@given(
    st.lists(
        st.sampled_from(["<p>", "</a>", "<a href='http://x'>", "<li>", "<ol>", "word", " ", "<br>", "<td>", "<hr>"])
    ).map("".join)
)
def test_every_word_is_kept_whatever_the_markup(soup: str) -> None:
    assert text_of(soup).count("word") == soup.count("word")
    assert "\n\n\n\n" not in text_of(soup)
