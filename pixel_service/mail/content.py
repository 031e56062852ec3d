"""What a send says, rendered: from our own templates or from a pipeline's Jinja, with the footer the law asks for.

One `Content` belongs to one send, one language and one variant (with or without pixel). Rendering takes the values of
one recipient, or unknown ones that stand for all (`personal.py`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from jinja2 import Environment, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.exceptions import UndefinedError

from pixel_service.mail.errors import ContentInvalid
from pixel_service.mail.html import inlined_fragment
from pixel_service.mail.mime import clean_lines
from pixel_service.mail.personal import Holder, render, without_stand_ins
from pixel_service.mail.personal_urls import Findings, Names, findings
from pixel_service.mail.sandbox import Absent, PipelineEnvironment, bounded_result, variables_for
from pixel_service.mail.templates import MailTemplates, optional, parsed, undeclared

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]

#: Names a recipient always has, empty when nothing is known.
PERSON = frozenset(["greeting", "salutation", "first_name", "last_name", "company_name"])
#: Links a mail may have for itself (D4); never measured. Printing one that the recipient lacks is an error.
LINKS = frozenset(["unsubscribe_url", "preferences_url", "stop_tracking_url", "download_url", "confirm_url"])
#: The same for every recipient and not the send's to choose.
FIXED = frozenset(["company", "imprint_url", "privacy_url", "base_url", "language", "tracked", "marketing"])

#: What goes wrong in a template of somebody else while it runs.
_FAILURES = (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError, MemoryError)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a send carries, the same for every recipient. Exactly one of `template` and `html` is given."""

    #: Jinja source; may be empty with a template that has its own subject
    subject: str = ""
    #: name of one of our own templates
    template: str | None = None
    #: a whole HTML mail as Jinja source, rendered in a sandbox
    html: str | None = None
    #: its text part as Jinja source; made from the HTML when absent
    text: str | None = None
    variables: Mapping[str, JsonValue]
    #: names that recipients of this send bring along although the template can do without them (``is defined``)
    supplied: frozenset[str] = frozenset()
    #: advertising carries unsubscribe links, service mail only the imprint
    marketing: bool


@dataclass(frozen=True, slots=True)
class Rendered:
    subject: str
    html: str
    text: str | None
    footer_html: str
    footer_text: str
