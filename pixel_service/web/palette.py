"""Colours derived from the one brand colour an operator sets.

Whatever colour that is, text stays readable: links and buttons use it moved towards black or white until
they reach the contrast WCAG asks for, on the light and on the dark page. Pure arithmetic, no I/O.
"""

import re
from dataclasses import dataclass

from pixel_service.domain.wordings import contrast

#: WCAG 2.2, 1.4.3: contrast of normal text; a little above, so that rounding never falls below it.
READABLE = 4.6
#: The least favourable grounds of the stylesheet on which accent colours stand as text.
LIGHT_GROUND, DARK_GROUND = "#eaeff5", "#23303d"
BLACK, WHITE = "#000000", "#ffffff"
STEPS = 50

_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """CSS colours, `#rrggbb`."""

    #: the operator's colour as given, for surfaces
    brand: str
    #: text on it
    on_brand: str
    #: a neighbour of the brand colour on which `on_brand` reads at least as well
    brand_deep: str
    #: links, buttons and marks on the light page, and text on them
    accent: str
    on_accent: str
    #: the same on the dark page
    dark_accent: str
    dark_on_accent: str

    def css(self) -> str:
        return (
            f":root{{--brand:{self.brand};--on-brand:{self.on_brand};--brand-deep:{self.brand_deep};"
            f"--accent:{self.accent};--on-accent:{self.on_accent}}}"
            f"@media(prefers-color-scheme:dark){{:root{{--accent:{self.dark_accent};"
            f"--on-accent:{self.dark_on_accent}}}}}"
        )


def palette(brand_colour: str) -> Palette:
    """The colours for `#rgb` or `#rrggbb`; ValueError for anything else, as the text ends in a stylesheet."""
    if not _HEX.fullmatch(brand_colour):
        raise ValueError(f"brand colour must look like #0b5fa5, not {brand_colour!r}")
    brand = brand_colour if len(brand_colour) == 7 else "#" + "".join(2 * digit for digit in brand_colour[1:])
    text = _text_on(brand)
    accent = _readable(brand, BLACK, LIGHT_GROUND)
    dark_accent = _readable(brand, WHITE, DARK_GROUND)
    return Palette(
        brand=brand.lower(),
        on_brand=text,
        brand_deep=_mixed(brand, BLACK if text == WHITE else WHITE, 0.4),
        accent=accent,
        on_accent=_text_on(accent),
        dark_accent=dark_accent,
        dark_on_accent=_text_on(dark_accent),
    )


def _text_on(ground: str) -> str:
    return WHITE if contrast(WHITE, ground) >= contrast(BLACK, ground) else BLACK


def _readable(colour: str, towards: str, ground: str) -> str:
    """The colour itself, or the nearest mix with `towards` that reads on the ground."""
    steps = (_mixed(colour, towards, step / STEPS) for step in range(STEPS + 1))
    return next(mixed for mixed in steps if contrast(mixed, ground) >= READABLE)


def _mixed(one: str, other: str, share: float) -> str:
    parts = zip(_parts(one), _parts(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in parts)


def _parts(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))
