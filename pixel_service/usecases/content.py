"""What a send carries, between the request, the row that keeps it, and the composer."""

from collections.abc import Mapping
from dataclasses import dataclass

from pixel_service.domain.consent import SERVICE, Purpose
from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.sends import JsonValue
from pixel_service.mail.compose import ContentInvalid, Prepared, Source
from pixel_service.usecases.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A template's name or full HTML, never both; texts are Jinja sources, `variables` are the same for everybody."""

    subject: str | None
    template: str | None
    html: str | None
    text: str | None
    variables: Mapping[str, JsonValue]

    def to_json(self) -> dict[str, JsonValue]:
        return {
            "subject": self.subject,
            "template": self.template,
            "html": self.html,
            "text": self.text,
            "variables": dict(self.variables),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, JsonValue]) -> "Content":
        def text(name: str) -> str | None:
            value = stored[name]
            return None if value is None else str(value)

        variables = stored["variables"]
        return cls(
            subject=text("subject"),
            template=text("template"),
            html=text("html"),
            text=text("text"),
            variables=variables if isinstance(variables, dict) else {},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What the content asks of a recipient, found once per send."""

    #: Recipient variables that must be given.
    variables: frozenset[str]
    #: All that can appear in it; nothing else of a recipient is kept.
    accepts: frozenset[str]
    #: Its untracked form would still differ per person, or load a stranger's 1x1 image (D4).
    personal_content: bool
    warnings: tuple[str, ...]


def needs_of(ctx: Context, content: Content, purpose: Purpose) -> Needs:
    """Raises `InvalidInput` naming the field that can not be rendered."""
    language = ctx.policy.default_language
    plain = prepared(ctx, content, purpose, language=language, tracked=False)
    variants = [plain]
    if purpose != SERVICE:
        variants.append(prepared(ctx, content, purpose, language=language, tracked=True))
    return Needs(
        variables=frozenset().union(*(one.variables for one in variants)),
        accepts=frozenset().union(*(one.accepts for one in variants)),
        personal_content=differs_per_person(ctx, plain, purpose),
        warnings=tuple(sorted({warning for one in variants for warning in one.warnings})),
    )


def prepared(ctx: Context, content: Content, purpose: Purpose, *, language: str, tracked: bool) -> Prepared:
    """One variant of a send's content, ready to be filled per recipient."""
    source = Source(
        subject=content.subject or "",
        template=content.template,
        html=content.html,
        text=content.text,
        variables=content.variables,
        marketing=purpose != SERVICE,
    )
    try:
        return ctx.composer.prepare(
            source,
            language=language,
            tracked=tracked,
            # A stranger's 1x1 image is dropped only where it may not be, and only by setting.
            strip_foreign_pixels=ctx.policy.strip_foreign_pixels and not tracked,
        )
    except ContentInvalid as error:
        raise InvalidInput(error.field, error.detail) from error


def differs_per_person(ctx: Context, untracked: Prepared, purpose: Purpose) -> bool:
    """Whether the untracked form of a mail would still measure (D4). Service mail may link to what is the person's own,
    a reset of their password, say; what loads by itself may differ in no mail."""
    personal = untracked.personal_loads if purpose == SERVICE else untracked.personal_urls
    return personal or (untracked.foreign_pixels > 0 and not ctx.policy.strip_foreign_pixels)
