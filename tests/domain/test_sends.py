"""The verdict per recipient, for every standing there is."""

from itertools import product

import pytest

from pixel_service.domain.consent import SERVICE, VALID_STATES, State, newsletter
from pixel_service.domain.messages import Reason, Verdict
from pixel_service.domain.sends import Ruling, Standing, rule

BLOG = newsletter("blog")
STANDINGS = [
    Standing(mail=mail, mail_seq=7, tracking=tracking, tracking_seq=9) for mail, tracking in product(State, State)
]


@pytest.mark.parametrize("standing", STANDINGS, ids=lambda one: f"{one.mail}-{one.tracking}")
@pytest.mark.parametrize("personal", [False, True])
def test_marketing_needs_valid_consent_and_a_pixel_needs_both(standing: Standing, personal: bool) -> None:
    ruling = rule(BLOG, standing, personal_content=personal)
    if standing.mail not in VALID_STATES:
        assert ruling.verdict is Verdict.REFUSED
        assert ruling.ledger_seq == 7
    elif standing.tracking in VALID_STATES:
        assert ruling == Ruling(verdict=Verdict.TRACKED, reason=Reason.TRACKING_CONSENT, ledger_seq=9)
    elif personal:
        assert ruling == Ruling(verdict=Verdict.REFUSED, reason=Reason.PERSONAL_CONTENT, ledger_seq=9)
    else:
        assert ruling == Ruling(verdict=Verdict.UNTRACKED, reason=Reason.NO_TRACKING_CONSENT, ledger_seq=9)


@pytest.mark.parametrize("standing", STANDINGS, ids=lambda one: f"{one.mail}-{one.tracking}")
def test_service_mail_needs_no_consent_and_is_never_tracked(standing: Standing) -> None:
    ruling = rule(SERVICE, standing, personal_content=False)
    assert ruling == Ruling(verdict=Verdict.UNTRACKED, reason=Reason.SERVICE_MAIL)


@pytest.mark.parametrize(
    "state, reason",
    [
        (State.UNKNOWN, Reason.NO_CONSENT),
        (State.REQUESTED, Reason.NO_CONSENT),
        (State.REFUSED, Reason.NO_CONSENT),
        (State.WITHDRAWN, Reason.CONSENT_WITHDRAWN),
        (State.EXPIRED, Reason.CONSENT_EXPIRED),
    ],
)
def test_a_refusal_says_which_consent_is_missing(state: State, reason: Reason) -> None:
    standing = Standing(mail=state, mail_seq=None, tracking=State.GIVEN, tracking_seq=3)
    assert rule(BLOG, standing, personal_content=False) == Ruling(verdict=Verdict.REFUSED, reason=reason)


def test_who_was_never_asked_about_tracking_is_untracked_by_the_entry_that_allows_the_mail() -> None:
    standing = Standing(mail=State.GIVEN, mail_seq=7, tracking=State.UNKNOWN, tracking_seq=None)
    ruling = rule(BLOG, standing, personal_content=False)
    assert ruling == Ruling(verdict=Verdict.UNTRACKED, reason=Reason.NO_TRACKING_CONSENT, ledger_seq=7)


def test_service_mail_that_would_measure_is_refused_too() -> None:
    nobody = Standing(mail=State.UNKNOWN, mail_seq=None, tracking=State.UNKNOWN, tracking_seq=None)
    ruling = rule(SERVICE, nobody, personal_content=True)
    assert (ruling.verdict, ruling.reason) == (Verdict.REFUSED, Reason.PERSONAL_CONTENT)
