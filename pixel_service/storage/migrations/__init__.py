"""Forward migrations, the same on both databases. `migrate` is safe to start from several processes at once."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from pixel_service.storage.engine import Database

_MIGRATION_LOCK = 0x70_69_78_65_6D


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


async def migrate(database: Database) -> None:
    """Bring the schema to the newest version, in one transaction."""
    async with database.write() as connection:
        if not database.is_sqlite:
            # A migration may take its time, and so may waiting for another process that migrates.
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await connection.execute(text("SET LOCAL lock_timeout = 0"))
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def is_current(database: Database) -> bool:
    """Whether the database has exactly the schema this code was written for."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return await revision_of(database) == head


async def revision_of(database: Database) -> str | None:
    async with database.read() as connection:
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


def is_known(revision: str) -> bool:
    """Whether this code can migrate from there; a newer one's revisions it does not know."""
    return revision in {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
