"""Reads the tables in tests/domain/data: groups that open with a line ``# what they have in common``, then rows."""

from pathlib import Path

DATA = Path(__file__).with_name("data")


def groups(name: str) -> dict[str, list[tuple[str, ...]]]:
    """Rows by the heading they stand under."""
    found: dict[str, list[tuple[str, ...]]] = {}
    heading = ""
    for line in (DATA / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            heading = line[2:]
            found[heading] = []
        elif line:
            found[heading].append(tuple(line.split("\t")))
    return found


def rows(name: str) -> list[tuple[str, ...]]:
    return [row for group in groups(name).values() for row in group]
