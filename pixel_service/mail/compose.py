"""From what a send says and whom it goes to, to the bytes of a mail. DESIGN rule 15: the work that is the same for all
recipients is done once, in `Composer.prepare`; `Prepared.compose` fills in values and joins bytes.

No clock, no chance, no I/O here: time, ids and links come with the recipient. DKIM is added elsewhere.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pixel_service.mail import mime
from pixel_service.mail.assembly import PIXEL, Finished, Mold, finish, loads_of, mold, subject_field
from pixel_service.mail.content import LINKS, PERSON, Content, JsonValue, Rendered, Source
from pixel_service.mail.errors import ContentInvalid
from pixel_service.mail.fields import Recipient, Sender, fields_of
from pixel_service.mail.personal import FIRST_PLACE, DependsOnRecipient, Holder, Personal, Unknown, without_stand_ins
from pixel_service.mail.places import LINK_MARK, MARK, findings_in, holds_host, in_words
from pixel_service.mail.templates import MailTemplates

__all__ = ["Composer", "ContentInvalid", "Prepared", "Recipient", "Sender", "Source"]

#: Gmail cuts a mail at 102 KB of HTML.
LARGE_HTML = 100 * 1024
_MOST_VALUE = 4_000
#: Finished layouts that are kept when a template decides by values of recipients.
_KEPT_MOLDS = 32


class Composer:
    """`base_url` is the public address of this service; images of its host are our own. `logo_url` is the same for
    everybody; without one the company's name stands in its place."""

    def __init__(self, templates: MailTemplates, sender: Sender, *, base_url: str, logo_url: str | None = None) -> None:
        self._templates = templates
        self._base_url = base_url.rstrip("/")
        self._logo_url = logo_url or ""
        reply_to = mime.folded("Reply-To", mime.mailbox(None, sender.reply_to)) if sender.reply_to else b""
        self._from = mime.folded("From", mime.mailbox(sender.from_name, sender.from_address))
        self._reply_to = reply_to

    def prepare(
        self, source: Source, *, language: str, tracked: bool, strip_foreign_pixels: bool = False
    ) -> "Prepared":
        """Raises `ContentInvalid` for content that can not become a mail. Takes some ten milliseconds."""
        if tracked and not source.marketing:
            raise ValueError("service mail is never tracked")
        fixed: dict[str, JsonValue] = {
            "company": dict(self._templates.company),
            "base_url": self._base_url,
            "logo_url": self._logo_url,
            "imprint_url": f"{self._base_url}/imprint?lang={language}",
            "privacy_url": f"{self._base_url}/privacy?lang={language}",
            # Where anybody asks for the link to their own data: the same in every mail.
            "rights_url": f"{self._base_url}/privacy/request?lang={language}",
            "language": language,
            "tracked": tracked,
            "marketing": source.marketing,
        }
        frame = _Frame(
            head=self._from,
            tail=self._reply_to + mime.header("Content-Language", language) + b"MIME-Version: 1.0\r\n",
            hello=self._templates.gettext(language, "Hello,").rstrip(","),
        )
        own_host = urlsplit(self._base_url).hostname or ""

        def bringing(names: frozenset[str]) -> Prepared:
            content = Content(self._templates, source, fixed, names)
            finishing = _Finishing(content, tracked=tracked, own_host=own_host, strip=strip_foreign_pixels)
            return Prepared(finishing, frame, bringing)

        return bringing(frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    #: header fields before and after those of the recipient
    head: bytes
    tail: bytes
    #: how to greet somebody without a name
    hello: str


class _Finishing:
    """Renders and finishes, once for all recipients where that can be, else once per distinct outcome."""

    def __init__(self, content: Content, *, tracked: bool, own_host: str, strip: bool) -> None:
        self.content = content
        self.tracked = tracked
        self._own_host = own_host
        self._strip = strip
        self._molds: dict[Rendered, Mold] = {}
        #: what every mail of content from outside loads, once it is known
        self._loads: tuple[str, ...] | None = None

    def loads_like_the_others(self, finished: Finished) -> bool:
        loads = loads_of(finished, self._own_host)
        if self._loads is None:
            self._loads = loads
        return self._loads == loads

    def finished(self, rendered: Rendered) -> Finished:
        return finish(rendered, tracked=self.tracked, own_host=self._own_host, strip=self._strip)

    def for_all(self) -> tuple[Holder, Rendered] | None:
        """None when a template decides by a value of a recipient."""
        holder = Holder(blind=True)
        values = {name: Unknown("", name, holder) for name in self.content.filled_in}
        try:
            return holder, self.content.render(values, holder)
        except DependsOnRecipient:
            return None

    def for_one(self, values: Mapping[str, str]) -> tuple[Holder, Rendered]:
        holder = Holder()
        return holder, self.content.render({name: Personal(values[name], name, holder) for name in values}, holder)

    def mold_of(self, rendered: Rendered) -> Mold:
        known = self._molds.get(rendered)
        if known is None:
            if len(self._molds) >= _KEPT_MOLDS:
                del self._molds[next(iter(self._molds))]
            finished = self.finished(rendered)
            if self.content.from_outside and not self.tracked and not self.loads_like_the_others(finished):
                raise ContentInvalid("html", "what it loads depends on the recipient")
            known = self._molds[rendered] = mold(finished)
        return known


class Prepared:
    """One send in one language and one variant, ready for its recipients."""

    def __init__(self, finishing: _Finishing, frame: _Frame, bringing: "Callable[[frozenset[str]], Prepared]") -> None:
        self._finishing = finishing
        self._bringing = bringing
        self._others: dict[frozenset[str], Prepared] = {}
        self._content = content = finishing.content
        self._frame = frame
        for_all = finishing.for_all()
        samples = (
            [for_all] if for_all else [finishing.for_one(dict.fromkeys(content.filled_in, text)) for text in ("x", "")]
        )
        found = [(holder, finishing.finished(rendered)) for holder, rendered in samples]
        self._mold = mold(found[0][1]) if for_all else None
        self._order = tuple(name for name, _text in found[0][0].values)
        if any(not finished.subject.strip() for _holder, finished in found[:1]):
            raise ContentInvalid("subject", "is empty")
        #: names every recipient has to bring; `PERSON` and the links may be missing where they are not printed
        self.variables = content.names
        #: all names of a recipient that can appear, those included that the templates can do without
        self.accepts = content.names | content.left_out | PERSON
        judged = [findings_in(_marked(finished.html, holder)) for holder, finished in found]
        #: a value of a recipient is part of an URL, or decides about one: like a pixel, not for untracked mails (D4).
        #: Where a stranger's template decides anything by a value, nobody can tell what.
        self.personal_urls = (
            content.personal_urls
            or (content.from_outside and for_all is None)
            or any(one.personal_urls for one in judged)
            or any(in_words(_marked(finished.text, holder)) for holder, finished in found)
        )
        #: a value of a recipient decides about what is loaded (not: followed): like a pixel, not for service mails
        self.personal_loads = any(one.personal_loads for one in judged) or not all(
            finishing.loads_like_the_others(finished) for _holder, finished in found
        )
        #: images of other hosts that measure: 1x1, or hidden
        self.foreign_pixels = max(finished.foreign_pixels for _holder, finished in found)
        #: only content from outside brings values that others choose
        self._may_hold_no_url = content.from_outside and content.marketing and not finishing.tracked
        large = max(finished.html_size for _holder, finished in found) > LARGE_HTML
        self.warnings: tuple[str, ...] = ("html_over_100_kb",) if large else ()

    @property
    def renders_once(self) -> bool:
        """Whether one rendering serves all recipients; else templates run for each, and equal outcomes are kept."""
        return self._mold is not None

    def compose(self, recipient: Recipient) -> bytes:
        """The complete message, CRLF, 7-bit. Raises `ContentInvalid` for what is wrong with this recipient."""
        if (recipient.pixel_url is not None) != self._finishing.tracked:
            raise ValueError("a pixel belongs into every tracked mail and into no other")
        brought = self._content.left_out.intersection(recipient.variables)
        if brought:
            return self._with(frozenset(brought)).compose(recipient)
        values = self._values(recipient)
        if self._mold is not None:
            filled, order = self._mold, self._order
            texts = [values[name] for name in order]
        else:
            holder, rendered = self._finishing.for_one(values)
            filled = self._finishing.mold_of(rendered)
            order, texts = tuple(name for name, _text in holder.values), [text for _name, text in holder.values]
        for name, text in zip(order, texts, strict=True):
            if not text and name in LINKS:
                raise ContentInvalid("variables", f"{name} is missing")
            if self._may_hold_no_url and not _is_free(name) and _is_url_of(text, recipient):
                raise ContentInvalid("variables", f"{name}: an URL of a recipient in a mail without tracking consent")
        return b"".join(
            (
                self._frame.head,
                fields_of(recipient),
                filled.fixed_subject or subject_field(filled.subject_for(texts)),
                self._frame.tail,
                filled.content_type,
                filled.body_for(texts, recipient.pixel_url),
            )
        )

    def _with(self, names: frozenset[str]) -> "Prepared":
        """For recipients who bring what the templates can do without: `personal_urls` did not look at that."""
        other = self._others.get(names)
        if other is None:
            if len(self._others) >= _KEPT_MOLDS:
                self._others.clear()
            other = self._others[names] = self._bringing(names)
        if other.personal_urls and not self.personal_urls and not self._finishing.tracked:
            raise ContentInvalid("variables", f"{', '.join(sorted(names))}: would be part of a personal URL")
        return other

    def _values(self, recipient: Recipient) -> dict[str, str]:
        content, given = self._content, recipient.variables
        missing = content.names.difference(given)
        if missing:
            raise ContentInvalid("variables", f"{', '.join(sorted(missing))}: missing for a recipient")
        values = {name: _plain(given[name]) for name in content.filled_in if name in given}
        for name in content.usual:
            values.setdefault(name, "")
        if not values.get("greeting", "-"):
            names = (values.get(name, "") for name in ("first_name", "last_name"))
            values["greeting"] = " ".join([self._frame.hello, *filter(None, names)])
        return values


def _is_free(name: str) -> bool:
    """Names of people and companies may look like anything, and links of their own are what they are."""
    return name in LINKS or PERSON.issuperset(set(name.split("+")) - {"changed"})


def _is_url_of(text: str, recipient: Recipient) -> bool:
    return holds_host(text) and text.casefold() != recipient.address.casefold()


def _plain(value: str) -> str:
    if len(value) > _MOST_VALUE:
        raise ContentInvalid("variables", f"a value of a recipient has more than {_MOST_VALUE} characters")
    if value.isascii() and value.isprintable():
        return value.strip()
    return mime.one_line(without_stand_ins(value)).strip()


def _marked(text: str, holder: Holder) -> str:
    marks = {ord(PIXEL): "x"}
    for place, (names, _text) in enumerate(holder.values):
        marks[FIRST_PLACE + place] = LINK_MARK if LINKS.issuperset(names.split("+")) else MARK
    return text.translate(marks)
