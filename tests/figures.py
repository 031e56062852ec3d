"""What every test of opens may ask at its end: whether the figures say what the rows say."""

from pixel_service.storage import figures_check
from pixel_service.storage.engine import Database
from pixel_service.storage.figures_check import Difference


async def differences(db: Database) -> list[Difference]:
    async with db.snapshot() as connection:
        return [one async for one in figures_check.differences(connection, repair=False)]
