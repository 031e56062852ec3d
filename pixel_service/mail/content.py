"""What a send says, rendered: from our own templates or from a pipeline's Jinja, with the footer the law asks for.

One `Content` belongs to one send, one language and one variant (with or without pixel). Rendering takes the values of
one recipient, or unknown ones that stand for all (`personal.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jinja2 import Environment, Template, TemplateError, TemplateSyntaxError

from pixel_service.mail.errors import ContentInvalid
from pixel_service.mail.personal import Holder, Personal, render, without_stand_ins
from pixel_service.mail.personal_urls import Names, findings
from pixel_service.mail.places import looks_like_url
from pixel_service.mail.sandbox import Absent, PipelineEnvironment, bounded_result, variables_for
from pixel_service.mail.shown import Shown, holds_imprint, shown
from pixel_service.mail.templates import MailTemplates, Outline, outline_of

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]

#: Names a recipient always has, empty when nothing is known.
PERSON = frozenset(["greeting", "salutation", "first_name", "last_name", "company_name"])
#: Links a mail may have for itself (D4); never measured. Printing one that the recipient lacks is an error.
LINKS = frozenset(
    ["unsubscribe_url", "preferences_url", "stop_tracking_url", "download_url", "confirm_url", "my_data_url"]
)
#: The same for every recipient and not the send's to choose.
FIXED = frozenset(
    [
        *("company", "imprint_url", "privacy_url", "rights_url", "base_url", "logo_url"),
        *("language", "tracked", "marketing"),
    ]
)

#: What goes wrong in a template of somebody else while it runs.
_FAILURES = (
    TemplateError,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
    MemoryError,
)
_NOT_TRACKED = Absent("stop_tracking_url exists in tracked mails only: put it inside {% if tracked %}")

#: Documents that are kept in order when a template decides by values of recipients.
_KEPT_DOCUMENTS = 32

_markup = PipelineEnvironment(autoescape=True)
_plain = PipelineEnvironment(autoescape=False)


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
    #: advertising carries unsubscribe links, service mail only the imprint
    marketing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    subject: str
    #: in order, with its CSS inlined
    html: str
    text: str | None
    footer_html: str
    footer_text: str


@dataclass(frozen=True, slots=True)
class _Part:
    #: what an error names
    field: str
    template: Template
    outline: Outline

    def run(self, variables: Mapping[str, object], holder: Holder) -> str:
        try:
            return render(lambda: bounded_result(self.template.generate(variables_for(variables))), holder)
        except _FAILURES as error:
            raise ContentInvalid(self.field, _explained(error)) from error


class Content:
    """The templates of a send with everything filled in that is the same for all recipients."""

    def __init__(
        self, templates: MailTemplates, source: Source, fixed: Mapping[str, JsonValue], brought: frozenset[str]
    ) -> None:
        """`brought` are names the templates can do without (``is defined``) and a recipient has nevertheless."""
        self._source = source
        self.from_outside = source.html is not None
        self.marketing = source.marketing
        self._tracked = bool(fixed["tracked"])
        self._imprint_url = str(fixed["imprint_url"])
        company = templates.company
        self._imprint = tuple(str(company[name]) for name in ("name", "street", "postal_code", "city"))
        self._documents: dict[str, Shown] = {}
        own = templates.environment(str(fixed["language"]))
        self._subject, self._html, self._text = _parts(templates, own, source)
        self._footer_html = _own_part(templates, own, "_appended_footer.html.j2")
        self._footer_text = _own_part(templates, own, "_appended_footer.txt.j2")
        self._given: dict[str, object] = {**_clean(source), **fixed}
        self._urls = frozenset(name for name, value in self._given.items() if looks_like_url(str(value)))
        if not self._tracked:
            self._given["stop_tracking_url"] = _NOT_TRACKED
        outlines = [part.outline for part in (self._subject, self._html, self._text) if part]
        outside = frozenset().union(*(outline.names for outline in outlines)) - set(own.globals) - set(self._given)
        if source.subject:
            outside -= {"subject"}
        optional = frozenset().union(*(outline.optional for outline in outlines)) - PERSON - LINKS
        #: names the templates can do without, and which are left out
        self.left_out = (optional - brought) & outside
        #: names a recipient has to bring
        self.names = outside - optional - PERSON - LINKS
        #: names that may be missing and are empty then
        self.usual = (LINKS | PERSON) - set(self._given)
        self.filled_in = outside - self.left_out | self.usual
        self.personal_urls = self._has_personal_urls(outside - self.left_out)

    def _has_personal_urls(self, outside: frozenset[str]) -> bool:
        names = Names(personal=outside - LINKS, links=LINKS - set(self._given), urls=self._urls)
        personal = False
        for part in filter(None, (self._html, self._text)):
            for tree in part.outline.trees:
                found = findings(tree, names)
                personal = personal or found.personal_urls
                if found.unsafe and part.field == "html":
                    raise ContentInvalid("html", f"a value of a recipient stands {found.unsafe}")
        return personal

    def render(self, values: Mapping[str, Personal], holder: Holder) -> Rendered:
        """`values` are those of one recipient, or unknown ones, for `filled_in`."""
        variables = {**self._given, **values}
        subject = self._subject.run(variables, holder)
        if self._source.subject:
            variables["subject"] = subject
        document = self._in_order(self._html.run(variables, holder))
        text = self._text.run(variables, holder) if self._text else None
        imprint = document.has_imprint(self._imprint_url, self._imprint)
        html_footer = self._footer(self._lacks_links(document.shows, holder), imprint=imprint)
        text_footer = None
        if text is not None:
            imprint = holds_imprint(text, self._imprint_url, self._imprint)
            text_footer = self._footer(
                self._lacks_links(lambda marks: any(mark in text for mark in marks), holder), imprint=imprint
            )
        return Rendered(
            subject=subject,
            html=document.document,
            text=text,
            footer_html=self._footer_html.run({**variables, **html_footer}, holder) if html_footer else "",
            footer_text=self._footer_text.run({**variables, **text_footer}, holder) if text_footer else "",
        )

    def _in_order(self, source: str) -> Shown:
        known = self._documents.get(source)
        if known is None:
            if len(self._documents) >= _KEPT_DOCUMENTS:
                del self._documents[next(iter(self._documents))]
            known = self._documents[source] = shown(source)
        return known

    def _lacks_links(self, shows: Callable[[list[str]], bool], holder: Holder) -> bool:
        if not self._source.marketing:
            return False
        needed = ("unsubscribe_url", "stop_tracking_url") if self._tracked else ("unsubscribe_url",)
        return not all(shows(holder.stand_ins_of(name)) for name in needed)

    def _footer(self, lacks_links: bool, *, imprint: bool) -> dict[str, object] | None:
        """What the footer is told; None when nothing is missing. Our own templates bring their imprint themselves."""
        if lacks_links or (self._source.html is not None and not imprint):
            return {"with_links": lacks_links}
        return None


def _parts(templates: MailTemplates, own: Environment, source: Source) -> tuple[_Part, _Part, _Part | None]:
    if (source.template is None) == (source.html is None):
        raise ContentInvalid("template", "give either a template or html")
    if source.template is not None:
        name = source.template
        if name not in templates.names:
            raise ContentInvalid("template", "there is no such template")
        subject = (
            None
            if source.subject or not templates.has_subject(name)
            else _own_part(templates, own, f"{name}.subject.j2")
        )
        return (
            subject or _sandboxed(_plain, source.subject, "subject"),
            _own_part(templates, own, f"{name}.html.j2"),
            _own_part(templates, own, f"{name}.txt.j2"),
        )
    return (
        _sandboxed(_plain, source.subject, "subject"),
        _sandboxed(_markup, source.html or "", "html"),
        None if source.text is None else _sandboxed(_plain, source.text, "text"),
    )


def _own_part(templates: MailTemplates, own: Environment, name: str) -> _Part:
    return _Part("template", own.get_template(name), templates.outline(own, name))


def _sandboxed(environment: PipelineEnvironment, source: str, field: str) -> _Part:
    source = without_stand_ins(source)
    try:
        return _Part(field, environment.from_string(source), outline_of([environment.parse(source)]))
    except (TemplateSyntaxError, SyntaxError, RecursionError, MemoryError) as error:
        raise ContentInvalid(field, _explained(error)) from error


def _clean(source: Source) -> dict[str, JsonValue]:
    # Our own service mails are prepared for one person.
    own = {"confirm_url", "download_url", "my_data_url"} if source.template and not source.marketing else set[str]()
    taken = sorted(set(source.variables) & (FIXED | LINKS) - own)
    if taken:
        raise ContentInvalid("variables", f"{', '.join(taken)}: filled in by the service, not by a send")
    return {name: _without_stand_ins(value) for name, value in source.variables.items()}


def _without_stand_ins(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return without_stand_ins(value)
    if isinstance(value, list):
        return [_without_stand_ins(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_stand_ins(item) for key, item in value.items()}
    return value


def _explained(error: BaseException) -> str:
    """The line in the author's source and what is wrong. Texts of Python's own errors could hold a recipient's value."""
    if isinstance(error, TemplateSyntaxError):
        return f"line {error.lineno}: {error.message}"
    what = error.message if isinstance(error, TemplateError) and error.message else type(error).__name__
    line = _line_of(error)
    return f"line {line}: {what}" if line else what


def _line_of(error: BaseException) -> int | None:
    line, trace = None, error.__traceback__
    while trace is not None:
        # Jinja maps the frames of a template back to its source.
        if trace.tb_frame.f_code.co_filename in {"<template>", "<unknown>"}:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
