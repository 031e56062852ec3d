"""`serve` runs web and jobs in one process, `work` jobs alone, `migrate` brings the schema up to date."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from pixel_service.cli.running import checked_settings, exit_on_error

if TYPE_CHECKING:
    from pixel_service.settings import Settings


def serve(
    jobs: Annotated[bool, typer.Option(help="Also deliver mail in this process.")] = True,
) -> None:
    """Run the service: pages, API, pixel and, unless told otherwise, the jobs."""
    from uvicorn.loops.auto import auto_loop_factory

    from pixel_service.cli.service import run_service

    settings = _settings_and_logs()
    # uvloop where it exists: uvicorn chooses it only for a loop that it starts itself.
    with exit_on_error(), asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(run_service(settings, with_jobs=jobs))


def work() -> None:
    """Run the jobs alone: mail delivery and audiences. Start as many as you like on PostgreSQL."""
    from pixel_service.cli.service import run_worker

    settings = _settings_and_logs()
    with exit_on_error():
        asyncio.run(run_worker(settings))


def migrate() -> None:
    """Bring the database's schema up to date. `serve` and `work` do so too when they start."""
    from pixel_service.cli.service import bring_up_to_date

    settings = checked_settings()
    with exit_on_error():
        asyncio.run(bring_up_to_date(settings))
    typer.echo("The schema is up to date.")


def _settings_and_logs() -> "Settings":
    from pixel_service.observability import configure_logging

    settings = checked_settings()
    configure_logging(level=settings.log_level, json=settings.log_format == "json")
    return settings
