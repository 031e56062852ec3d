"""Alembic's entry: runs on the connection `migrate` hands over, inside its transaction."""

from alembic import context

from pixel_service.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    user_module_prefix="columns.",
)
context.run_migrations()
