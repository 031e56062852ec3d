"""Sign up, confirm, send, deliver, open, withdraw, be erased, crash and wait, in any order: the promises hold after every step."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from pixel_service.domain.consent import SERVICE, Purpose
from pixel_service.domain.errors import InvalidInput
from pixel_service.storage.engine import Database
from pixel_service.usecases.content import Content
from pixel_service.usecases.withdraw import Source
from tests.builders import BLOG, GLASFASER, OPENS
from tests.conftest import NewDatabase
from tests.journeys.invariants import Books, check
from tests.journeys.machine import LEASE, NETZ, PEOPLE, PURPOSES, World
from tests.journeys.relay import Mail
from tests.scale import scaled

TEMPLATE = Content(
    subject="November",
    template="newsletter",
    html=None,
    text=None,
    variables={"headline": "Glasfaser", "intro": "Neu."},
)
PLAIN = Content(subject="Neu", template=None, html="<p>{{ greeting }}, es gibt Neues.</p>", text=None, variables={})
#: Its link differs from person to person, so it measures like a pixel.
PERSONAL = Content(
    subject="Neu",
    template=None,
    html='<p><a href="https://shop.example/{{ code }}">Neues</a></p>',
    text=None,
    variables={},
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
#: What people usually agree to.
profiles = st.sampled_from((set(PURPOSES), {BLOG, OPENS}, {BLOG, NETZ, OPENS}, {BLOG}, {GLASFASER, OPENS}, set()))
user_agents = st.sampled_from(USER_AGENTS)
newsletters = st.sampled_from((BLOG, NETZ))
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
        self.books: Books | None = None

    async def _open(self) -> World:
        return World(Database(self.new_database()))

    def teardown(self) -> None:
        self.runner.run(self.world.db.close())
        self.runner.close()

    def do(self, act: Coroutine[Any, Any, object]) -> None:
        """One step, a second later, and the look at everything after it."""
        self.world.clock.move(timedelta(seconds=1))
        self.runner.run(act)
        self.books = self.runner.run(check(self.world, self.books))

    def mail_with(self, kind: str, which: int) -> Mail:
        mails = self.world.mails_with(kind)
        return mails[-1 - which % len(mails)]

    # --- asking and agreeing --------------------------------------------------------------------------------

    @initialize(choices=st.tuples(*[profiles] * len(PEOPLE)))
    def some_have_joined_and_read_the_blog(self, choices: Sequence[set[Purpose]]) -> None:
        async def begin() -> None:
            for address, chosen in zip(PEOPLE, choices, strict=True):
                if chosen:
                    await self.world.join(address, chosen)
            await self.world.mail_that_is_opened(BLOG, TEMPLATE, USER_AGENTS[0], campaign="October newsletter:blog")

        self.do(begin())

    @rule(address=people, asked=purposes, at_once=st.booleans())
    def sign_up(self, address: str, asked: set[Purpose], at_once: bool) -> None:
        async def sign_up() -> None:
            if asked == {OPENS}:
                with pytest.raises(InvalidInput):
                    await self.world.sign_up(address, asked)
            else:
                await self.world.sign_up(address, asked)
            if at_once:
                await self.world.deliver()

        self.do(sign_up())

    @rule(address=people, asked=profiles.filter(bool))
    def join(self, address: str, asked: set[Purpose]) -> None:
        self.do(self.world.join(address, asked))

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
        to=st.none() | st.lists(st.sampled_from((*PEOPLE, "stranger@example.com")), min_size=1, max_size=4),
        purpose=st.sampled_from((BLOG, NETZ, SERVICE)),
        content=contents,
    )
    def send(self, to: Sequence[str] | None, purpose: Purpose, content: Content) -> None:
        """Into one campaign again and again: whoever had it does not get it twice."""

        async def send() -> None:
            try:
                await self.world.send(purpose, content, to, f"October {purpose}")
            except InvalidInput:
                # An audience has no code of its own for everybody, and nobody is the audience of service mail.
                assert to is None
                assert content is PERSONAL or purpose == SERVICE

        self.do(send())

    @rule(purpose=newsletters, user_agent=user_agents)
    def send_to_everybody_who_then_opens_it(self, purpose: Purpose, user_agent: str) -> None:
        self.do(self.world.mail_that_is_opened(purpose, TEMPLATE, user_agent))

    @rule(
        purpose=st.none() | newsletters,
        content=st.sampled_from((TEMPLATE, PLAIN)),
        plan=plans,
        meanwhile=st.sampled_from(("", "leave", "stop tracking", "be erased", "lease ends")),
        which=whichever,
        early=st.booleans(),
        again=st.booleans(),
    )
    def deliver_through_trouble(
        self,
        purpose: Purpose | None,
        content: Content,
        plan: Sequence[str],
        meanwhile: str,
        which: int,
        early: bool,
        again: bool,
    ) -> None:
        """Whatever the relay answers, and something that happens before it takes the first mail or while it does."""

        async def deliver() -> None:
            if purpose is not None:
                await self.world.send_to_everybody(purpose, content)
            await self.world.expand()
            await self.world.deliver(plan, self._happening(meanwhile, which), early=early)
            if again:
                self.world.clock.move(2 * LEASE)
                await self.world.deliver()

        self.do(deliver())

    def _happening(self, meanwhile: str, which: int) -> Callable[[], Coroutine[Any, Any, None]] | None:
        if meanwhile == "leave" and self.world.mails_with("p"):
            return partial(self.world.stop_all, self.mail_with("p", which))
        if meanwhile == "stop tracking" and self.world.mails_with("t"):
            return partial(self.world.stop_tracking, self.mail_with("t", which))
        if meanwhile == "be erased":
            return partial(self.world.erase, PEOPLE[which % len(PEOPLE)])
        return self.world.another_worker if meanwhile == "lease ends" else None

    # --- opening --------------------------------------------------------------------------------------------

    @precondition(has("o"))
    @rule(which=whichever, user_agent=user_agents, then=st.sampled_from(("commit", "commit", "wait", "crash")))
    def open(self, which: int, user_agent: str, then: str) -> None:
        async def get() -> None:
            await self.world.open(self.mail_with("o", which), user_agent)
            if then == "commit":
                await self.world.flush()
            elif then == "crash":
                self.world.recorder_crashes()

        self.do(get())

    @rule(token=st.sampled_from(("", "a" * 42, "a" * 41 + "q", "../../etc/passwd", "mzxw6ytboi")))
    def open_a_forged_pixel_and_commit_all(self, token: str) -> None:
        async def get() -> None:
            await self.world.get_pixel(f"{token}.gif", USER_AGENTS[0])
            await self.world.flush()

        self.do(get())

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
    @rule(which=whichever, shown=purposes, wanted=some_purposes, all_of_it=st.booleans())
    def save_preferences(self, which: int, shown: set[Purpose], wanted: set[Purpose], all_of_it: bool) -> None:
        mail = self.mail_with("p", which)
        self.do(self.world.stop_all(mail) if all_of_it else self.world.save_preferences(mail, shown, wanted & shown))

    @rule(address=people)
    def have_oneself_erased(self, address: str) -> None:
        self.do(self.world.erase(address))

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
    run(new_sqlite, examples=scaled(200, quick=15))


@pytest.mark.slow
def test_the_promises_hold_in_any_order_on_postgresql(new_postgres: NewDatabase) -> None:
    run(new_postgres, examples=scaled(50, quick=2))
