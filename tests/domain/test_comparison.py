"""Mailings beside each other at the same age, and what goes along with their topics."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pixel_service.domain.comparison import Counted, compare, tag_effects
from pixel_service.domain.consent import Purpose
from pixel_service.domain.figures import Standing
from pixel_service.domain.messages import CampaignId, Tracking
from pixel_service.domain.rates import difference, rate
from pixel_service.domain.reports import Campaign, Figures

SENT = datetime(2026, 11, 3, 9, 40, tzinfo=UTC)
WEEK = timedelta(days=7)


def mailing(number: int, *, human: int = 0, tracked: int = 100, tags: str = "") -> Counted:
    """Sent `number` weeks before SENT; of those who got it, Apple hides 20."""
    at = SENT - number * WEEK
    campaign = Campaign(
        campaign_id=CampaignId(f"c{number}"),
        name=f"Week -{number}",
        purpose=Purpose("newsletter:blog"),
        tags=tuple(tags.split()),
        created_at=at,
        first_sent_at=at,
        is_whole=True,
    )
    figures = Figures(messages={Tracking.TRACKED: tracked}, standings={Standing.HUMAN: human, Standing.MPP: 20})
    return campaign, figures


def opened(*counts: int) -> dict[CampaignId, int]:
    """First opens by the age in question, newest mailing first."""
    return {CampaignId(f"c{number}"): count for number, count in enumerate(counts)}


def test_a_mailings_age_counts_from_the_hour_of_its_first_acceptance() -> None:
    campaign, _ = mailing(0)
    assert campaign.age_at(SENT + timedelta(minutes=19)) == 0
    assert campaign.age_at(SENT + timedelta(minutes=20)) == 1
    assert campaign.age_at(SENT - WEEK) == 0
    assert replace(campaign, first_sent_at=None).age_at(SENT + WEEK) == 0


def test_mailings_stand_in_order_of_sending_with_what_they_had_at_this_age() -> None:
    found = compare(mailing(0), [mailing(1), mailing(2)], opened=opened(15, 12, 20), age_hours=6)
    assert found.age_hours == 6
    assert [(one.name, one.opened) for one in found.editions] == [("Week -2", 20), ("Week -1", 12), ("Week -0", 15)]
    assert [one.floor for one in found.editions] == [rate(20, 100), rate(12, 100), rate(15, 100)]
    assert found.typical == 0.16


def test_a_mailing_of_less_than_six_hours_has_nothing_to_compare() -> None:
    assert compare(mailing(0), [mailing(1)], opened=opened(10, 8), age_hours=5).editions == ()


def test_small_mailings_are_listed_without_a_share_and_make_no_usual_one() -> None:
    found = compare(mailing(0), [mailing(1, tracked=29)], opened=opened(10, 8), age_hours=6)
    assert [(one.opened, one.floor is None) for one in found.editions] == [(8, True), (10, False)]
    assert found.typical is None


def test_a_topic_is_compared_with_all_mailings_without_it() -> None:
    """Each mailing counts once, however large it is."""
    campaigns = [
        mailing(1, human=40, tags="fibre security"),
        mailing(2, human=360, tracked=920, tags="fibre"),
        mailing(3, human=44, tags="fibre"),
        mailing(4, human=8),
        mailing(5, human=16, tags="security"),
        mailing(6, human=12),
        mailing(7, human=20, tracked=49),
    ]
    fibre, security = tag_effects(campaigns)
    assert (fibre.tag, fibre.campaigns_with, fibre.campaigns_without) == ("fibre", 3, 3)
    # Of 100 each, Apple hides 20; the last has too few.
    assert fibre.estimate_with == pytest.approx((0.5 + 0.4 + 0.55) / 3)
    assert fibre.estimate_without == pytest.approx((0.1 + 0.2 + 0.15) / 3)
    assert fibre.difference == difference([0.5, 0.4, 0.55], [0.1, 0.2, 0.15])
    assert fibre.difference is not None
    assert fibre.difference.low > 0
    assert security.estimate_with == pytest.approx(0.35)
    assert security.difference is None


def test_a_topic_of_every_mailing_has_nothing_to_be_compared_with() -> None:
    (effect,) = tag_effects([mailing(1, human=40, tags="fibre")])
    assert (effect.campaigns_without, effect.estimate_without, effect.difference) == (0, None, None)


def test_without_topics_there_are_no_effects() -> None:
    assert tag_effects([mailing(1, human=40)]) == ()
