"""The finished HTML: whatever comes in, one pixel stands where a reader would not notice and a mail program loads it."""

import re
import time
from contextlib import suppress

import pytest
from hypothesis import assume, given, settings, strategies as st

from pixel_service.mail.errors import ContentInvalid
from pixel_service.mail.html import append, inlined
from pixel_service.mail.loads import strip_foreign_pixels
from pixel_service.mail.markup import tokens
from pixel_service.mail.pixel_place import place_pixel
from pixel_service.mail.places import findings_in

URL = "https://mail.example/o/abc.gif"
PIXEL = f'<img src="{URL}" width="1" height="1" alt="">'
HIDDEN = '<div style="display:none;max-height:0;overflow:hidden">Preview text &zwnj;&nbsp;</div>'

#: The mail as written, and what stands right before and right behind the pixel in the result.
SHAPES = {
    "fragment": ("<p>Hello</p>", "<p>", "Hello"),
    "document": ("<!DOCTYPE html><html><head><title>T</title></head><body><p>Hello</p></body></html>", "<p>", "Hello"),
    "upper case": ("<HTML><BODY><TABLE><TR><TD>Hello</TD></TR></TABLE></BODY></HTML>", "<td>", "Hello"),
    "after the preheader": (f"<body>{HIDDEN}<table><tr><td>Hello</td></tr></table></body>", "<td>", "Hello"),
    "preheader in the first cell": (f"<table><tr><td>{HIDDEN}<p>Hello</p></td></tr></table>", "<p>", "Hello"),
    "preheader by class": ('<span class="preheader">Psst</span><p>Hello</p>', "<p>", "Hello"),
    "preheader by id": ('<div id="preview-text">Psst</div><p>Hello</p>', "<p>", "Hello"),
    "hidden attribute": ("<div hidden>Psst</div><p>Hello</p>", "<p>", "Hello"),
    "hidden by opacity": ('<div style="opacity:0">Psst</div><p>Hello</p>', "<p>", "Hello"),
    "hidden by visibility": ('<div style="VISIBILITY : hidden">Psst</div><p>Hello</p>', "<p>", "Hello"),
    "hidden by mso-hide": ('<div style="mso-hide:all">Psst</div><p>Hello</p>', "<p>", "Hello"),
    "hidden by a rule": ("<style>.x{display:none}</style><div class=x>Psst</div><p>Hello</p>", "<p>", "Hello"),
    **{
        f"hidden by {style}": (f'<div style="{style}">Psst</div><p>Hello</p>', "<p>", "Hello")
        for style in (
            "width:0;height:0;overflow:hidden",
            "height:0px",
            "position:absolute;left:-9999px",
            "position: absolute; clip: rect(0, 0, 0, 0)",
            "clip:rect(0 0 0 0)",
            "text-indent:-9999px",
        )
    },
    "dialog": ("<dialog>Psst</dialog><p>Hello</p>", "<p>", "Hello"),
    "not quite without height": ('<div style="height:0.5em">a</div><p>Hello</p>', '<div style="height:0.5em">', "a"),
    "half opaque": ('<div>a<p style="opacity:0.5">Hello</p></div>', "<div>", "a"),
    "padded preheader": ("<div>&zwnj;&nbsp;&#847;&#8203;</div><p>Hello</p>", "<p>", "Hello"),
    "font-size 0 around (MJML)": (
        '<div style="font-size:0px">x<div style="font-size:13px">Hello</div></div>',
        '<div style="font-size:13px">',
        "Hello",
    ),
    "picture first": ('<div><img src="a.png" alt="Logo" width="100"></div>', "<div>", "<img"),
    "logo above the text": (
        '<table><tr><td><img src="logo.png" style="display:block"></td></tr><tr><td><p>Hello</p></td></tr></table>',
        "<p>",
        "Hello",
    ),
    "pictures and a late text": (
        '<table><tr><td><img src="a.png"></td></tr></table>' + '<p><img src="b.png"></p>' * 2_000 + "<p>Hello</p>",
        "<td>",
        "<img",
    ),
    "linked picture only": ('<a href="#"><img src="a.png"></a>', "</a>", "</body>"),
    "spacer first": ('<div><img src="s.gif" width="1" height="1"></div><p>Hello</p>', "<p>", "Hello"),
    "inside a link": ('<div><a href="#"><span>Hello</span></a></div>', "<div>", "<a"),
    "block inside a link": ('<p>\u200b</p><div><a href="#"><div>Hello</div></a></div>', "<div>", "<a"),
    "inside a button cell": ("<table><tr><td><b><font>Hello</font></b></td></tr></table>", "<td>", "<b>"),
    "text only": ("Hello world", "Hello world", "</body>"),
    "link first": ('<a href="#">Hello</a> world', "Hello</a>", " world"),
    "picture only": ('<img src="a.png">', '<img src="a.png">', "</body>"),
    "text after the preheader": (f"<body>{HIDDEN}Hello</body>", "</div>", "Hello"),
    "text beside rows": ("<table>Hello<tr><td>Cell</td></tr></table>", "Hello", "<table>"),
    "nested tables": ("<table><tr><td><table><tr><td>Hello</td></tr></table></td></tr></table>", "<td>", "Hello"),
    "Outlook tables": (
        "<body><!--[if mso]><table><tr><td>x<![endif]--><div>Hello</div><!--[if mso]></td></tr></table><![endif]--></body>",
        "<div>",
        "Hello",
    ),
    "fragment with Outlook tables": (
        "<!--[if mso]><table><tr><td><![endif]--><div>Hello</div><!--[if mso]></td></tr></table><![endif]-->",
        "<div>",
        "Hello",
    ),
    "not for Outlook": ("<div>\u200b</div><!--[if !mso]><!--><p>Not all</p><!--<![endif]--><p>All</p>", "<p>", "All"),
    "not for Outlook, old form": ("<div></div><![if !mso]><p>Not all</p><![endif]><p>All</p>", "<p>", "All"),
    "unclosed": ("<table><tr><td><p>Hello<tr><td>World", "<p>", "Hello"),
    "unclosed comment": ("<p>Hello <!-- and", "<p>", "Hello"),
    "nothing visible": (f"<body>{HIDDEN}</body>", "</div>", "</body>"),
    "nothing": ("", "<body>", "</body>"),
    "style in the body": ("<style>a:hover{color:red}</style><p>Hello</p>", "<p>", "Hello"),
    "script": ("<script>document.write('<p>Hi</p>')</script><p>Hello</p>", "<p>", "Hello"),
    "lists": ("<ul><li>Hello</li></ul>", "<li>", "Hello"),
}


