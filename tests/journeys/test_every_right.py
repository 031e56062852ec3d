"""Every right, imports, the end of periods and a restored backup between everything else, in any order: nobody is mailed,
measured or named who must not be. That the service does as much as it may is proven in `test_any_order.py`.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from pixel_service.domain.consent import SERVICE, Purpose
from pixel_service.domain.journal import Noted
from pixel_service.storage.engine import Database
from pixel_service.usecases.content import Content
from pixel_service.usecases.withdraw import Source
from tests.builders import BLOG
from tests.conftest import NewDatabase
from tests.journeys.invariants import Books
from tests.journeys.machine import LEASE, NETZ, PEOPLE, PURPOSES
from tests.journeys.relay import Mail
from tests.journeys.rights_invariants import check_files, check_rights
from tests.journeys.rights_machine import SERVICE_SUBJECT
from tests.journeys.rights_time import Contact, TimelyWorld
from tests.journeys.test_any_order import (
    PLAIN,
    USER_AGENTS,
    newsletters,
    plans,
    profiles,
    purposes,
    whichever,
)
from tests.scale import FULL, scaled

NEW_ADDRESSES = ("anna.neu@example.com", "bo.neu@example.org")
ADDRESSES = (*PEOPLE, *NEW_ADDRESSES)
ORDER = Content(subject=SERVICE_SUBJECT, template=None, html="<p>Ihr Auftrag ist da.</p>", text=None, variables={})
#: Few have moved.
addresses = st.sampled_from((*PEOPLE, *PEOPLE, *NEW_ADDRESSES))
mailings = st.sampled_from((BLOG, NETZ, SERVICE))
contacts = st.builds(
    Contact,
    address=st.sampled_from((*ADDRESSES, "dora@example.com")),
    purpose=st.sampled_from(PURPOSES),
    proven=st.sampled_from((True, True, True, False)),
)
jumps = st.sampled_from(
    (2 * LEASE, timedelta(hours=6), *(timedelta(days=number) for number in (1, 8, 31, 190, 800, 1500)))
)
acts_meanwhile = st.sampled_from(("restrict", "object", "withdraw", "erase", "move"))
Act = Coroutine[Any, Any, None]


def has(kind: str) -> Callable[["EveryRight"], bool]:
    return lambda self: bool(self.world.mails_with(kind))


class EveryRight(RuleBasedStateMachine):
    """The database comes from the test that runs it, and what was seen goes there."""

    new_database: NewDatabase
    seen: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world = self.runner.run(self._open())
        self.books: Books | None = None
        self.names = 0
        self.sound = True

    async def _open(self) -> TimelyWorld:
        world = TimelyWorld(Database(self.new_database()))
        await world.start()
        await world.keep_a_journal()
        return world

    def teardown(self) -> None:
        if self.sound:
            self.runner.run(check_files(self.world))
        self.runner.run(self.world.db.close())
        self.runner.close()
        self.seen.update(self.world.seen)

    def do(self, *acts: Act) -> None:
        """One step, a second later, and the look at everything after it."""
        self.world.clock.move(timedelta(seconds=1))
        self.sound = False
        for act in acts:
            self.runner.run(act)
        self.books = self.runner.run(check_rights(self.world, self.books))
        self.world.seen += ["opened"] * bool(self.books.opens)
        self.sound = True

    def mail_with(self, kind: str, which: int) -> Mail:
        mails = self.world.mails_with(kind)
        return mails[-1 - which % len(mails)]

    # --- consent, mails and opens -------------------------------------------------------------------------------------

    @initialize(choices=st.tuples(*[profiles] * len(PEOPLE)))
    def some_have_joined_and_read_the_blog(self, choices: Sequence[set[Purpose]]) -> None:
        joining = [self.world.join(who, chosen) for who, chosen in zip(PEOPLE, choices, strict=True) if chosen]
        self.do(*joining, self.world.mail_that_is_opened(BLOG, PLAIN, USER_AGENTS[0]))

    @rule(address=addresses, asked=profiles.filter(bool), confirmed=st.booleans())
    def sign_up(self, address: str, asked: set[Purpose], confirmed: bool) -> None:
        self.do(self.world.join(address, asked) if confirmed else self.world.sign_up(address, asked))

    @precondition(has("c"))
    @rule(which=whichever, ticked=profiles, again=st.booleans())
    def answer_a_question(self, which: int, ticked: set[Purpose], again: bool) -> None:
        mail = self.mail_with("c", which)
        self.do(self.world.ask_for_new_link(mail) if again else self.world.confirm(mail, ticked))

    @rule(purpose=newsletters, user_agent=st.sampled_from(USER_AGENTS))
    def send_to_everybody_who_then_opens_it(self, purpose: Purpose, user_agent: str) -> None:
        self.do(self.world.mail_that_is_opened(purpose, PLAIN, user_agent))

    @rule(to=st.lists(addresses, min_size=1, max_size=4), purpose=mailings)
    def send(self, to: Sequence[str], purpose: Purpose) -> None:
        content = ORDER if purpose == SERVICE else PLAIN
        self.do(self.world.send(purpose, content, to, f"mailing {self.world.sends}"))

    @rule(purpose=mailings, plan=plans, meanwhile=st.tuples(acts_meanwhile, whichever), early=st.booleans())
    def deliver_through_trouble(
        self, purpose: Purpose, plan: Sequence[str], meanwhile: tuple[str, int], early: bool
    ) -> None:
        """Somebody changes their mind before the relay takes the first mail, or while it does."""

        async def deliver() -> None:
            if purpose == SERVICE:
                await self.world.send(purpose, ORDER, PEOPLE, f"order {self.world.sends}")
            else:
                await self.world.send_to_everybody(purpose, PLAIN)
            await self.world.deliver(plan, self._happening(*meanwhile), early=early)

        self.do(deliver())

    def _happening(self, what: str, which: int) -> Callable[[], Act] | None:
        somebody = PEOPLE[which % len(PEOPLE)]
        if what == "move":
            return partial(self.world.confirm_new_address, self.mail_with("a", which)) if has("a")(self) else None
        return partial(self._right(what), somebody)

    @rule()
    def deliver(self) -> None:
        self.do(self.world.deliver())

    @precondition(has("o"))
    @rule(which=whichever, then=st.sampled_from(("commit", "commit", "wait", "crash")))
    def open(self, which: int, then: str) -> None:
        async def get() -> None:
            await self.world.open(self.mail_with("o", which), USER_AGENTS[0])
            if then == "commit":
                await self.world.flush()
            elif then == "crash":
                self.world.recorder_crashes()

        self.do(get())

    # --- leaving ------------------------------------------------------------------------------------------------------

    @precondition(has("t"))
    @rule(which=whichever)
    def stop_tracking(self, which: int) -> None:
        self.do(self.world.stop_tracking(self.mail_with("t", which)))

    @precondition(has("u"))
    @rule(which=whichever)
    def unsubscribe(self, which: int) -> None:
        self.do(self.world.unsubscribe(self.mail_with("u", which), Source.ONE_CLICK))

    @precondition(has("p"))
    @rule(which=whichever, shown=purposes, wanted=profiles, all_of_it=st.booleans())
    def save_preferences(self, which: int, shown: set[Purpose], wanted: set[Purpose], all_of_it: bool) -> None:
        mail = self.mail_with("p", which)
        self.do(self.world.stop_all(mail) if all_of_it else self.world.save_preferences(mail, shown, wanted & shown))

    # --- rights -------------------------------------------------------------------------------------------------------

    @rule(address=addresses, ordered=st.booleans())
    def restrict(self, address: str, ordered: bool) -> None:
        """Also while the mail about an order waits, which no consent decides about."""
        order = [self.world.send(SERVICE, ORDER, [address], f"order {self.world.sends}")] if ordered else []
        self.do(*order, self.world.restrict(address), self.world.deliver())

    @rule(address=addresses)
    def lift(self, address: str) -> None:
        self.do(self.world.lift(address))

    @rule(address=addresses)
    def object(self, address: str) -> None:
        self.do(self.world.object(address))

    @rule(address=addresses)
    def delete_my_opens(self, address: str) -> None:
        self.do(self.world.delete_opens(address))

    @rule(address=addresses)
    def have_oneself_erased(self, address: str) -> None:
        self.do(self.world.erase(address))

    @rule(address=addresses)
    def correct(self, address: str) -> None:
        self.names += 1
        self.do(self.world.correct(address, f"unverwechselbar-{self.names}-x"))

    @rule(address=addresses, new=addresses)
    def ask_for_another_address(self, address: str, new: str) -> None:
        self.do(self.world.ask_new_address(address, new), self.world.deliver())

    @precondition(has("a"))
    @rule(which=whichever)
    def confirm_another_address(self, which: int) -> None:
        self.do(self.world.confirm_new_address(self.mail_with("a", which)))

    # --- what happens to everybody ------------------------------------------------------------------------------------

    @rule(rows=st.lists(contacts, min_size=2, max_size=6))
    def bring_in(self, rows: Sequence[Contact]) -> None:
        self.do(self.world.bring_in(rows))

    @rule(by=jumps, purge=st.booleans())
    def wait(self, by: timedelta, purge: bool) -> None:
        self.world.clock.move(by)
        self.do(*([self.world.let_periods_end()] if purge else []))

    @precondition(lambda self: self.world.db.is_sqlite)
    @rule()
    def back_up(self) -> None:
        self.do(self.world.back_up())

    @precondition(lambda self: self.world.backup is not None)
    @rule()
    def restore(self) -> None:
        self.do(self.world.restore())

    @precondition(lambda self: self.world.db.is_sqlite)
    @rule(
        right=st.sampled_from(("restrict", "lift", "object", "delete_opens", "withdraw", "erase", "move")),
        address=addresses,
    )
    def lose_the_disk_after(self, right: str, address: str) -> None:
        """What a random order seldom does: just this between a backup and its restore."""
        act = self._moving(address) if right == "move" else self._right(right)(address)
        self.do(self.world.back_up(), act, self.world.restore())

    def _right(self, name: str) -> Callable[[str], Act]:
        rights: Mapping[str, Callable[[str], Act]] = {
            "restrict": self.world.restrict,
            "lift": self.world.lift,
            "object": self.world.object,
            "delete_opens": self.world.delete_opens,
            "withdraw": self.world.withdraw,
            "erase": self.world.erase,
        }
        return rights[name]

    async def _moving(self, address: str) -> None:
        await self.world.ask_new_address(address, NEW_ADDRESSES[0])
        await self.world.deliver()
        if has("a")(self):
            await self.world.confirm_new_address(self.mail_with("a", 0))


def run(new_database: NewDatabase, *, examples: int) -> Counter[str]:
    class Machine(EveryRight):
        pass

    Machine.new_database, Machine.seen = staticmethod(new_database), Counter()
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return Machine.seen


@pytest.mark.slow
def test_every_right_holds_in_any_order(new_sqlite: NewDatabase) -> None:
    seen = run(new_sqlite, examples=scaled(200, quick=10))
    # A machine that does nothing finds nothing.
    assert {"imported", "opened", "restored"} <= seen.keys()
    if FULL:
        assert {act.value for act in Noted} <= seen.keys()


@pytest.mark.slow
def test_every_right_holds_in_any_order_on_postgresql(new_postgres: NewDatabase) -> None:
    run(new_postgres, examples=scaled(20, quick=1))
