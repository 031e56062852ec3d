"""All consent law on one page: `decide` maps every state and event to what happens next.

The table is total: an impossible pair is a decision too (nothing changes, nothing is recorded), never an error.
Who may raise an event (a link, a one-click header, an operator) is not decided here; neither is time:
whether a request still stands is a fact of the sign-up, so a stale link never reaches this table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

Purpose = NewType("Purpose", str)

TRACKING_OPENS = Purpose("tracking:opens")
#: Mail a person needs no consent for: it answers their own act. Never carries a pixel (D2).
SERVICE = Purpose("service")


def newsletter(slug: str) -> Purpose:
    return Purpose(f"newsletter:{slug}")


def whitepaper(slug: str) -> Purpose:
    return Purpose(f"whitepaper:{slug}")


def kind_of(purpose: Purpose) -> str:
    """``newsletter``, ``whitepaper``, ``tracking`` or ``service``."""
    return purpose.partition(":")[0]


def slug_of(purpose: Purpose) -> str:
    return purpose.partition(":")[2]


class State(StrEnum):
    """What the record of one person and purpose says; names follow W3C DPV consent states."""

    UNKNOWN = "unknown"
    REQUESTED = "requested"
    GIVEN = "given"
    RENEWED = "renewed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    #: Was valid; kept and not used until the person lifts the restriction (GDPR Art. 18).
    RESTRICTED = "restricted"
    #: Said no for good (GDPR Art. 21). Only the person's own button gives it again.
    OBJECTED = "objected"
    #: The person is gone (GDPR Art. 17); whoever comes back is somebody new.
    ERASED = "erased"


#: The only states that unlock sending or tracking (E8). Everything else, doubt included, means no.
VALID_STATES = frozenset({State.GIVEN, State.RENEWED})


class Event(StrEnum):
    REQUEST = "request"
    CONFIRM = "confirm"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"
    #: The confirmation mail was taken by the relay: evidence only, it decides nothing.
    CONFIRMATION_SENT = "confirmation_sent"
    RESTRICT = "restrict"
    LIFT = "lift"
    OBJECT = "object"
    ERASE = "erase"
    #: Consent given elsewhere, with its evidence (E9).
    IMPORT = "import"


class Act(StrEnum):
    """What the ledger records (E1)."""

    REQUESTED = "requested"
    CONFIRMATION_SENT = "confirmation_sent"
    CONFIRMED = "confirmed"
    RENEWED = "renewed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    RESTRICTED = "restricted"
    LIFTED = "lifted"
    OBJECTED = "objected"
    ERASED = "erased"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class Decision:
    """`state` afterwards and the `act` to record; ``act is None`` means nothing happened."""

    state: State
    act: Act | None


def decide(state: State, event: Event) -> Decision:
    """The total table: an event without its rule is a KeyError in the first test that enumerates it. Nothing follows
    upon an erasure."""
    return Decision(state, None) if state is State.ERASED else _RULES[event](state)


def _request(state: State) -> Decision:
    """A typed request never weakens or overwrites a recorded choice (S15): from every state but unknown it is recorded
    as evidence and changes nothing."""
    return Decision(State.REQUESTED if state is State.UNKNOWN else state, Act.REQUESTED)


def _confirmation_sent(state: State) -> Decision:
    return Decision(state, Act.CONFIRMATION_SENT)


def _confirm(state: State) -> Decision:
    if state in VALID_STATES:
        return Decision(State.RENEWED, Act.RENEWED)
    return Decision(State.GIVEN, Act.CONFIRMED)


def _refuse(state: State) -> Decision:
    """A purpose left unticked on a confirm page. It takes nothing away: that is what withdrawal is for."""
    if state in {State.UNKNOWN, State.REQUESTED, State.EXPIRED}:
        return Decision(State.REFUSED, Act.REFUSED)
    return Decision(state, None)


def _withdraw(state: State) -> Decision:
    """Withdrawal is recorded from every state, so that "stop" also stands against what was never given;
    a second one changes nothing, and none weakens an objection."""
    if state in {State.WITHDRAWN, State.OBJECTED}:
        return Decision(state, None)
    return Decision(State.WITHDRAWN, Act.WITHDRAWN)


def _expire(state: State) -> Decision:
    """Unused consent and unconfirmed requests lapse; a choice against something does not, nor what is kept because the
    person asked for it."""
    if state in VALID_STATES or state is State.REQUESTED:
        return Decision(State.EXPIRED, Act.EXPIRED)
    return Decision(state, None)


def _restrict(state: State) -> Decision:
    """Only what may be used is put out of use. Recorded also where there is nothing to restrict: the person asked."""
    if state is State.RESTRICTED:
        return Decision(state, None)
    return Decision(State.RESTRICTED if state in VALID_STATES else state, Act.RESTRICTED)


def _lift(state: State) -> Decision:
    return Decision(State.GIVEN if state is State.RESTRICTED else state, Act.LIFTED)


def _object(state: State) -> Decision:
    return Decision(State.OBJECTED, None if state is State.OBJECTED else Act.OBJECTED)


def _erase(_state: State) -> Decision:
    return Decision(State.ERASED, Act.ERASED)


def _import(state: State) -> Decision:
    """Never over a choice on record, of whatever kind: the person made it here."""
    if state in {State.UNKNOWN, State.REQUESTED}:
        return Decision(State.GIVEN, Act.IMPORTED)
    return Decision(state, None)


_RULES: Mapping[Event, Callable[[State], Decision]] = {
    Event.REQUEST: _request,
    Event.CONFIRMATION_SENT: _confirmation_sent,
    Event.CONFIRM: _confirm,
    Event.REFUSE: _refuse,
    Event.WITHDRAW: _withdraw,
    Event.EXPIRE: _expire,
    Event.RESTRICT: _restrict,
    Event.LIFT: _lift,
    Event.OBJECT: _object,
    Event.ERASE: _erase,
    Event.IMPORT: _import,
}


def is_valid(state: State) -> bool:
    return state in VALID_STATES


#: Which event a recorded act stands for, so that a ledger can be replayed through `decide`.
EVENT_OF: Mapping[Act, Event] = {
    Act.REQUESTED: Event.REQUEST,
    Act.CONFIRMATION_SENT: Event.CONFIRMATION_SENT,
    Act.CONFIRMED: Event.CONFIRM,
    Act.RENEWED: Event.CONFIRM,
    Act.REFUSED: Event.REFUSE,
    Act.WITHDRAWN: Event.WITHDRAW,
    Act.EXPIRED: Event.EXPIRE,
    Act.RESTRICTED: Event.RESTRICT,
    Act.LIFTED: Event.LIFT,
    Act.OBJECTED: Event.OBJECT,
    Act.ERASED: Event.ERASE,
    Act.IMPORTED: Event.IMPORT,
}