def result(source: str) -> str:
    return place_pixel(inlined(source), URL)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_pixel_stands_in_the_first_block_with_content(shape: str) -> None:
    source, before, behind = SHAPES[shape]
    document = result(source)
    start, pixel, end = document.partition(PIXEL)
    assert pixel
    assert start.endswith(before)
    assert end.startswith(behind)


@pytest.mark.parametrize("shape", SHAPES)
def test_without_the_pixel_the_document_is_the_same(shape: str) -> None:
    document = inlined(SHAPES[shape][0])
    assert place_pixel(document, URL).count(PIXEL) == 1
    assert place_pixel(document, URL).replace(PIXEL, "") == document


pieces = st.sampled_from(
    [
        *(
            "<p>",
            "</p>",
            "<table>",
            "<tr>",
            "<td>",
            "</table>",
            "</td>",
            "<a href=x>",
            "</a>",
            "<b>",
            "</b>",
            "<br>",
            "Hi ",
            " ",
        ),
        *(
            '<div style="display:none">',
            "</div>",
            "<!--",
            "-->",
            "<!--[if mso]>",
            "<![endif]-->",
            "<style>p{color:red}",
            "<",
        ),
        *(
            "</style>",
            "&nbsp;",
            '<img src="a">',
            "<body>",
            "</body>",
            "<html>",
            "</html>",
            "<title>",
            "</title>",
            "<svg>",
        ),
        *(
            "'",
            '"',
            ">",
            "<button>",
            "<select>",
            "<option>",
            "<template>",
            "<noscript>",
            "ü",
            "\x00",
            "<!DOCTYPE x>",
            "<li>",
        ),
    ]
)


def in_order(soup: str) -> str:
    try:
        return inlined(soup)
    except ContentInvalid as refused:
        assume("noscript" not in refused.detail)
        raise


@given(st.lists(pieces, max_size=40).map("".join))
@settings(max_examples=300)
def test_any_soup_gets_exactly_one_pixel_that_can_be_taken_out_again(soup: str) -> None:
    document = in_order(soup)
    placed = place_pixel(document, URL)
    assert placed.count(PIXEL) == 1
    assert placed.replace(PIXEL, "") == document


