"""What a marketer is told about a campaign: counts, what they are counts of, and how sure a share is (O1, O2).

What must hold: every figure equals the sum of stored rows; a share has those as its base who could be counted at all, the
messages sent with a pixel whose consent still stands. Withdrawn people are in no figure but `withdrawn_since`, those who
restricted the use of their data in none but `restricted`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from pixel_service.domain.consent import Purpose
from pixel_service.domain.fetchers import (
    Client,
    Fetched,
    MachineSort,
    Quality,
    clients,
    fetched,
    machines,
    quality,
    share,
)
from pixel_service.domain.figures import Group, Kind, Standing
from pixel_service.domain.messages import CampaignId, Tracking
from pixel_service.domain.rates import Rate, rate
from pixel_service.domain.timing import (
    Delay,
    Point,
    age_of_share,
    hour_of,
    median_delay,
    time_to_open,
    timeline,
)

#: Name, hour and amount of a stored figure.
Named = tuple[str, int, int]
#: A look-up for each hour: making an enum of a text takes ten times as long.
_GROUPS = {group.value: group for group in Group}


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    campaign_id: CampaignId
    name: str
    purpose: Purpose
    tags: tuple[str, ...]
    created_at: datetime
    #: When the relay accepted the first message that is left.
    first_sent_at: datetime | None
    #: Nothing of it went by its age yet. Afterwards nobody knows of how many what is left is a share.
    is_whole: bool

    @property
    def start(self) -> int:
        """The hour from which its age counts."""
        return hour_of(self.first_sent_at or self.created_at)

    def age_at(self, now: datetime) -> int:
        """Full hours since `start`; 0 while it is not sent."""
        return max(hour_of(now) - self.start, 0) if self.first_sent_at else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is kept added up of one campaign. Hours are those since 1970 in UTC."""

    #: Messages that are out.
    messages: Mapping[Tracking, int] = field(default_factory=dict)
    #: All below are of messages with `Tracking.TRACKED`.
    standings: Mapping[Standing, int] = field(default_factory=dict)
    #: Messages with at least one row of the group.
    unique: Mapping[Group, int] = field(default_factory=dict)
    fetched: tuple[Fetched, ...] = ()
    #: Rows by hour and group.
    hours: tuple[tuple[int, Group, int], ...] = ()
    #: Messages with at least one human open in this family of mail programs.
    clients: Mapping[str, int] = field(default_factory=dict)
    #: Messages by the hour of their first human open, and by its delay after acceptance.
    first_opens: Mapping[int, int] = field(default_factory=dict)
    delays: Mapping[str, int] = field(default_factory=dict)
    sessions: int = 0

    @property
    def tracked(self) -> int:
        return self.messages.get(Tracking.TRACKED, 0)

    @property
    def human(self) -> int:
        return self.standings.get(Standing.HUMAN, 0)

    @property
    def knowable(self) -> int:
        """Tracked messages of which Apple's privacy protection does not hide whether they were opened."""
        return self.tracked - self.standings.get(Standing.MPP, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(Campaign):
    """One line of the list of campaigns."""

    sent: int
    tracked: int
    unique_opens: int
    unique_machine_opens: int
    floor: Rate | None
    estimate: Rate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignReport(Campaign):
    #: Messages accepted by the relay: tracked + untracked + withdrawn_since + restricted.
    sent: int
    tracked: int
    untracked: int
    #: Sent with a pixel; the person withdrew later and their opens are erased.
    withdrawn_since: int
    #: Sent with a pixel; the person wants their opens kept and not used (GDPR Art. 18).
    restricted: int
    #: tracked / sent, 0 to 1; None when nothing was sent.
    coverage: float | None
    #: Messages with at least one open that counts, all of their opens, and the sittings these make up.
    unique_opens: int
    total_opens: int
    sessions: int
    #: Messages a machine fetched, and its fetches. A message may have opens of several groups.
    unique_machine_opens: int
    total_machine_opens: int
    unique_unknown_opens: int
    total_unknown_opens: int
    #: Tracked messages by the best that is known of each, and those nothing was fetched for. Together: tracked.
    human: int
    hidden: int
    unknown: int
    machine_only: int
    silent: int
    #: Surely loaded by people: human / tracked. None below `SMALLEST_BASE` and when it is not whole, like the next two.
    floor: Rate | None
    #: As if those whom Apple hides were like all others: human / (tracked - hidden), after SparkPost.
    estimate: Rate | None
    #: As if everybody whom Apple hides had opened it: (human + hidden) / tracked.
    ceiling: Rate | None
    #: From the hour of the first acceptance on: hours for two days, then days; without the empty points at its end.
    timeline: tuple[Point, ...]
    #: Messages by the time from acceptance to their first open, and the bucket that holds the middle one.
    delays: tuple[Delay, ...]
    median_delay: str | None
    #: By what age half, and nine tenths, of the first opens so far were in; full hours, from the third day on full days.
    half_in_after: timedelta | None
    most_in_after: timedelta | None
    #: Of `total_opens`, most first.
    clients: tuple[Client, ...]
    #: Of `total_machine_opens`, most first.
    machines: tuple[MachineSort, ...]
    quality: Quality
    #: `total_opens` by hour since 1970, for the hours of the week.
    opens_by_hour: tuple[tuple[int, int], ...]


def figures_in(rows: Mapping[str, Sequence[Named]]) -> Figures:
    """From stored figures by their `Kind`."""

    def named(kind: Kind) -> dict[str, int]:
        return {name: amount for name, _, amount in rows.get(kind, ())}

    return Figures(
        messages={Tracking(name): amount for name, amount in named(Kind.MESSAGE).items()},
        standings={Standing(name): amount for name, amount in named(Kind.STANDING).items()},
        unique={Group(name): amount for name, amount in named(Kind.UNIQUE).items()},
        fetched=tuple(fetched(name, amount) for name, amount in named(Kind.VERDICT).items()),
        hours=tuple(sorted((hour, _GROUPS[name], amount) for name, hour, amount in rows.get(Kind.OPENS, ()))),
        clients=named(Kind.CLIENT),
        first_opens={hour: amount for _, hour, amount in rows.get(Kind.FIRST, ())},
        delays=named(Kind.DELAY),
        sessions=sum(named(Kind.SESSION).values()),
    )


def report(campaign: Campaign, figures: Figures) -> CampaignReport:
    totals: Counter[Group] = Counter()
    for _, group, count in figures.hours:
        totals[group] += count
    sent, tracked, start = sum(figures.messages.values()), figures.tracked, campaign.start
    human, hidden = figures.human, tracked - figures.knowable
    return CampaignReport(
        **asdict(campaign),
        sent=sent,
        tracked=tracked,
        untracked=figures.messages.get(Tracking.NONE, 0),
        withdrawn_since=figures.messages.get(Tracking.WITHDRAWN, 0),
        restricted=figures.messages.get(Tracking.RESTRICTED, 0),
        coverage=share(tracked, sent),
        unique_opens=figures.unique.get(Group.OPENS, 0),
        total_opens=totals[Group.OPENS],
        sessions=figures.sessions,
        unique_machine_opens=figures.unique.get(Group.MACHINE, 0),
        total_machine_opens=totals[Group.MACHINE],
        unique_unknown_opens=figures.unique.get(Group.UNKNOWN, 0),
        total_unknown_opens=totals[Group.UNKNOWN],
        human=human,
        hidden=hidden,
        unknown=figures.standings.get(Standing.UNKNOWN, 0),
        machine_only=figures.standings.get(Standing.MACHINE, 0),
        silent=tracked - sum(figures.standings.values()),
        floor=rate(human, tracked) if campaign.is_whole else None,
        estimate=rate(human, figures.knowable) if campaign.is_whole else None,
        ceiling=rate(human + hidden, tracked) if campaign.is_whole else None,
        timeline=timeline(start, figures.hours),
        delays=time_to_open(figures.delays),
        median_delay=median_delay(figures.delays),
        half_in_after=age_of_share(figures.first_opens, start, 0.5),
        most_in_after=age_of_share(figures.first_opens, start, 0.9),
        clients=clients(figures.fetched, figures.clients, human=human),
        machines=machines(figures.fetched),
        quality=quality(figures.fetched, tracked=tracked, hidden=hidden),
        opens_by_hour=tuple((hour, count) for hour, group, count in figures.hours if group is Group.OPENS),
    )


def summary(campaign: Campaign, figures: Figures) -> Summary:
    return Summary(
        **asdict(campaign),
        sent=sum(figures.messages.values()),
        tracked=figures.tracked,
        unique_opens=figures.human,
        unique_machine_opens=figures.unique.get(Group.MACHINE, 0),
        floor=rate(figures.human, figures.tracked) if campaign.is_whole else None,
        estimate=rate(figures.human, figures.knowable) if campaign.is_whole else None,
    )
