"""What every test may ask for: a migrated database of either kind, and a browser.

PostgreSQL is started once per run, by the process that hands out the tests, and shared by its workers. A test that asks
for `database_url` or `db` runs twice, on SQLite and on PostgreSQL. With PIXEL_TEST_REQUIRE=all a skip is a failure.
"""

import os
import shutil
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from pixel_service.storage.engine import Database
from pixel_service.storage.migrations import migrate
from tests import chromium as chromium_browser, postgres

if TYPE_CHECKING:
    from playwright.async_api import Browser
    from xdist.workermanage import WorkerController

#: Makes one more database, migrated and empty, and returns its URL.
NewDatabase = Callable[[], str]

_RUN = pytest.StashKey[ExitStack]()
_SERVER = pytest.StashKey[postgres.Server | None]()


# --- a skip is a failure where everything is required ------------------------------------------------------


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("PIXEL_TEST_REQUIRE") == "all":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"PIXEL_TEST_REQUIRE=all, but: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


# --- the order of a run, and what is measured ---------------------------------------------------------------


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    _spread(items)
    for item in items:
        if not _is_measured(item):
            item.add_marker("no_cover")


def _spread(items: list[pytest.Item]) -> None:
    """Slow tests are spread over the run, a file as a whole: side by side they starve each other, at the end all wait for
    them. Those at a browser stay with their file, which shares a running service."""
    groups: dict[Path, list[pytest.Item]] = {}
    for item in items:
        if _is_slow(item) and "browser" not in item.path.parts:
            groups.setdefault(item.path, []).append(item)
    moved = {item for group in groups.values() for item in group}
    others = [item for item in items if item not in moved]
    for number, group in enumerate(groups.values()):
        # From behind, so that what was put in does not move the places left.
        place = len(others) * (len(groups) - number - 1) * 9 // (len(groups) * 10)
        others[place:place] = group
    items[:] = others


def _is_slow(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None


def _is_measured(item: pytest.Item) -> bool:
    """Measuring coverage doubles the time of a test. What a slow test or one on the second database runs, quick ones on the
    first run too; only storage differs between databases."""
    second = "postgresql" in item.name and "storage" not in item.path.parts
    return not _is_slow(item) and not second


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """What such a test starts is not measured either."""
    config = None if _is_measured(item) else os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    try:
        yield
    finally:
        if config is not None:
            os.environ["COVERAGE_PROCESS_CONFIG"] = config


@pytest.fixture(autouse=True)
def _no_log_outlives_its_stream() -> Iterator[None]:
    """A command run inside a test writes its log to that test's captured output."""
    yield
    structlog.reset_defaults()


# --- one PostgreSQL server per run ------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RUN] = ExitStack()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_RUN].close()


def _server_of_this_run(config: pytest.Config) -> postgres.Server | None:
    if _SERVER not in config.stash:
        config.stash[_SERVER] = config.stash[_RUN].enter_context(postgres.start_server())
    return config.stash[_SERVER]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: "WorkerController") -> None:
    server = _server_of_this_run(node.config)
    node.workerinput["postgres"] = None if server is None else (server.url, str(server.folder or ""))


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> postgres.Server:
    """Where a test needs the server itself, e.g. to cut connections."""
    handed_down = getattr(request.config, "workerinput", None)
    if handed_down is None:
        server = _server_of_this_run(request.config)
    elif handed_down["postgres"] is None:
        server = None
    else:
        url, folder = handed_down["postgres"]
        server = postgres.Server(url=url, folder=Path(folder) if folder else None)
    if server is None:
        pytest.skip(postgres.INSTALL)
    server.wait_until_ready()
    return server


# --- databases --------------------------------------------------------------------------------------------


async def _migrate(url: str) -> None:
    database = Database(url)
    try:
        await migrate(database)
    finally:
        await database.close()


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: postgres.Server) -> Iterator[str]:
    name = postgres_server.create()
    postgres.in_thread(_migrate(postgres_server.url_of(name)))
    yield name
    postgres_server.drop(name)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "pixel.db"
    postgres.in_thread(_migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
def new_postgres(postgres_server: postgres.Server, _postgres_template: str) -> Iterator[NewDatabase]:
    made: list[str] = []

    def make() -> str:
        made.append(postgres_server.create(template=_postgres_template))
        return postgres_server.url_of(made[-1])

    yield make
    for name in made:
        postgres_server.drop(name)


@pytest.fixture
def new_sqlite(tmp_path: Path, _sqlite_template: Path) -> NewDatabase:
    made: list[Path] = []

    def make() -> str:
        made.append(tmp_path / f"pixel-{len(made)}.db")
        shutil.copyfile(_sqlite_template, made[-1])
        return f"sqlite:///{made[-1]}"

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest) -> NewDatabase:
    make: NewDatabase = request.getfixturevalue({"sqlite": "new_sqlite", "postgresql": "new_postgres"}[request.param])
    return make


@pytest.fixture
def database_url(new_database: NewDatabase) -> str:
    return new_database()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


# --- a browser --------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chromium() -> Iterator[str]:
    """Where the running browser is reached."""
    found = chromium_browser.find_chromium()
    if found is None:
        pytest.skip(chromium_browser.INSTALL)
    with chromium_browser.run_chromium(found) as address:
        yield address


@pytest.fixture
async def browser(chromium: str) -> AsyncIterator["Browser"]:
    async with chromium_browser.open_browser(chromium) as opened:
        yield opened