@given(st.lists(pieces, max_size=40).map("".join))
@settings(max_examples=300)
def test_the_pixel_is_read_as_an_image_and_not_as_text_or_comment(soup: str) -> None:
    placed = place_pixel(in_order(soup), URL)
    images = [token for token in tokens(placed) if placed[token.start : token.end] == PIXEL]
    assert len(images) == 1
    # A second pass through the parser leaves it where it is: no table pushes it out, no element swallows it.
    assert in_order(placed).count(f'src="{URL}"') == 1


@given(st.lists(pieces, max_size=40).map("".join))
def test_tokens_cover_everything_once(soup: str) -> None:
    assert "".join(soup[token.start : token.end] for token in tokens(soup)) == soup
    assert place_pixel(soup, URL).replace(PIXEL, "") == soup


def test_a_huge_text_gets_the_pixel_behind_its_first_words() -> None:
    assert result("word " * 50_000).index(PIXEL) < 400


def test_the_url_of_the_pixel_is_escaped() -> None:
    assert '<img src="https://a/&quot;&gt;&lt;b" width' in place_pixel("<p>a</p>", 'https://a/"><b')


def test_css_goes_into_the_elements_and_media_queries_stay() -> None:
    document = inlined(
        "<style>p{color:red} a:hover{color:blue} [data-ogsc] p{color:white}"
        "@media (prefers-color-scheme:dark){p{color:white!important}}</style><p>Hello <a href=x>x</a></p>"
    )
    assert '<p style="color: red;">' in document
    assert "@media (prefers-color-scheme:dark){p{color:white!important}}" in document
    assert "a:hover" in document
    assert "[data-ogsc] p" in document


def test_no_style_sheet_is_loaded_from_anywhere() -> None:
    document = inlined(
        '<link rel=stylesheet href="file:///etc/passwd"><link rel=stylesheet href="/etc/passwd">'
        '<link rel=stylesheet href="http://127.0.0.1:9/x.css"><p>Hello</p>'
    )
    assert "<link" not in document
    assert "<body><p>Hello</p></body>" in document


def test_conditional_comments_for_outlook_survive_word_for_word() -> None:
    conditional = '<!--[if gte mso 9]><v:rect href="https://x/?a=1&b=2"><![endif]-->'
    assert conditional in inlined(f"<body><p>a</p>{conditional}</body>")
    assert "<!--[if !mso]><!--><p>a</p><!--<![endif]-->" in inlined("<body><![if !mso]><p>a</p><![endif]></body>")


def test_frames_are_refused() -> None:
    with pytest.raises(ContentInvalid, match="frames"):
        inlined("<frameset><frame src=x></frameset>")


@pytest.mark.parametrize(
    "source",
    [
        "<div>" * 20_000,
        "<b>" * 20_000,
        "<p>" + "".join(f"<b a={at}>" for at in range(2_000)) + "</p>" + "<p>x</p>" * 2_000,
        "<style>" + "p{color:red}" * 30_000 + "</style>" + "<p>" * 4_000,
    ],
    ids=["nested", "nested formatting", "repeated formatting", "rules"],
)
def test_what_would_kill_or_choke_the_parser_is_refused(source: str) -> None:
    with pytest.raises(ContentInvalid):
        inlined(source)


def test_a_fragment_is_appended_at_the_end_of_the_body() -> None:
    document = inlined("<p>Hello</p>")
    assert append(document, "<p>Bye</p>") == document.replace("</body>", "<p>Bye</p></body>")


@pytest.mark.parametrize(
    "image",
    [
        '<img src="https://track.example/o.gif" width="1" height="1">',
        "<IMG SRC=//track.example/o WIDTH=1 HEIGHT=1>",
        '<img src="https://track.example/o" style="width:1px;height:1px">',
        '<img src="http://track.example/o" height="0" width="0" border="0"/>',
        '<img src="https://track.example/o" style="display:none">',
        '<img src="https://track.example/o" width="1">',
        '<img alt=">" src="https://track.example/o" width="1px" height="1px">',
        '<img src="https://mail.example.evil.example/o" width="1" height="1">',
        '<img src="https://[broken/o" width="1" height="1">',
    ],
)
def test_measuring_images_of_others_are_found_and_taken_out(image: str) -> None:
    document, count = strip_foreign_pixels(f"<p>a</p><!--[if mso]>{image}<![endif]-->{image}<p>b</p>", "mail.example")
    assert count == 2
    assert document == "<p>a</p><!--[if mso]><![endif]--><p>b</p>"


