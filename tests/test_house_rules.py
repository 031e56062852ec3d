"""The rules of the house that no other tool checks. Import directions are contracts in pyproject.toml."""

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData, inspect

from pixel_service.domain import errors
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import metadata

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pixel_service"
#: Written once, then frozen: neither their length nor their style is ours to change.
FROZEN = PACKAGE / "storage" / "migrations" / "versions"
#: Only these know what time it is and toss coins.
MAY_ASK_THE_WORLD = re.compile(r"^pixel_service/(app|cli|demo)(\.py$|/)")
ASKS_THE_WORLD = re.compile(
    r"\b((datetime|date|dt)\.(now|utcnow|today)|time\.time(_ns)?|uuid[14]|os\.urandom|secrets\.\w+|random\.\w+)\("
)
CACHES = {".mypy_cache", ".pytest_cache", ".ruff_cache", ".import_linter_cache", ".hypothesis", "__pycache__"}
BUILT = {".git", ".venv", "dist", "var", *CACHES}
LOCKS = sorted(ROOT.glob("requirements*.lock"))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _modules(*folders: Path) -> list[Path]:
    found = [path for folder in folders for path in sorted(folder.rglob("*.py")) if FROZEN not in path.parents]
    assert found
    return found


def _functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def _place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def _is_command(function: Function) -> bool:
    """Typer reads a command's options from its parameters."""
    return any(".command" in ast.unparse(decorator) for decorator in function.decorator_list)


def _parameters(function: Function) -> int:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return len([argument for argument in named if argument.arg not in {"self", "cls"}])


# --- size -------------------------------------------------------------------------------------------------


def test_no_file_is_longer_than_300_lines() -> None:
    lengths = {_place(path, 1): len(path.read_text(encoding="utf-8").splitlines()) for path in _modules(PACKAGE)}
    assert {place: length for place, length in lengths.items() if length > 300} == {}


def test_no_function_is_longer_than_50_lines() -> None:
    lengths = {
        f"{_place(path, function.lineno)} {function.name}": (function.end_lineno or 0) - function.lineno + 1
        for path in _modules(PACKAGE)
        for function in _functions(path)
    }
    assert {place: length for place, length in lengths.items() if length > 50} == {}


def test_no_function_takes_more_than_7_parameters() -> None:
    counts = {
        f"{_place(path, function.lineno)} {function.name}": _parameters(function)
        for path in _modules(PACKAGE)
        for function in _functions(path)
        if not _is_command(function)
    }
    assert {place: count for place, count in counts.items() if count > 7} == {}


def test_no_file_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "util", "helpers", "helper", "base", "common", "manager", "managers", "misc"}
    assert [_place(path, 1) for path in _modules(PACKAGE, ROOT / "tests") if path.stem in empty] == []


def test_every_module_opens_by_saying_what_it_is() -> None:
    silent = [
        _place(path, 1)
        for path in _modules(PACKAGE)
        if (code := path.read_text(encoding="utf-8")).strip() and ast.get_docstring(ast.parse(code)) is None
    ]
    assert silent == []


# --- time, chance and fakes ---------------------------------------------------------------------------------


def test_only_the_composition_root_asks_for_the_time_or_tosses_coins() -> None:
    """Ruff bans the names too; this also finds what a `noqa` mutes."""
    asking = [
        f"{_place(path, number)} {line.strip()}"
        for path in _modules(PACKAGE)
        if not MAY_ASK_THE_WORLD.match(path.relative_to(ROOT).as_posix())
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if ASKS_THE_WORLD.search(line)
    ]
    assert asking == []


def test_no_test_patches_what_it_tests() -> None:
    pattern = re.compile(r"\bunittest\s*import\s+mock\b|\bunittest" + r"\.mock\b|\bmock\.patch\b|\bmocker\b")
    patching = [
        _place(path, 1)
        for path in _modules(ROOT / "tests")
        if path != Path(__file__) and pattern.search(path.read_text(encoding="utf-8"))
    ]
    assert patching == []


