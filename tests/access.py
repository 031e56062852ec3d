"""What tests of accounts, guards and error answers stand on: a moving clock, a context, pages in two languages."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from starlette.applications import Starlette

from pixel_service.domain.tokens import Tokens, encode_id
from pixel_service.i18n import Catalogues
from pixel_service.storage.engine import Database
from pixel_service.usecases.context import Context, Policy
from pixel_service.web.pages import Pages
from tests.company import nordlicht

BASE_URL = "https://news.example"


@dataclass
class Clock:
    """Stands still until it is moved."""

    at: datetime = field(default_factory=lambda: datetime(2026, 11, 2, 10, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.at

    def move(self, by: timedelta) -> None:
        self.at += by


def catalogues_in(folder: Path, german: Mapping[str, str]) -> Catalogues:
    """German with these texts, English with none: there the source texts show."""
    entries = "".join(f'\nmsgid "{source}"\nmsgstr "{text}"\n' for source, text in german.items())
    for language, body in (("de", entries), ("en", "")):
        place = folder / language
        place.mkdir(parents=True)
        header = f'msgid ""\nmsgstr ""\n"Language: {language}\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'
        (place / "pages.po").write_text(header + body, encoding="utf-8")
    return Catalogues(folder)


def context_of(
    db: Database | None, clock: Clock, *, catalogues: Catalogues | None = None, base_url: str = BASE_URL
) -> Context:
    """A real context; what accounts and guards never touch is None in it."""
    values: dict[str, Any] = dict.fromkeys(each.name for each in fields(Context))
    values |= {
        "db": db,
        "tokens": Tokens([b"a key of the tests, 32 bytes long"]),
        "company": nordlicht(),
        "catalogues": catalogues,
        "policy": Policy(base_url=base_url, mail_domain="news.example", unsubscribe_address="stop@news.example"),
        "clock": clock,
        "ids": lambda: encode_id(os.urandom(16)),
    }
    return Context(**values)


def equip(app: Starlette, ctx: Context) -> Starlette:
    """Give an app what handlers reach for."""
    app.state.ctx = ctx
    app.state.pages = Pages(ctx.catalogues, nordlicht(), ctx.policy.base_url, ZoneInfo("Europe/Berlin"))
    return app