@pytest.mark.parametrize(
    "image",
    [
        '<img src="https://cdn.example/logo.png" width="200" height="40">',
        '<img src="https://cdn.example/line.png" width="600" height="1">',
        '<img src="https://cdn.example/photo.png">',
        '<img src="https://MAIL.example/static/dot.gif" width="1" height="1">',
        '<img src="cid:dot" width="1" height="1">',
        '<img src="data:image/gif;base64,R0lGOD" width="1" height="1">',
    ],
)
def test_pictures_and_own_images_stay(image: str) -> None:
    assert strip_foreign_pixels(f"<p>{image}</p>", "mail.example") == (f"<p>{image}</p>", 0)


FOREIGN = "https://track.example/o"
MEASURING = {
    "with tabs": '<img src="ht&#9;tps://track.example/o" width=1 height=1>',
    "two wide": f'<img src="{FOREIGN}" width=2 height=1>',
    "hidden picture": f'<img src="{FOREIGN}" width=300 style="display:none">',
    "a quote in a name": f'<img a"b="x" src="{FOREIGN}" width=1 height=1>',
    "no slashes": '<img src="https:track.example/o" width=1 height=1>',
    "srcset": f'<img src="" srcset="{FOREIGN} 1x" width=1 height=1>',
    "source": f'<picture><source srcset="{FOREIGN}"><img src="data:," width=1 height=1></picture>',
    "Outlook": f'<!--[if mso]><v:image src="{FOREIGN}" style="width:1px;height:1px"/><![endif]-->',
    "button": f'<input type="image" src="{FOREIGN}" width=1 height=1>',
    "iframe": f'<iframe src="{FOREIGN}" width=600 height=400></iframe>',
    "video": f'<video poster="{FOREIGN}" width=1 height=1></video>',
    "cell": f'<table><tr><td width=1 height=1 background="{FOREIGN}"></td></tr></table>',
    "small around": f'<div style="width:1px;height:1px;overflow:hidden"><img src="{FOREIGN}"></div>',
    "hidden around": f'<div style="display:none"><img src="{FOREIGN}" width=600></div>',
    "calc": f'<img src="{FOREIGN}" style="height:calc(1px);width:calc(1px)">',
    "rule": f'<style>@media all{{.z{{width:1px}}}}</style><img class=z src="{FOREIGN}">',
    "style": f'<div style="width:1px;height:1px;background:u\\72l({FOREIGN})"></div>',
    "base": '<base href="https://track.example/"><p>a</p>',
}


@pytest.mark.parametrize("way", MEASURING)
def test_every_way_to_load_something_nobody_sees_is_found_and_taken_out(way: str) -> None:
    document, count = strip_foreign_pixels(inlined(f"<p>a</p>{MEASURING[way]}<p>b</p>"), "mail.example")
    assert count == 1
    assert "track.example" not in document
    assert inlined(document).endswith("<p>b</p></body></html>")


@pytest.mark.parametrize(
    "seen",
    [
        '<img src="https://cdn.example/a.png" style="max-width:100%">',
        '<img src="https://cdn.example/a.png" style="width:100%;height:auto">',
        '<img src="https://cdn.example/a.png" style="height:1.2em">',
        '<a href="https://cdn.example/"><img src="https://cdn.example/a.png" width=600 height=1></a>',
        '<td background="https://cdn.example/a.png">a</td>',
        '<form action="https://cdn.example/"><input></form>',
        '<html xmlns:v="https://cdn.example/v"><p>a</p>',
    ],
)
def test_what_a_reader_sees_or_follows_is_no_pixel(seen: str) -> None:
    document = inlined(seen)
    assert strip_foreign_pixels(document, "mail.example") == (document, 0)


@pytest.mark.parametrize(
    "bomb", ["<!--", "</noscript ", "<![if ", "<!doctype ", "< ", '<p a="', "http://a", "<!--[if ", "</", "www.", "&#"]
)
def test_beginnings_without_an_end_are_read_in_one_pass(bomb: str) -> None:
    started = time.perf_counter()
    with suppress(ContentInvalid):
        document = inlined("<p>a</p>" + bomb * (400_000 // len(bomb)) + "\U0010fff0")
        findings_in(document)
        strip_foreign_pixels(document, "mail.example")
        place_pixel(document, URL)
    findings_in(bomb * (400_000 // len(bomb)) + "\U0010fff0>")
    assert time.perf_counter() - started < 20  # tenths of a second; what looked back took minutes


def test_whatever_is_stripped_is_an_image_tag() -> None:
    kept, count = strip_foreign_pixels("<p>a < b</p><image src=x><imgx>", "mail.example")
    assert (kept, count) == ("<p>a < b</p><image src=x><imgx>", 0)
    assert not re.search("<img ", kept)
