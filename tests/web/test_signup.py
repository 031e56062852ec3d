"""The hosted form: what it shows, what it takes, and that it tells nobody who is known (S1-S7, S15)."""

import re
from dataclasses import replace
from email import message_from_bytes, policy

import pytest
from httpx import AsyncClient, Response

from pixel_service.domain.address import Address, parse_address
from pixel_service.domain.consent import TRACKING_OPENS, Act, Purpose, State
from pixel_service.domain.errors import InvalidFields, InvalidInput
from pixel_service.domain.signup import FIELD_LIMITS, Choice, Profile, parse_profile
from pixel_service.usecases.context import Context
from pixel_service.usecases.sign_up import SignUp, sign_up
from pixel_service.usecases.withdraw import Source, withdraw
from pixel_service.web.profile_fields import OTHERWISE, errors_of
from tests.builders import (
    BLOG,
    GLASFASER,
    OPENS,
    Relay,
    catalogues,
    confirm_link,
    deliver,
    dump,
    join,
    last_sign_up,
    ledger_of,
    person_of,
    queued,
    states_of,
    web,
    with_new_texts,
)
from tests.journeys.forms import form

ADA = "ada@example.com"
LABELS = {"newsletter-blog", "whitepaper-glasfaser", "tracking-opens"}


async def fill_in(
    visitor: AsyncClient, *ticks: str, offer: str = "/newsletter/blog?lang=de", **fields: str
) -> Response:
    """Open the form, tick, type, and press the button."""
    page = form((await visitor.get(offer)).text)
    for part in ticks:
        page.tick(part)
    return await visitor.post(page.action, data=page.values | {"address": ADA} | fields)


async def asked_of(ctx: Context, address: str = ADA) -> set[Purpose]:
    """What the latest sign-up of an address asks for."""
    return {asked.purpose for asked in (await last_sign_up(ctx, await person_of(ctx, address))).asked}


# --- what is asked -------------------------------------------------------------


async def test_the_start_page_leads_to_every_offer(visitor: AsyncClient) -> None:
    page = await visitor.get("/")
    links = re.findall(r'href="(/(?:newsletter|whitepaper)/[^"]+)"', page.text)
    assert links == ["/newsletter/blog?lang=de", "/whitepaper/glasfaser?lang=de"]
    assert [(await visitor.get(link)).status_code for link in links] == [200, 200]


async def test_a_filled_in_form_leads_to_one_confirmation_mail_and_nothing_else(
    visitor: AsyncClient, ctx: Context
) -> None:
    answer = await fill_in(visitor, "newsletter", "tracking")
    assert answer.status_code == 200
    assert ADA in answer.text
    assert await queued(ctx) == ["confirmation"]
    assert await asked_of(ctx) == {BLOG, OPENS}


async def test_every_choice_starts_unticked_and_shows_its_text(visitor: AsyncClient, ctx: Context) -> None:
    html = (await visitor.get("/whitepaper/glasfaser?lang=en")).text
    page = form(html)
    assert set(page.checkboxes) == LABELS
    assert not LABELS & set(page.values)
    for purpose in (BLOG, GLASFASER, OPENS):
        assert ctx.catalogue.current(purpose, "en").summary in html.replace("&amp;", "&")


async def test_a_missing_choice_was_not_given(visitor: AsyncClient, ctx: Context) -> None:
    answer = await fill_in(visitor, "newsletter")
    assert answer.status_code == 200
    assert await asked_of(ctx) == {BLOG}


async def test_a_whitepaper_comes_without_newsletter_and_without_tracking(visitor: AsyncClient, ctx: Context) -> None:
    answer = await fill_in(visitor, "whitepaper", offer="/whitepaper/glasfaser")
    assert answer.status_code == 200
    assert await asked_of(ctx) == {GLASFASER}
    assert await queued(ctx) == ["confirmation"]


async def test_a_box_with_another_value_or_two_values_is_not_ticked(visitor: AsyncClient) -> None:
    page = form((await visitor.get("/newsletter/blog")).text)
    for doubtful in ("on", "no", *(["yes", other] for other in "abcdefgh")):
        answer = await visitor.post(page.action, data={**page.values, "address": ADA, "newsletter-blog": doubtful})
        assert answer.status_code == 422


async def test_the_query_ticks_nothing(visitor: AsyncClient, ctx: Context) -> None:
    page = form((await visitor.get("/newsletter/blog")).text)
    answer = await visitor.post("/newsletter/blog?newsletter-blog=yes", data=page.values | {"address": ADA})
    assert answer.status_code == 422
    assert await queued(ctx) == []


