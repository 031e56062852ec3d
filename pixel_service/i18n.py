"""Languages: translation catalogues, the choice of a language, and dates and numbers in it.

A language exists when `locales/<language>/` holds `.po` files; adding one needs no code. They are read
once at start and compiled in memory, so there is no build step and no `.mo` file that could be stale.
An entry that is missing, empty or marked fuzzy shows its English source text: a page is never blank.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time, get_timezone_name
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import NullTranslations, Translations

#: Bounds on a header that strangers write: what lies behind them is ignored.
HEADER_LIMIT = 400
ENTRY_LIMIT = 12

#: The regional form whose dates and numbers we use: our English readers are Europeans, and
#: "22 November 2026, 10:15" is read the same way by all of them.
REGIONAL = {"en": "en_GB"}

#: How date, time and zone join. Languages that are not named here use the plain form.
MOMENT_PATTERNS = {"de": "{date}, {time} Uhr ({zone})"}
PLAIN_MOMENT = "{date}, {time} {zone}"

_ENTRY = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?")


class Catalogues:
    """All languages of one folder, immutable after construction."""

    def __init__(self, folder: Path) -> None:
        self._by_language = {
            place.name: _compiled(place) for place in sorted(folder.iterdir()) if any(place.glob("*.po"))
        }
        if not self._by_language:
            raise ValueError(f"no translation files (<language>/*.po) in {folder}")

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self._by_language)

    def translations(self, language: str) -> NullTranslations:
        """The texts of a language; for one we do not have, the English source texts."""
        return self._by_language.get(language) or NullTranslations()

    def negotiate(self, accept_language: str | None, default: str) -> str:
        """The best of our languages for an Accept-Language header, whatever that header holds."""
        wanted = sorted(_preferences(accept_language or ""), key=lambda entry: -entry[1])
        for language, _quality in wanted:
            if language in self._by_language:
                return language
            if language == "*":
                break
        return default


def packaged_locales() -> Path:
    return Path(__file__).with_name("locales")


def language_name(language: str) -> str:
    """What a language calls itself: "Deutsch", "English"."""
    return Locale.parse(language).get_display_name(language) or language


def format_moment(at: datetime, language: str, timezone: ZoneInfo) -> str:
    """An aware time as people write it: "22. November 2026, 10:15 Uhr (MEZ)"."""
    locale, local = _regional(language), at.astimezone(timezone)
    return MOMENT_PATTERNS.get(language, PLAIN_MOMENT).format(
        date=format_date(local, "long", locale=locale),
        time=format_time(local, "short", tzinfo=timezone, locale=locale),
        zone=get_timezone_name(local, "short", locale=locale),
    )


def format_day(at: datetime, language: str, timezone: ZoneInfo) -> str:
    """An aware time as the day people write: "22. November 2026"."""
    return format_date(at.astimezone(timezone), "long", locale=_regional(language))


#: A report has hundreds, the same ones again and again.
@lru_cache(maxsize=10_000)
def format_number(number: float, language: str) -> str:
    """A number with the separators of the language, at most three decimals: 12.345,6 or 12,345.6."""
    return format_decimal(number, locale=_regional(language))


def decimal_mark(language: str) -> str:
    """A comma or a point; a spreadsheet separates its cells by what is left."""
    return str(_regional(language).number_symbols["latn"]["decimal"])


@lru_cache(maxsize=100)
def _regional(language: str) -> Locale:
    try:
        return Locale.parse(REGIONAL.get(language, language))
    except (UnknownLocaleError, ValueError):
        return Locale.parse("en_GB")


def _preferences(header: str) -> Iterator[tuple[str, float]]:
    for entry in header[:HEADER_LIMIT].split(",")[:ENTRY_LIMIT]:
        found = _ENTRY.fullmatch(entry)
        quality = float(found[2] or 1) if found else 0.0
        if found and quality > 0:
            yield found[1].lower(), quality


def _compiled(place: Path) -> Translations:
    # One catalogue, so that the plural rule of the language holds for the messages of every file.
    merged = Catalog(locale=place.name)
    for path in sorted(place.glob("*.po")):
        with path.open("rb") as source:
            for message in read_po(source, locale=place.name, abort_invalid=True):
                if message.id:
                    merged[message.id] = message
    compiled = BytesIO()
    write_mo(compiled, merged)
    compiled.seek(0)
    return Translations(compiled)
