"""Since when a pixel counts again: what waited while its opens were deleted is not stored afterwards."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from pixel_service.storage import columns

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("pixels", sa.Column("reopened_at", columns.Moment(timezone=True), nullable=True))
