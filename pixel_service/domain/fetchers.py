"""Who fetched the images of a campaign: mail programs, machines, and what can not be told apart (O2)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pixel_service.domain.opens import LIKELY_HUMAN, MACHINE, Verdict

_Name = TypeVar("_Name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Stored rows of one sort, all over a campaign."""

    verdict: Verdict
    reason: str
    #: "" where the request did not tell.
    family: str
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Opens by one family of mail programs; one message may be opened in several."""

    #: "" where the request did not tell.
    family: str
    unique: int
    total: int
    #: unique / messages with any open that counts, 0 to 1; None without any.
    share: float | None
    #: The mail provider's image proxy fetches: the family is the provider, the program behind it is not told.
    hidden_by_proxy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSort:
    """Fetches by machines that one rule told apart."""

    verdict: Verdict
    reason: str
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How far the numbers can be trusted."""

    #: Of all stored fetches, 0 to 1; None without any.
    machine_share: float | None
    unknown_share: float | None
    #: Of the opens that count, those through an image proxy that hides the mail program.
    proxy_share: float | None
    #: Of the tracked messages, those where Apple hides whether anybody opened them.
    hidden_share: float | None
    #: Fetches before the relay's acceptance or within moments of it.
    early: int


def fetched(name: str, total: int) -> Fetched:
    """From the name of a figure, "verdict/reason/client family"."""
    verdict, reason, family = name.split("/", 2)
    return Fetched(verdict=Verdict(verdict), reason=reason, family=family, total=total)


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def clients(fetched: Iterable[Fetched], unique: Mapping[str, int], *, human: int) -> tuple[Client, ...]:
    """`unique` are messages by family, `human` those with any open that counts."""
    counted = [one for one in fetched if one.verdict in LIKELY_HUMAN]
    totals = _added((one.family, one.total) for one in counted)
    told = {one.family for one in counted if one.verdict is Verdict.HUMAN_CLIENT}
    found = (
        Client(
            family=family,
            unique=messages,
            total=totals[family],
            share=share(messages, human),
            hidden_by_proxy=family not in told,
        )
        for family, messages in unique.items()
    )
    return tuple(sorted(found, key=lambda one: (-one.unique, -one.total, one.family)))


def machines(fetched: Iterable[Fetched]) -> tuple[MachineSort, ...]:
    totals = _added(((one.verdict, one.reason), one.total) for one in fetched if one.verdict in MACHINE)
    sorts = (MachineSort(verdict=verdict, reason=reason, total=total) for (verdict, reason), total in totals.items())
    return tuple(sorted(sorts, key=lambda one: (-one.total, one.verdict, one.reason)))


def quality(fetched: Sequence[Fetched], *, tracked: int, hidden: int) -> Quality:
    """`tracked` messages, and those of them of which Apple hides whether they were opened."""
    verdicts = _added((one.verdict, one.total) for one in fetched)
    human, machine = (sum(verdicts[one] for one in sort) for sort in (LIKELY_HUMAN, MACHINE))
    everything = sum(verdicts.values())
    return Quality(
        machine_share=share(machine, everything),
        unknown_share=share(everything - human - machine, everything),
        proxy_share=share(verdicts[Verdict.PROXY_OPEN], human),
        hidden_share=share(hidden, tracked),
        early=sum(one.total for one in fetched if (one.verdict, one.reason) == (Verdict.PREFETCH, "early")),
    )


def _added(counts: Iterable[tuple[_Name, int]]) -> Counter[_Name]:
    added: Counter[_Name] = Counter()
    for name, count in counts:
        added[name] += count
    return added