# --- errors -------------------------------------------------------------------------------------------------


ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_passes_through_a_context_manager_unchanged(error: type[Exception]) -> None:
    """A frozen exception can not: Python sets its traceback on the way, and the caller sees another error."""

    @contextmanager
    def transaction() -> Iterator[None]:
        yield

    with pytest.raises(error), transaction():
        raise error.__new__(error)


# --- one schema ---------------------------------------------------------------------------------------------


def _shape(connection: Connection) -> dict[str, object]:
    """Everything both databases report of a table, without the order of its columns."""
    inspector = inspect(connection)
    return {
        table: {
            "columns": {
                column["name"]: {**column, "type": repr(column["type"])} for column in inspector.get_columns(table)
            },
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": sorted(inspector.get_foreign_keys(table), key=repr),
            "unique": sorted(inspector.get_unique_constraints(table), key=repr),
            "checks": sorted(inspector.get_check_constraints(table), key=repr),
            "indexes": sorted(inspector.get_indexes(table), key=repr),
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def _declare_anew(connection: Connection) -> None:
    migrated = MetaData()
    migrated.reflect(connection)
    migrated.drop_all(connection)
    metadata.create_all(connection)


async def test_the_migrated_schema_is_the_declared_schema(db: Database) -> None:
    async with db.write() as connection:
        migrated = await connection.run_sync(_shape)
        await connection.run_sync(_declare_anew)
        declared = await connection.run_sync(_shape)
    assert set(declared) == set(metadata.tables)
    assert migrated == declared


def test_the_privacy_notice_tells_exactly_the_columns_that_are_stored() -> None:
    """N1: what a new column holds, why and how long is written down in `domain/stored_data.py` with it."""
    from pixel_service.domain.stored_data import STORED

    told = [f"{table}.{column}" for table, held in STORED.items() for one in held for column in one]
    stored = [f"{table.name}.{column.name}" for table in metadata.tables.values() for column in table.columns]
    assert sorted(set(stored) - set(told)) == [], "stored, but told nowhere"
    assert sorted(told) == sorted(stored)


# --- settings -----------------------------------------------------------------------------------------------


def test_readme_names_every_setting_and_no_other() -> None:
    from pixel_service.settings import PREFIX, READ_ELSEWHERE, Settings

    settings = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    named = set(re.findall(r"\bPIXEL_[A-Z0-9_]+\b", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert named == settings | READ_ELSEWHERE


# --- the repository -----------------------------------------------------------------------------------------


def _texts() -> Iterator[tuple[Path, str]]:
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        measured = path.name.startswith(".coverage")
        if (
            BUILT.isdisjoint(parts)
            and not measured
            and path.is_file()
            and path.suffix not in {".pdf", ".png", ".gif", ".woff2", ".pyc"}
        ):
            yield path, path.read_text(encoding="utf-8", errors="replace")


def test_no_file_names_a_package_index_or_a_folder_of_one_machine() -> None:
    foreign = re.compile(
        r"https?://[^\s\"'/]*(pypi|pythonhosted|npmjs|debian)\b"  # hosts of package registries
        r"|https?://[^\s\"']+/simple\b"
        r"|(?<!emit-)\bindex[-_]url\s*[= ]\s*\S"
        r"|(?<![\w.~-])/(work|root|home)/\w"
    )
    found = [
        f"{_place(path, number)} {line.strip()[:100]}"
        for path, text in _texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if foreign.search(line)
    ]
    assert found == []


def _pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE))


def test_the_locks_hold_hashes_and_no_address() -> None:
    assert {lock.name for lock in LOCKS} == {"requirements.lock", "requirements-dev.lock", "requirements-build.lock"}
    for lock in LOCKS:
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text
        requirements = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", text, flags=re.MULTILINE | re.DOTALL)
        assert len(requirements) == len(_pins(lock)) > 0
        assert [entry.split()[0] for entry in requirements if "--hash=sha256:" not in entry] == []


def test_the_tests_run_with_the_versions_that_the_service_runs_with() -> None:
    runtime, dev, build = (_pins(ROOT / f"requirements{kind}.lock") for kind in ("", "-dev", "-build"))
    assert {name: pin for name, pin in (runtime | build).items() if dev.get(name) != pin} == {}
