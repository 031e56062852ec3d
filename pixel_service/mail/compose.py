"""From what a send says and whom it goes to, to the bytes of a mail. DESIGN rule 15: the work that is the same for all
recipients is done once, in `Composer.prepare`; `Prepared.compose` fills in values and joins bytes.

No clock, no chance, no I/O here: time, ids and links come with the recipient. DKIM is added elsewhere.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from pixel_service.mail import mime
from pixel_service.mail.assembly import PIXEL, Finished, Mold, finish, mold, subject_field
from pixel_service.mail.content import LINKS, Content, Rendered, Source
from pixel_service.mail.errors import ContentInvalid
from pixel_service.mail.fields import Recipient, Sender, fields_of
from pixel_service.mail.personal import FIRST_PLACE, DependsOnRecipient, Holder, Personal, Unknown, without_stand_ins
from pixel_service.mail.personal_urls import LINK_MARK, MARK, findings_in
from pixel_service.mail.templates import MailTemplates

__all__ = ["Composer", "ContentInvalid", "Prepared", "Recipient", "Sender", "Source"]

#: Gmail cuts a mail at 102 KB of HTML.
LARGE_HTML = 100 * 1024
_MOST_VALUE = 4_000
#: Finished layouts that are kept when a template decides by values of recipients.
_KEPT_MOLDS = 32


class Composer:
    """`base_url` is the public address of this service; images of its host are our own."""

    def __init__(self, templates: MailTemplates, sender: Sender, *, base_url: str) -> None:
        self._templates = templates
        self._base_url = base_url.rstrip("/")
        reply_to = mime.folded("Reply-To", mime.mailbox(None, sender.reply_to)) if sender.reply_to else b""
        self._from = mime.folded("From", mime.mailbox(sender.from_name, sender.from_address))
        self._reply_to = reply_to

    def prepare(
        self, source: Source, *, language: str, tracked: bool, strip_foreign_pixels: bool = False
    ) -> "Prepared":
        """Raises `ContentInvalid` for content that can not become a mail. Takes some ten milliseconds."""
        if tracked and not source.marketing:
            raise ValueError("service mail is never tracked")
        content = Content(
            self._templates,
            source,
            {
                "company": dict(self._templates.company),
                "base_url": self._base_url,
                "imprint_url": f"{self._base_url}/imprint?lang={language}",
                "privacy_url": f"{self._base_url}/privacy?lang={language}",
                "language": language,
                "tracked": tracked,
                "marketing": source.marketing,
            },
        )
        own_host = urlsplit(self._base_url).hostname or ""
        finishing = _Finishing(content, tracked=tracked, own_host=own_host, strip=strip_foreign_pixels)
        tail = f"{mime.header('Content-Language', language).decode()}MIME-Version: 1.0\r\n".encode("ascii")
        hello = self._templates.gettext(language, "Hello,").rstrip(",")
        return Prepared(finishing, head=self._from, tail=self._reply_to + tail, hello=hello)


class _Finishing:
    """Renders and finishes, once for all recipients where that can be, else once per distinct outcome."""

    def __init__(self, content: Content, *, tracked: bool, own_host: str, strip: bool) -> None:
        self.content = content
        self.tracked = tracked
        self._own_host = own_host
        self._strip = strip
        self._molds: dict[Rendered, Mold] = {}

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
            known = self._molds[rendered] = mold(self.finished(rendered))
        return known


class Prepared:
    """One send in one language and one variant, ready for its recipients."""

    def __init__(self, finishing: _Finishing, *, head: bytes, tail: bytes, hello: str) -> None:
        self._finishing = finishing
        self._content = content = finishing.content
        self._head, self._tail, self._hello = head, tail, hello
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
        #: a value of a recipient is part of an URL, or decides about one: like a pixel, not for untracked mails (D4)
        self.personal_urls = content.personal_urls or any(
            findings_in(_marked(text, holder)).personal_urls
            for holder, finished in found
            for text in (finished.html, finished.text)
        )
        #: images of other hosts that measure: 1x1, or hidden
        self.foreign_pixels = max(finished.foreign_pixels for _holder, finished in found)
        large = max(finished.html_size for _holder, finished in found) > LARGE_HTML
        self.warnings: tuple[str, ...] = ("html_over_100_kb",) if large else ()

    def compose(self, recipient: Recipient) -> bytes:
        """The complete message, CRLF, 7-bit. Raises `ContentInvalid` for what is wrong with this recipient."""
        if (recipient.pixel_url is not None) != self._finishing.tracked:
            raise ValueError("a pixel belongs into every tracked mail and into no other")
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
        return b"".join(
            (
                self._head,
                fields_of(recipient),
                filled.fixed_subject or subject_field(filled.subject_for(texts)),
                self._tail,
                filled.content_type,
                filled.body_for(texts, recipient.pixel_url),
            )
        )

    def _values(self, recipient: Recipient) -> dict[str, str]:
        content, given = self._content, recipient.variables
        if not content.left_out.isdisjoint(given):
            raise ContentInvalid("variables", "a recipient brings a name that the send did not announce as supplied")
        missing = content.names.difference(given)
        if missing:
            raise ContentInvalid("variables", f"{', '.join(sorted(missing))}: missing for a recipient")
        values = {name: _plain(given[name]) for name in content.filled_in if name in given}
        for name in content.usual:
            values.setdefault(name, "")
        if not values.get("greeting", "-"):
            names = (values.get(name, "") for name in ("first_name", "last_name"))
            values["greeting"] = " ".join([self._hello, *filter(None, names)])
        return values


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
