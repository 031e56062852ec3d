"""All consent law, by enumeration: every state with every event."""

import pytest

from pixel_service.domain.consent import (
    EVENT_OF,
    SERVICE,
    TRACKING_OPENS,
    VALID_STATES,
    Act,
    Decision,
    Event,
    State,
    decide,
    is_valid,
    kind_of,
    newsletter,
    slug_of,
    whitepaper,
)

U, Q, G, R, N, W, E, S, B, X = (
    State.UNKNOWN,
    State.REQUESTED,
    State.GIVEN,
    State.RENEWED,
    State.REFUSED,
    State.WITHDRAWN,
    State.EXPIRED,
    State.RESTRICTED,
    State.OBJECTED,
    State.ERASED,
)

#: state -> (after, act) per event, written out by hand so that a changed rule is seen here first.
TABLE: dict[Event, dict[State, tuple[State, Act | None]]] = {
    Event.REQUEST: {
        U: (Q, Act.REQUESTED),
        Q: (Q, Act.REQUESTED),
        G: (G, Act.REQUESTED),
        R: (R, Act.REQUESTED),
        N: (N, Act.REQUESTED),
        W: (W, Act.REQUESTED),
        E: (E, Act.REQUESTED),
        S: (S, Act.REQUESTED),
        B: (B, Act.REQUESTED),
        X: (X, None),
    },
    Event.CONFIRMATION_SENT: {state: (state, Act.CONFIRMATION_SENT) for state in State if state is not X}
    | {X: (X, None)},
    Event.CONFIRM: {
        U: (G, Act.CONFIRMED),
        Q: (G, Act.CONFIRMED),
        G: (R, Act.RENEWED),
        R: (R, Act.RENEWED),
        N: (G, Act.CONFIRMED),
        W: (G, Act.CONFIRMED),
        E: (G, Act.CONFIRMED),
        S: (G, Act.CONFIRMED),
        B: (G, Act.CONFIRMED),
        X: (X, None),
    },
    Event.REFUSE: {
        U: (N, Act.REFUSED),
        Q: (N, Act.REFUSED),
        G: (G, None),
        R: (R, None),
        N: (N, None),
        W: (W, None),
        E: (N, Act.REFUSED),
        S: (S, None),
        B: (B, None),
        X: (X, None),
    },
    Event.WITHDRAW: {
        U: (W, Act.WITHDRAWN),
        Q: (W, Act.WITHDRAWN),
        G: (W, Act.WITHDRAWN),
        R: (W, Act.WITHDRAWN),
        N: (W, Act.WITHDRAWN),
        W: (W, None),
        E: (W, Act.WITHDRAWN),
        S: (W, Act.WITHDRAWN),
        B: (B, None),
        X: (X, None),
    },
    Event.EXPIRE: {
        U: (U, None),
        Q: (E, Act.EXPIRED),
        G: (E, Act.EXPIRED),
        R: (E, Act.EXPIRED),
        N: (N, None),
        W: (W, None),
        E: (E, None),
        S: (S, None),
        B: (B, None),
        X: (X, None),
    },
    Event.RESTRICT: {
        U: (U, Act.RESTRICTED),
        Q: (Q, Act.RESTRICTED),
        G: (S, Act.RESTRICTED),
        R: (S, Act.RESTRICTED),
        N: (N, Act.RESTRICTED),
        W: (W, Act.RESTRICTED),
        E: (E, Act.RESTRICTED),
        S: (S, None),
        B: (B, Act.RESTRICTED),
        X: (X, None),
    },
    Event.LIFT: {state: (state, Act.LIFTED) for state in State if state is not X} | {S: (G, Act.LIFTED), X: (X, None)},
    Event.OBJECT: dict.fromkeys(State, (B, Act.OBJECTED)) | {B: (B, None), X: (X, None)},
    Event.ERASE: dict.fromkeys(State, (X, Act.ERASED)) | {X: (X, None)},
    Event.IMPORT: {state: (state, None) for state in State} | {U: (G, Act.IMPORTED), Q: (G, Act.IMPORTED)},
}


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", State)
def test_every_pair_of_state_and_event_has_its_decision(state: State, event: Event) -> None:
    assert decide(state, event) == Decision(*TABLE[event][state])


def test_only_given_and_renewed_unlock_anything() -> None:
    assert {state for state in State if is_valid(state)} == {State.GIVEN, State.RENEWED} == VALID_STATES


def test_only_the_persons_own_act_or_its_imported_evidence_leads_to_a_valid_state() -> None:
    entered = {
        event for event in Event for state in State if not is_valid(state) and is_valid(decide(state, event).state)
    }
    assert entered == {Event.CONFIRM, Event.LIFT, Event.IMPORT}


def test_a_typed_request_never_changes_a_recorded_choice() -> None:
    for state in set(State) - {State.UNKNOWN}:
        assert decide(state, Event.REQUEST).state is state


def test_every_recorded_act_replays_to_the_state_it_made() -> None:
    for state in State:
        for event in Event:
            decision = decide(state, event)
            if decision.act is not None:
                assert decide(state, EVENT_OF[decision.act]) == decision


def test_a_purpose_has_a_kind_and_a_slug() -> None:
    assert (kind_of(newsletter("blog")), slug_of(newsletter("blog"))) == ("newsletter", "blog")
    assert kind_of(whitepaper("x")) == "whitepaper"
    assert kind_of(TRACKING_OPENS) == "tracking"
    assert (kind_of(SERVICE), slug_of(SERVICE)) == ("service", "")
