"""Sign up, confirm, send, deliver, open, withdraw, crash and wait, in any order: the promises hold after every step."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from pixel_service.domain.consent import SERVICE, Purpose
from pixel_service.domain.errors import InvalidInput
from pixel_service.storage.engine import Database
from pixel_service.usecases.content import Content
from pixel_service.usecases.withdraw import Source
from tests.builders import BLOG, GLASFASER, OPENS
from tests.conftest import NewDatabase
from tests.journeys.invariants import check
from tests.journeys.machine import LEASE, NETZ, PEOPLE, PURPOSES, Mail, World

TEMPLATE = Content(
    subject="November", template="newsletter", html=None, text=None, variables={"headline": "Glasfaser", "intro": "Neu."}
)
PLAIN = Content(subject="Neu", template=None, html="<p>{{ greeting }}, es gibt Neues.</p>", text=None, variables={})
#: Its link differs from person to person, so it measures like a pixel.
PERSONAL = Content(
    subject="Neu", template=None, html='<p><a href="https://shop.example/{{ code }}">Neues</a></p>', text=None, variables={}
)
USER_AGENTS = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
    "Mozilla/5.0",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "curl/8.5.0",
    "",
)

people = st.sampled_from(PEOPLE)
purposes = st.sets(st.sampled_from(PURPOSES), min_size=1)
some_purposes = st.sets(st.sampled_from(PURPOSES))
newsletters = st.sampled_from((BLOG, NETZ))
campaigns = st.sampled_from(("October", "November"))
contents = st.sampled_from((TEMPLATE, PLAIN, PERSONAL))
plans = st.lists(st.sampled_from(("accept", "defer", "reject", "die")), min_size=1, max_size=4)
#: 0 is the newest.
whichever = st.integers(0, 30)
jumps = st.sampled_from(
    (timedelta(minutes=1), 2 * LEASE, timedelta(hours=6), timedelta(days=8), timedelta(days=31), timedelta(days=190))
)


def has(kind: str) -> Callable[["AnyOrder"], bool]:
    return lambda self: bool(self.world.mails_with(kind))


class AnyOrder(RuleBasedStateMachine):
    """The database comes from the test that runs it."""

    new_database: NewDatabase

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world = self.runner.run(self._open())

    async def _open(self) -> World:
        return World(Database(self.new_database()))

    def teardown(self) -> None:
        self.runner.run(self.world.db.close())
        self.runner.close()

    def do(self, act: Coroutine[Any, Any, object]) -> None:
        """One step, a second later, and the look at everything after it."""
        self.world.clock.move(timedelta(seconds=1))
        self.runner.run(act)
        self.runner.run(check(self.world))

    def mail_with(self, kind: str, which: int) -> Mail:
        mails = self.world.mails_with(kind)
        return mails[-1 - which % len(mails)]

    # --- asking and agreeing --------------------------------------------------------------------------------

    @rule(address=people, asked=purposes)
    def sign_up(self, address: str, asked: set[Purpose]) -> None:
        if asked == {OPENS}:
            with pytest.raises(InvalidInput):
                self.do(self.world.sign_up(address, asked))
        else:
            self.do(self.world.sign_up(address, asked))

    @rule(address=people, asked=purposes)
    def join(self, address: str, asked: set[Purpose]) -> None:
        """What most people do: sign up, get the mail, agree to everything."""
        asked = {BLOG, *asked}

        async def all_of_it() -> None:
            await self.world.sign_up(address, asked)
            await self.world.deliver()
            mine = [mail for mail in self.world.mails_with("c") if mail.address == address]
            if mine:
                await self.world.confirm(mine[-1], asked)

        self.do(all_of_it())

    @precondition(has("c"))
    @rule(which=whichever, ticked=some_purposes)
    def confirm(self, which: int, ticked: set[Purpose]) -> None:
        self.do(self.world.confirm(self.mail_with("c", which), ticked))

    @precondition(has("c"))
    @rule(which=whichever)
    def ask_for_new_link(self, which: int) -> None:
        self.do(self.world.ask_for_new_link(self.mail_with("c", which)))

    # --- sending --------------------------------------------------------------------------------------------

    @rule(
        to=st.none() | st.lists(people, min_size=1, max_size=4),
        purpose=newsletters,
        content=contents,
        campaign=campaigns,
        at_once=st.booleans(),
    )
    def send(self, to: Sequence[str] | None, purpose: Purpose, content: Content, campaign: str, at_once: bool) -> None:
        async def send() -> None:
            try:
                await self.world.send(purpose, content, to, f"{campaign} {purpose}")
            except InvalidInput:
                # An audience has no code of its own for everybody.
                assert (to, content) == (None, PERSONAL)
                return
            if at_once:
                await self.world.expand()
                await self.world.deliver()

        self.do(send())

    @rule(to=st.lists(st.sampled_from((*PEOPLE, "stranger@example.com")), min_size=1, max_size=2))
    def send_service_mail(self, to: Sequence[str]) -> None:
        self.do(self.world.send(SERVICE, PLAIN, to, "Störung"))

    @rule()
    def expand(self) -> None:
        self.do(self.world.expand())

    @rule()
    def deliver(self) -> None:
        self.do(self.world.deliver())

    @rule(plan=plans)
    def deliver_through_trouble(self, plan: Sequence[str]) -> None:
        self.do(self.world.deliver(plan))

    @precondition(has("p"))
    @rule(which=whichever, plan=plans)
    def deliver_while_somebody_leaves(self, which: int, plan: Sequence[str]) -> None:
        mail = self.mail_with("p", which)
        self.do(self.world.deliver(plan, lambda: self.world.stop_all(mail)))

    @precondition(has("t"))
    @rule(which=whichever, plan=plans)
    def deliver_while_somebody_stops_tracking(self, which: int, plan: Sequence[str]) -> None:
        mail = self.mail_with("t", which)
        self.do(self.world.deliver(plan, lambda: self.world.stop_tracking(mail)))

    @rule(plan=plans)
    def deliver_slower_than_the_lease(self, plan: Sequence[str]) -> None:
        self.do(self.world.deliver(plan, self.world.another_worker))

    # --- opening --------------------------------------------------------------------------------------------

    @precondition(has("o"))
    @rule(which=whichever, user_agent=st.sampled_from(USER_AGENTS), at_once=st.booleans())
    def open(self, which: int, user_agent: str, at_once: bool) -> None:
        async def get() -> None:
            await self.world.open(self.mail_with("o", which), user_agent)
            if at_once:
                await self.world.flush()

        self.do(get())

    @rule(token=st.sampled_from(("", "a" * 42, "a" * 41 + "q", "../../etc/passwd", "mzxw6ytboi")))
    def open_a_forged_pixel(self, token: str) -> None:
        self.do(self.world.get_pixel(f"{token}.gif", USER_AGENTS[0]))

    @rule()
    def commit_opens(self) -> None:
        self.do(self.world.flush())

    @rule()
    def crash_the_recorder(self) -> None:
        self.world.recorder_crashes()
        self.do(asyncio.sleep(0))

    # --- leaving --------------------------------------------------------------------------------------------

    @precondition(has("t"))
    @rule(which=whichever)
    def stop_tracking(self, which: int) -> None:
        self.do(self.world.stop_tracking(self.mail_with("t", which)))

    @precondition(has("u"))
    @rule(which=whichever, source=st.sampled_from((Source.ONE_CLICK, Source.UNSUBSCRIBE_PAGE)))
    def unsubscribe(self, which: int, source: Source) -> None:
        self.do(self.world.unsubscribe(self.mail_with("u", which), source))

    @precondition(has("p"))
    @rule(which=whichever, shown=purposes, wanted=some_purposes)
    def save_preferences(self, which: int, shown: set[Purpose], wanted: set[Purpose]) -> None:
        self.do(self.world.save_preferences(self.mail_with("p", which), shown, wanted & shown))

    @precondition(has("p"))
    @rule(which=whichever)
    def stop_all(self, which: int) -> None:
        self.do(self.world.stop_all(self.mail_with("p", which)))

    # --- waiting --------------------------------------------------------------------------------------------

    @rule(by=jumps)
    def wait(self, by: timedelta) -> None:
        self.world.clock.move(by)
        self.do(asyncio.sleep(0))


def run(new_database: NewDatabase, *, examples: int) -> None:
    class Machine(AnyOrder):
        pass

    Machine.new_database = staticmethod(new_database)
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


@pytest.mark.slow
def test_the_promises_hold_in_any_order(new_sqlite: NewDatabase) -> None:
    run(new_sqlite, examples=20)


@pytest.mark.slow
def test_the_promises_hold_in_any_order_on_postgresql(new_postgres: NewDatabase) -> None:
    run(new_postgres, examples=10)
