"""Audience rulings."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "audience_rulings",
        sa.Column("send_id", sa.String(length=26), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("results", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["send_id"], ["sends.send_id"], name=op.f("fk_audience_rulings_send_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("send_id", "first", name=op.f("pk_audience_rulings")),
    )