# --- what is typed -------------------------------------------------------------


async def test_only_the_address_is_required(visitor: AsyncClient) -> None:
    page = (await visitor.get("/newsletter/blog")).text
    assert re.findall(r"<input[^>]* required[^>]*>", page) == re.findall(r'<input[^>]* name="address"[^>]*>', page)
    assert (await fill_in(visitor, "newsletter")).status_code == 200


async def test_optional_details_are_kept_with_the_request_and_in_the_ledger(visitor: AsyncClient, ctx: Context) -> None:
    typed = {
        "salutation": "ms",
        "first_name": "Ada",
        "last_name": "Beispiel",
        "company": "Muster <AG>",
        "phone": "+49 40 1",
        "function": "Leitung",
        "interests": "Glasfaser",
    }
    assert (await fill_in(visitor, "newsletter", **typed)).status_code == 200
    person = await person_of(ctx, ADA)
    assert (await last_sign_up(ctx, person)).profile == Profile(**typed)
    assert (await ledger_of(ctx, person))[0][2]["fields"] == {"address": ADA, **typed}


async def test_everything_that_is_wrong_is_said_at_once_and_what_was_typed_stays(visitor: AsyncClient) -> None:
    answer = await fill_in(
        visitor, "newsletter", address="ada@", first_name="A\r\nBcc: x@example.com", company="<b>" + "x" * 200
    )
    assert answer.status_code == 422
    assert {"error-address", "error-first_name", "error-company"} <= set(re.findall(r'id="(error-\w+)"', answer.text))
    assert 'value="ada@"' in answer.text
    assert "&lt;b&gt;xxx" in answer.text
    assert "<b>xxx" not in answer.text
    assert "newsletter-blog" in form(answer.text).values


@pytest.mark.parametrize(
    "address",
    ["", "ada", "ada@", "@example.com", "ada@example", "a b@example.com", "x" * 300 + "@example.com", "a\0@b.de"],
)
async def test_what_is_no_address_is_refused_with_a_reason(visitor: AsyncClient, ctx: Context, address: str) -> None:
    answer = await fill_in(visitor, "newsletter", address=address)
    assert answer.status_code == 422
    assert 'id="error-address"' in answer.text
    assert await queued(ctx) == []


async def test_an_address_of_another_script_is_taken(visitor: AsyncClient, ctx: Context) -> None:
    assert (await fill_in(visitor, "newsletter", address="info@bücher.example.com")).status_code == 200
    assert await asked_of(ctx, "info@bücher.example.com") == {BLOG}


async def test_no_choice_at_all_is_said_in_the_language_of_the_page(visitor: AsyncClient) -> None:
    german = await fill_in(visitor, offer="/newsletter/blog?lang=de")
    english = await fill_in(visitor, offer="/newsletter/blog?lang=en")
    assert (german.status_code, english.status_code) == (422, 422)
    assert "Bitte wählen Sie mindestens eines aus." in german.text
    assert "Please choose at least one." in english.text


async def test_tracking_alone_is_refused(visitor: AsyncClient, ctx: Context) -> None:
    answer = await fill_in(visitor, "tracking")
    assert answer.status_code == 422
    assert await queued(ctx) == []


async def test_fields_that_a_browser_extension_adds_are_ignored(visitor: AsyncClient, ctx: Context) -> None:
    assert (await fill_in(visitor, "newsletter", ext_note="1")).status_code == 200
    assert await queued(ctx) == ["confirmation"]


async def test_more_fields_than_any_form_has_are_refused(visitor: AsyncClient, ctx: Context) -> None:
    answer = await fill_in(visitor, "newsletter", **{f"field{number}": "x" for number in range(200)})
    assert answer.status_code == 400
    assert await queued(ctx) == []


def test_every_rule_of_the_domain_has_words_for_people() -> None:
    problems: list[InvalidInput] = []
    for typed in ("", "x" * 300, "ada@"):
        with pytest.raises(InvalidInput) as invalid:
            parse_address(typed)
        problems.append(invalid.value)
    for typed in ("x" * 1000, "a\nb"):
        with pytest.raises(InvalidFields) as several:
            parse_profile(dict.fromkeys(FIELD_LIMITS, typed))
        problems.extend(several.value.problems)
    german, english = (catalogues().translations(language).gettext for language in ("de", "en"))
    for problem in problems:
        (in_german,), (in_english,) = (errors_of([problem], say).values() for say in (german, english))
        assert OTHERWISE not in in_english
        assert in_german != in_english
        assert "%(" not in in_german + in_english


