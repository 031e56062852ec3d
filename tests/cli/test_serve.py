"""`serve` as a process."""

from pathlib import Path

import pytest

from tests.conftest import NewDatabase
from tests.journeys.service import serving


async def test_the_service_runs_on_uvloop(new_sqlite: NewDatabase) -> None:
    """uvicorn chooses it only for a loop that it makes itself; ours is made before."""
    async with serving(new_sqlite(), smtp_port=1) as service:
        assert "/uvloop/" in libraries(service.running.pid)


def libraries(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/maps").read_text()
    except FileNotFoundError:
        pytest.skip("this system does not tell what a process has loaded")
