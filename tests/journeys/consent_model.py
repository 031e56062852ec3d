"""What must be true of consent, told a second time in the simplest words, to hold the service against.

Nothing here looks into the service or uses its rules: the model hears who did what and keeps books of its own.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

TRACKING = "tracking:opens"
#: Somebody who said no to tracking is not asked by a form again for so long.
LEFT_ALONE = timedelta(days=183)
RECORDING_WINDOW = timedelta(days=30)


@dataclass(slots=True)
class Request:
    """One sign-up, as long as it waits for its person."""

    address: str
    waiting: set[str]
    asked: tuple[str, ...]
    expires_at: datetime
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    message: str
    at: datetime
    #: Whether it must be on record, or only may.
    certain: bool


@dataclass(slots=True)
class Model:
    #: (address, purpose) -> requested, valid, refused or withdrawn; absent means never heard of.
    states: dict[tuple[str, str], str] = field(default_factory=dict)
    decided_at: dict[tuple[str, str], datetime] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)
    #: (address, purpose, act) -> how often the ledger must tell of it.
    acts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    #: address -> every open that may be on record.
    opens: dict[str, list[Open]] = field(default_factory=dict)
    #: address -> how often everything measured of them was erased.
    erasures: Counter[str] = field(default_factory=Counter)
    #: Messages of people who had themselves erased: never to be handed over.
    buried: set[str] = field(default_factory=set)

    def agrees(self, address: str, purpose: str) -> bool:
        return self.states.get((address, purpose)) == "valid"

    def _decide(self, address: str, purpose: str, state: str, act: str, at: datetime) -> None:
        self.states[address, purpose] = state
        self.decided_at[address, purpose] = at
        self.acts[address, purpose, act] += 1

    # --- asking ---------------------------------------------------------------------------------------------

    def asks(self, address: str, purposes: Collection[str], at: datetime, *, by_mailed_link: bool) -> list[str]:
        """A form was sent; returns what is to be confirmed by mail."""
        asked = [one for one in purposes if self._may_be_asked(address, one, at, by_mailed_link=by_mailed_link)]
        for purpose in asked:
            self.acts[address, purpose, "requested"] += 1
            if (address, purpose) not in self.states:
                self.states[address, purpose] = "requested"
                self.decided_at[address, purpose] = at
        return asked

    def _may_be_asked(self, address: str, purpose: str, at: datetime, *, by_mailed_link: bool) -> bool:
        state = self.states.get((address, purpose))
        if state == "valid":
            return False
        said_no = state in {"refused", "withdrawn"} and purpose == TRACKING and not by_mailed_link
        return not said_no or at - self.decided_at[address, purpose] >= LEFT_ALONE

    def request(self, sign_up_id: str, address: str, asked: Collection[str], expires_at: datetime) -> None:
        self.requests[sign_up_id] = Request(address, set(asked), tuple(asked), expires_at)

    def still_open(self, sign_up_id: str, at: datetime) -> list[str]:
        """What a new mail for an expired link may ask."""
        old = self.requests[sign_up_id]
        if old.answered or at < old.expires_at:
            return []
        return [one for one in sorted(old.waiting) if self._may_be_asked(old.address, one, at, by_mailed_link=False)]

    def asks_again(self, sign_up_id: str, address: str, asked: Collection[str], expires_at: datetime) -> None:
        self.acts.update((address, purpose, "requested") for purpose in asked)
        self.request(sign_up_id, address, asked, expires_at)

    # --- answering ------------------------------------------------------------------------------------------

    def confirms(self, sign_up_id: str, ticked: Collection[str], at: datetime) -> set[str] | None:
        """The button was pressed; returns what was agreed to, None when the press was worth nothing."""
        request = self.requests[sign_up_id]
        if request.answered or not request.waiting or at >= request.expires_at:
            return None
        agreed, refused = request.waiting & set(ticked), request.waiting - set(ticked)
        for purpose in agreed:
            act = "renewed" if self.agrees(request.address, purpose) else "confirmed"
            self._decide(request.address, purpose, "valid", act, at)
        for purpose in refused:
            if self.states.get((request.address, purpose)) in {None, "requested"}:
                self._decide(request.address, purpose, "refused", "refused", at)
        # The last word counts: what an earlier link had given is taken away, what another one still asks is answered.
        if given := {purpose for purpose in refused if self.agrees(request.address, purpose)}:
            self.withdraws(request.address, given, at)
        self._no_longer_waits(request.address, refused)
        request.answered, request.waiting = True, set()
        return agreed

    def _no_longer_waits(self, address: str, purposes: Collection[str]) -> None:
        for request in self.requests.values():
            if request.address == address:
                request.waiting -= set(purposes)

    def withdraws(self, address: str, purposes: Collection[str], at: datetime) -> None:
        ending = set(purposes)
        newsletters = {one for who, one in self.states if who == address and one.startswith("newsletter:")}
        if newsletters & ending and not any(self.agrees(address, one) for one in newsletters - ending):
            ending.add(TRACKING)
        for purpose in ending:
            if self.states.get((address, purpose)) != "withdrawn":
                self._decide(address, purpose, "withdrawn", "withdrawn", at)
        self._no_longer_waits(address, ending)
        if TRACKING in ending:
            self.opens.pop(address, None)
            self.erasures[address] += 1

    def erases(self, address: str, ghost: str, confirmations: Collection[str], messages: Collection[str]) -> None:
        """The person is gone: whoever signs up with the address is somebody new. What the ledger tells of them, it tells
        of `ghost`; `confirmations` are the sign-ups whose mail the service knows to be out."""
        for sign_up in confirmations:
            self.acts.update((address, purpose, "confirmation_sent") for purpose in self.requests[sign_up].asked)
        self.acts.update((address, purpose, "erased") for purpose in {*self.on_record(address), TRACKING})
        for who, purpose, act in [key for key in self.acts if key[0] == address]:
            self.acts[ghost, purpose, act] = self.acts.pop((who, purpose, act))
        for purpose in self.on_record(address):
            del self.states[address, purpose], self.decided_at[address, purpose]
        for request in self.requests.values():
            if request.address == address:
                request.address, request.answered, request.waiting = ghost, True, set()
        self.opens.pop(address, None)
        self.erasures[address] += 1
        self.buried.update(messages)

    def opens_of(self, address: str) -> list[Open]:
        return self.opens.setdefault(address, [])

    def on_record(self, address: str) -> set[str]:
        return {purpose for who, purpose in self.states if who == address}