async def test_a_domain_that_takes_no_mail_is_told_apart_from_a_typing_error(ctx: Context) -> None:
    async def refuse(_address: Address) -> bool:
        return False

    async with web(replace(ctx, takes_mail=refuse)) as visitor:
        answer = await fill_in(visitor, "newsletter")
    assert answer.status_code == 422
    assert "An dieser Adresse kommt keine E-Mail an." in answer.text
    assert await queued(ctx) == []


async def test_the_rules_about_choices_have_words_for_people(ctx: Context) -> None:
    command = SignUp(
        address=parse_address(ADA),
        language="de",
        choices=(),
        profile=Profile(),
        form_url="https://news.example/newsletter/blog",
        notice_version=ctx.catalogue.notice_version,
    )
    alone = Choice(purpose=OPENS, wording_version=ctx.catalogue.current(OPENS, "de").version)
    for choices in ((), (alone,)):
        with pytest.raises(InvalidInput) as refused:
            await sign_up(ctx, replace(command, choices=choices))
        assert errors_of([refused.value], str) != {"choices": OTHERWISE}


# --- which text was shown -------------------------------------------------------


async def test_an_outdated_text_is_shown_anew_with_typed_values_kept_and_no_tick(
    visitor: AsyncClient, ctx: Context
) -> None:
    page = form((await visitor.get("/newsletter/blog?lang=de")).text)
    page.tick("newsletter")
    newer = with_new_texts(ctx, BLOG)
    async with web(newer) as later:
        answer = await later.post(page.action, data=page.values | {"address": ADA, "last_name": "Beispiel"})
    assert answer.status_code == 409
    assert "Ein neuer Text." in answer.text
    again = form(answer.text)
    assert again.values["address"] == ADA
    assert again.values["last_name"] == "Beispiel"
    assert again.values["newsletter-blog_version"] == "2099-01"
    assert "newsletter-blog" not in again.values
    assert await queued(ctx) == []


async def test_a_tick_made_beside_an_older_text_does_not_survive_a_correction(
    ctx: Context, visitor: AsyncClient
) -> None:
    page = form((await visitor.get("/newsletter/blog?lang=de")).text)
    page.tick("newsletter")
    page.tick("tracking")
    async with web(with_new_texts(ctx, BLOG)) as later:
        answer = await later.post(page.action, data=page.values | {"address": "ada@"})
    assert answer.status_code == 422
    assert {"newsletter-blog", "tracking-opens"} & set(form(answer.text).values) == {"tracking-opens"}


@pytest.mark.parametrize(
    "wrong",
    [{"newsletter-blog_version": "1999-01"}, {"notice_version": "1999-01"}, {"language": "xx"}, {"language": ""}],
)
async def test_a_form_that_can_not_say_what_it_showed_is_refused(
    visitor: AsyncClient, ctx: Context, wrong: dict[str, str]
) -> None:
    before = await dump(ctx.db)
    answer = await fill_in(visitor, "newsletter", **wrong)
    assert answer.status_code == 409
    assert form(answer.text).values["address"] == ADA
    assert "newsletter-blog" not in form(answer.text).values
    assert await dump(ctx.db) == before


async def test_the_ledger_knows_text_notice_language_and_form(visitor: AsyncClient, ctx: Context) -> None:
    await fill_in(visitor, "newsletter", offer="/newsletter/blog?lang=en")
    ((purpose, act, content),) = await ledger_of(ctx, await person_of(ctx, ADA))
    assert (purpose, act) == (BLOG, Act.REQUESTED)
    wording = ctx.catalogue.current(BLOG, "en")
    assert content["wording_version"] == wording.version
    assert content["wording_hash"] == wording.hash
    assert content["notice_version"] == ctx.catalogue.notice_version
    assert content["language"] == "en"
    assert content["form_url"] == "https://news.example/newsletter/blog"


async def test_the_privacy_notice_is_linked_and_needs_no_box(visitor: AsyncClient) -> None:
    html = (await visitor.get("/whitepaper/glasfaser?lang=de")).text
    assert 'href="/privacy?lang=de"' in html
    assert set(form(html).checkboxes) == LABELS


# --- who is known ----------------------------------------------------------------


