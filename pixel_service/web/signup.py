"""Signing up by the hosted form: what is on offer, the form, and the page that says to look into the mail (S1-S6).

Every box starts unticked and stands for itself; what the form does not say was not given. A form that showed a text
which is not the current one is shown again with the current text: typed values stay, ticks do not (S5).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from pixel_service.domain.address import Address, parse_address
from pixel_service.domain.consent import Purpose
from pixel_service.domain.errors import InvalidFields, InvalidInput, NotFound, WordingOutdated
from pixel_service.domain.signup import FIELD_LIMITS, Choice, Profile, parse_profile
from pixel_service.domain.wordings import Newsletter, Offer, Whitepaper
from pixel_service.i18n import format_moment
from pixel_service.usecases import links
from pixel_service.usecases.sign_up import SignUp, sign_up
from pixel_service.web.api.origins import is_foreign_form
from pixel_service.web.language import language_of
from pixel_service.web.profile_fields import errors_of, profile_fields
from pixel_service.web.views import Form, action, context_of, field_of, href, read_form, say, show

#: What is shown again when a form has to be.
_TYPED = ("address", *FIELD_LIMITS)


async def list_offers(request: Request) -> Response:
    """GET /"""
    ctx, language = context_of(request), language_of(request)
    return show(
        request,
        "offers",
        language=language,
        newsletters=[_teaser(request, offer, language) for offer in ctx.catalogue.newsletters.values()],
        whitepapers=[_teaser(request, offer, language) for offer in ctx.catalogue.whitepapers.values()],
    )


def _teaser(request: Request, offer: Offer, language: str) -> Mapping[str, str]:
    known = context_of(request).catalogue.language(language)
    return {
        "title": offer.titles[known],
        "description": offer.descriptions[known],
        "href": href(request, _path(offer), language),
    }


async def show_form(request: Request, *, kind: str) -> Response:
    """GET /newsletter/{slug}, /whitepaper/{slug}"""
    return _form(request, _offer(request, kind), language_of(request), Filled())


async def submit_form(request: Request, *, kind: str) -> Response:
    """POST of the form: 200 look into your mail, 422 what to correct, 409 the text has changed."""
    ctx, offer, form = context_of(request), _offer(request, kind), await read_form(request)
    language = form.text("language")
    if language not in ctx.catalogue.languages or language not in ctx.catalogues.languages:
        # Nobody can say which text this form showed.
        return _form(request, offer, language_of(request), Filled(values=_values(form), outdated=True), status=409)
    choices = _choices(request, offer, form)
    try:
        address, profile = _details(form, choices)
        received = await sign_up(
            ctx,
            SignUp(
                address=address,
                language=language,
                choices=choices,
                profile=profile,
                form_url=_form_url(request, offer),
                notice_version=form.text("notice_version"),
            ),
        )
    except InvalidFields as error:
        return _correct(request, offer, form, error.problems)
    except InvalidInput as error:
        return _correct(request, offer, form, (error,))
    except WordingOutdated:
        return _form(request, offer, language, Filled(values=_values(form), outdated=True), status=409)
    valid_until = format_moment(received.confirm_before, language, ZoneInfo(ctx.policy.timezone))
    return show(
        request,
        "check_mail",
        language=language,
        address=address.normalised,
        valid_until=valid_until,
        again=action(request, links.send_again_path(ctx, received.sign_up_id, received.confirm_before)),
    )


# --- what was posted ----------------------------------------------------------


def _offer(request: Request, kind: str) -> Offer:
    offer = context_of(request).catalogue.offer(kind, request.path_params["slug"])
    if offer is None:
        raise NotFound("offer")
    return offer


def _form_url(request: Request, offer: Offer) -> str:
    """Where the form stood: a page of ours, or the site of the allow-list that holds a copy of it."""
    ctx, origin = context_of(request), request.headers.get("origin")
    foreign = origin is not None and is_foreign_form(request, origin)
    return str(origin) if foreign else f"{ctx.policy.base_url}{_path(offer)}"


def _path(offer: Offer) -> str:
    return f"/{_kind(offer)}/{offer.slug}"


def _kind(offer: Offer) -> str:
    return "whitepaper" if isinstance(offer, Whitepaper) else "newsletter"


def _choices(request: Request, offer: Offer, form: Form) -> tuple[Choice, ...]:
    return tuple(
        Choice(purpose=purpose, wording_version=form.version(purpose) or "")
        for purpose in context_of(request).catalogue.choices(offer)
        if form.ticked(purpose)
    )


def _details(form: Form, choices: Collection[Choice]) -> tuple[Address, Profile]:
    """Everything that is wrong at once, not one mistake per try. Raises `InvalidFields`."""
    problems: list[InvalidInput] = []
    address, profile = None, None
    try:
        address = parse_address(form.text("address"))
    except InvalidInput as error:
        problems.append(error)
    if not choices:
        problems.append(InvalidInput("choices", "choose at least one"))
    try:
        profile = parse_profile({name: form.text(name) for name in FIELD_LIMITS})
    except InvalidFields as error:
        problems.extend(error.problems)
    if address is None or profile is None or problems:
        raise InvalidFields(tuple(problems))
    return address, profile


def _values(form: Form) -> dict[str, str]:
    return {name: form.text(name) for name in _TYPED}


# --- the form ----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What stands in the form. The first time: nothing, no box ticked (S2)."""

    values: Mapping[str, str] = field(default_factory=dict)
    ticked: Collection[Purpose] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    outdated: bool = False


def _correct(request: Request, offer: Offer, form: Form, problems: tuple[InvalidInput, ...]) -> Response:
    """A tick stays only beside the text it was made under."""
    ctx, language = context_of(request), form.text("language")
    choices = _choices(request, offer, form)
    current = [one.purpose for one in choices if ctx.catalogue.is_current(one.purpose, one.wording_version)]
    filled = Filled(
        values=_values(form),
        ticked=current,
        errors=errors_of(problems, lambda text: say(request, language, text)),
        outdated=len(current) < len(choices),
    )
    return _form(request, offer, language, filled, status=422)


def _form(request: Request, offer: Offer, language: str, filled: Filled, *, status: int = 200) -> Response:
    catalogue = context_of(request).catalogue
    known = catalogue.language(language)
    return show(
        request,
        "sign_up",
        language=language,
        status=status,
        offer={
            "kind": _kind(offer),
            "slug": offer.slug,
            "title": offer.titles[known],
            "description": offer.descriptions[known],
            "topics": offer.topics[known] if isinstance(offer, Newsletter) else (),
        },
        choices=[_choice(request, purpose, language, filled) for purpose in catalogue.choices(offer)],
        values=filled.values,
        errors=filled.errors,
        outdated=filled.outdated,
        profile_fields=profile_fields(lambda text: say(request, language, text)),
        notice_version=catalogue.notice_version,
        privacy_href=href(request, "/privacy", language),
        action=action(request, _path(offer)),
    )


def _choice(request: Request, purpose: Purpose, language: str, filled: Filled) -> Mapping[str, object]:
    catalogue = context_of(request).catalogue
    wording = catalogue.current(purpose, language)
    return {
        "name": field_of(purpose),
        "label": catalogue.label(purpose, language),
        "text": wording.text,
        "version": wording.version,
        "checked": purpose in filled.ticked,
    }
