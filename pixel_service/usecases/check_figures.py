"""Prove that reports show what the rows say; repair where they do not (DESIGN rule 13)."""

from collections.abc import Callable

from pixel_service.storage import figures_check
from pixel_service.storage.engine import Connection
from pixel_service.storage.figures_check import Difference
from pixel_service.usecases.context import Context


async def check_figures(ctx: Context, on_difference: Callable[[Difference], object]) -> int:
    """Returns how many differences there are. Nothing waits for it, nothing is changed."""
    async with ctx.db.snapshot() as connection:
        await figures_check.take_time(connection)
        return await _tell(connection, on_difference, repair=False)


async def repair_figures(ctx: Context, on_difference: Callable[[Difference], object]) -> int:
    """The same, and afterwards there is none. Until it ends nothing is recorded, sent or withdrawn."""
    async with ctx.db.write() as connection:
        await figures_check.take_time(connection)
        await figures_check.hold_everything(connection)
        return await _tell(connection, on_difference, repair=True)


async def _tell(connection: Connection, on_difference: Callable[[Difference], object], *, repair: bool) -> int:
    number = 0
    async for one in figures_check.differences(connection, repair=repair):
        on_difference(one)
        number += 1
    return number