async def test_every_address_gets_the_same_answer(visitor: AsyncClient, ctx: Context) -> None:
    """New, pending, confirmed and withdrawn: status, headers and body."""
    answers = [await fill_in(visitor, "newsletter", "tracking") for _ in range(5)]
    person = await join(ctx, ADA, BLOG, OPENS)
    answers.append(await fill_in(visitor, "newsletter", "tracking"))
    await withdraw(ctx, person, {BLOG}, Source.PREFERENCES_PAGE)
    answers.append(await fill_in(visitor, "newsletter", "tracking"))
    # The button that asks for the mail again names the request, which everybody has.
    texts = [re.sub(r"/c/[a-z2-7]{70,}/resend", "/c/TOKEN/resend", answer.text) for answer in answers]
    assert all("/c/TOKEN/resend" in text for text in texts)
    assert len({(a.status_code, text, tuple(a.headers.items())) for a, text in zip(answers, texts, strict=True)}) == 1
    assert answers[0].status_code == 200


async def test_a_typed_address_never_changes_a_choice_on_record(visitor: AsyncClient, ctx: Context) -> None:
    person = await join(ctx, ADA, BLOG, OPENS)
    await withdraw(ctx, person, {OPENS}, Source.STOP_TRACKING_PAGE)
    before = await states_of(ctx, person)
    assert before == {BLOG: State.GIVEN, OPENS: State.WITHDRAWN}
    await fill_in(visitor, "newsletter", "tracking")
    assert await states_of(ctx, person) == before


async def test_who_has_confirmed_gets_no_further_confirmation_mail(visitor: AsyncClient, ctx: Context) -> None:
    person = await join(ctx, ADA, BLOG, OPENS)
    mails, before = await queued(ctx), await states_of(ctx, person)
    assert (await fill_in(visitor, "newsletter", "tracking")).status_code == 200
    assert await queued(ctx) == mails
    assert await states_of(ctx, person) == before


async def test_a_form_can_not_flood_a_mailbox(visitor: AsyncClient, ctx: Context) -> None:
    for _ in range(10):
        assert (await fill_in(visitor, "newsletter")).status_code == 200
    assert await queued(ctx) == ["confirmation"]


async def test_the_page_after_the_form_sends_the_mail_again_as_often_as_an_address_may_get_it(
    visitor: AsyncClient, ctx: Context
) -> None:
    page = form((await fill_in(visitor, "newsletter")).text)
    answers = [await visitor.post(page.action) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert await queued(ctx) == ["confirmation"] * 3
    link = await confirm_link(ctx, await person_of(ctx, ADA))
    assert (await visitor.post(link, data={"newsletter-blog": "yes"})).status_code == 200
    assert (await visitor.get(page.action.partition("/resend")[0])).status_code == 404


async def test_asking_again_for_somebody_who_has_confirmed_or_left_sends_nothing(
    visitor: AsyncClient, ctx: Context
) -> None:
    first = form((await fill_in(visitor, "newsletter")).text)
    person = await person_of(ctx, ADA)
    await visitor.post(await confirm_link(ctx, person), data={"newsletter-blog": "yes"})
    second = form((await fill_in(visitor, "newsletter")).text)
    mails = await queued(ctx)
    for page in (first, second):
        assert (await visitor.post(page.action)).status_code == 200
    await withdraw(ctx, person, {BLOG}, Source.PREFERENCES_PAGE)
    mails.append("goodbye")
    await visitor.post(first.action)
    assert await queued(ctx) == mails


# --- the mail that follows --------------------------------------------------------


async def test_the_confirmation_mail_verifies_only(visitor: AsyncClient, ctx: Context, relay: Relay) -> None:
    await fill_in(visitor, "newsletter", "tracking")
    await deliver(ctx)
    (taken,) = relay.taken
    mail = message_from_bytes(taken.data, policy=policy.default)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Unsubscribe"] is None
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert "<img" not in html.get_content()
    personal = set(re.findall(r"https://news\.example/\w/\S+?(?=[\s\"<])", plain.get_content()))
    assert {link.split("/")[3] for link in personal} == {"c"}
    assert len(personal) == 1
    flat = " ".join(plain.get_content().split())
    for purpose in (BLOG, TRACKING_OPENS):
        assert " ".join(ctx.catalogue.current(purpose, "de").text.split()) in flat
    assert (await visitor.get(personal.pop())).status_code == 200


async def test_an_offer_that_does_not_exist_is_not_found(visitor: AsyncClient) -> None:
    for path in ("/newsletter/nothing", "/whitepaper/blog"):
        assert (await visitor.get(path)).status_code == 404
        assert (await visitor.post(path, data={"address": ADA})).status_code == 404
