"""The most that may be true of anybody, told a second time: whom the service may mail, measure and name at all.

Less is always right here (a consent may lapse, a restore may lose one); how much there must be is proven in
`test_any_order.py`. Nothing here looks into the service: the model hears who did what.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from tests.journeys.consent_model import TRACKING


@dataclass(slots=True)
class Person:
    address: str
    #: Purposes given and not taken back; a restriction leaves them.
    agreed: set[str] = field(default_factory=set)
    restricted: bool = False
    objected: bool = False
    #: purpose -> the moment of the last no to it, and the last one to everything, counted in acts.
    no_at: dict[str, int] = field(default_factory=dict)
    no_to_all: int = 0
    moved: int = 0
    #: Addresses and names by which the service may know them.
    words: set[str] = field(default_factory=set)
    tracking_since: datetime | None = None
    #: From a restriction to its end.
    silences: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    opens_deleted_at: datetime | None = None

    def may_have_opened(self, at: datetime) -> bool:
        if TRACKING not in self.agreed or self.tracking_since is None or at < self.tracking_since:
            return False
        if self.opens_deleted_at is not None and at <= self.opens_deleted_at:
            return False
        return not any(begun <= at and (ended is None or at < ended) for begun, ended in self.silences)


@dataclass(frozen=True, slots=True)
class Question:
    """A sign-up: whose, when in acts, and whether asked on a page that a mailed link leads to."""

    person: str
    asked: int
    own_wish: bool


@dataclass(slots=True)
class People:
    """By the id that stands in the database."""

    known: dict[str, Person] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    #: Ids that are on record now; retention and restores take some away.
    present: set[str] = field(default_factory=set)
    #: Addresses that no import may bring back.
    blocked: set[str] = field(default_factory=set)
    #: Every address and name that was ever said.
    said: set[str] = field(default_factory=set)
    #: (id, address) -> the last withdrawal, objection or restriction, counted in acts.
    noes: dict[tuple[str, str], int] = field(default_factory=dict)
    questions: dict[str, Question] = field(default_factory=dict)
    buried: set[str] = field(default_factory=set)
    erasures: Counter[str] = field(default_factory=Counter)
    acts: int = 0

    # --- who ------------------------------------------------------------------------------------------------

    def add(self, person: str, address: str) -> None:
        """Somebody new, unless the address is on record."""
        self.said.add(address)
        if person in self.present:
            assert self.known[person].address == address
            return
        assert self.at(address) is None, "two people under one address"
        assert person not in self.erased
        self.known[person] = Person(address, words={address})
        self.present.add(person)

    def at(self, address: str) -> Person | None:
        found = [self.known[one] for one in self.present if self.known[one].address == address]
        return found[0] if found else None

    def gone(self) -> set[str]:
        """Words that name nobody who is on record."""
        return self.said - {word for one in self.present for word in self.known[one].words}

    # --- may ------------------------------------------------------------------------------------------------

    def agrees(self, address: str, purpose: str) -> bool:
        person = self.at(address)
        return person is not None and not person.restricted and purpose in person.agreed

    def may_be_asked(self, sign_up_id: str) -> bool:
        """Whether a mail with this question may go."""
        question = self.questions[sign_up_id]
        if question.person not in self.present:
            return False
        person = self.known[question.person]
        return not person.restricted and (question.own_wish or not person.objected)

    # --- acts -----------------------------------------------------------------------------------------------

    def asks(self, sign_up_id: str, person: str, *, own_wish: bool) -> None:
        self.acts += 1
        self.questions[sign_up_id] = Question(person, self.acts, own_wish)

    def confirms(self, sign_up_id: str, accepted: Collection[str], at: datetime) -> None:
        """Whatever was accepted must have been asked after the last no."""
        self.acts += 1
        if not accepted:
            return
        question = self.questions[sign_up_id]
        assert question.person in self.present, "somebody gone gave consent"
        person = self.known[question.person]
        assert not person.restricted, "a question was answered under a restriction"
        assert question.asked > person.no_to_all, "a question outlived an objection or a restriction"
        assert all(question.asked > person.no_at.get(one, 0) for one in accepted), "a question outlived a withdrawal"
        self.agrees_to(person, accepted, at)
        person.objected = False
        self.blocked.discard(person.address)

    def agrees_to(self, person: Person, purposes: Collection[str], at: datetime) -> None:
        if TRACKING in purposes and TRACKING not in person.agreed:
            person.tracking_since = at
        person.agreed |= set(purposes)

    def withdraws(self, person: Person, purposes: Collection[str], ended: Collection[str]) -> None:
        """`ended`: for which the service says it was an act."""
        self.acts += 1
        person.no_at.update(dict.fromkeys(ended, self.acts))
        if ended:
            self._note_no(person)
        person.agreed -= set(purposes)
        newsletters = [one for one in person.agreed if one.startswith("newsletter:")]
        if not newsletters and any(one.startswith("newsletter:") for one in purposes):
            person.agreed.discard(TRACKING)

    def restricts(self, person: Person, at: datetime) -> None:
        self.acts += 1
        if not person.restricted:
            person.restricted, person.no_to_all = True, self.acts
            person.silences.append((at, None))
            self._note_no(person)

    def lifts(self, person: Person, at: datetime) -> None:
        self.acts += 1
        if person.restricted:
            person.restricted = False
            begun, _ = person.silences.pop()
            person.silences.append((begun, at))

    def objects(self, person: Person) -> None:
        self.acts += 1
        person.objected, person.no_to_all = True, self.acts
        person.agreed.clear()
        self._note_no(person)

    def _note_no(self, person: Person) -> None:
        (one,) = (one for one in self.present if self.known[one] is person)
        self.noes[one, person.address] = self.acts

    def erases(self, person: str, messages: Collection[str]) -> None:
        self.acts += 1
        self.blocked.add(self.known.pop(person).address)
        self.present.discard(person)
        self.erased.add(person)
        self.buried.update(messages)

    def moves(self, person: Person, to: str) -> None:
        self.acts += 1
        if person.address == to:
            return
        assert self.at(to) is None, "two people under one address"
        self.blocked.add(person.address)
        self.blocked.discard(to)
        person.address, person.moved = to, self.acts
        person.words.add(to)

    def may_be_imported(self, address: str, purpose: str) -> bool:
        person = self.at(address)
        if address in self.blocked:
            return False
        return person is None or not (person.restricted or person.objected or purpose in person.no_at)
