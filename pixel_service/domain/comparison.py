"""A mailing beside the earlier ones of its purpose, at the same age; and what goes along with its topics (O2).

What must hold: nothing is compared that had more time, to within an hour. A mailing that was sent last week has more opens
than one of this morning because of the week, not because of its subject. Since figures are kept by the hour, an hour is
what an age can be wrong by: at first that would be most of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean, median

from pixel_service.domain.messages import CampaignId
from pixel_service.domain.rates import Difference, Rate, difference, rate
from pixel_service.domain.reports import Campaign, Figures

#: Age from which on mailings are compared.
EARLIEST_HOURS = 6
#: Earlier mailings beside the one that is looked at.
MOST_EARLIER = 20
#: Newest mailings of a purpose that say something about its topics.
MOST_TAGGED = 100

Counted = tuple[Campaign, Figures]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One mailing at the age that is compared."""

    campaign_id: CampaignId
    name: str
    first_sent_at: datetime
    tracked: int
    #: Recipients whose first open came by that age, as far as their consent still stands.
    opened: int
    #: opened / tracked.
    floor: Rate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    #: Full hours since the hour in which a mailing was first accepted.
    age_hours: int
    #: At most `MOST_EARLIER` and, last, the one that is looked at, in order of sending: a falling line is people who tire.
    editions: tuple[Edition, ...]
    #: Median of the earlier floors; None where no earlier one has any.
    typical: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagEffect:
    """Goes along with the topic, and need not come from it: mailings differ in more than their topics.

    A mailing is one observation, whatever its size: it has the topic, its readers have not, and mailings differ from each
    other by more than the chance of readers.
    """

    tag: str
    #: Mailings that have an estimate.
    campaigns_with: int
    campaigns_without: int
    #: Means of the mailings' estimates; None without a mailing.
    estimate_with: float | None
    estimate_without: float | None
    difference: Difference | None


def compare(
    this: Counted, earlier: Iterable[Counted], *, opened: Mapping[CampaignId, int], age_hours: int
) -> Comparison:
    """`opened` are the first opens of each by this age. Nothing to compare before `EARLIEST_HOURS`."""
    if age_hours < EARLIEST_HOURS:
        return Comparison(age_hours=0, editions=(), typical=None)
    editions = [_edition(*one, opened[one[0].campaign_id]) for one in (this, *earlier)]
    before = sorted(editions[1:], key=lambda one: (one.first_sent_at, one.campaign_id))
    floors = [one.floor.value for one in before if one.floor is not None]
    return Comparison(age_hours=age_hours, editions=(*before, editions[0]), typical=median(floors) if floors else None)


def _edition(campaign: Campaign, figures: Figures, opened: int) -> Edition:
    return Edition(
        campaign_id=campaign.campaign_id,
        name=campaign.name,
        first_sent_at=campaign.first_sent_at or campaign.created_at,
        tracked=figures.tracked,
        opened=opened,
        floor=rate(opened, figures.tracked) if campaign.is_whole else None,
    )


def tag_effects(campaigns: Sequence[Counted]) -> tuple[TagEffect, ...]:
    """One for each topic, by name."""
    tags = sorted({tag for campaign, _ in campaigns for tag in campaign.tags})
    estimates = [(campaign.tags, rate(figures.human, figures.knowable)) for campaign, figures in campaigns]
    known = [(tags, estimate.value) for tags, estimate in estimates if estimate is not None]
    return tuple(_effect(tag, known) for tag in tags)


def _effect(tag: str, estimates: Sequence[tuple[Sequence[str], float]]) -> TagEffect:
    having = [estimate for tags, estimate in estimates if tag in tags]
    others = [estimate for tags, estimate in estimates if tag not in tags]
    return TagEffect(
        tag=tag,
        campaigns_with=len(having),
        campaigns_without=len(others),
        estimate_with=fmean(having) if having else None,
        estimate_without=fmean(others) if others else None,
        difference=difference(having, others),
    )
