"""What is known of each opened message, and the figures of campaigns; both are filled from the rows there are."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from pixel_service.storage import columns

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "campaign_figures",
        sa.Column("campaign_id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=110), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.campaign_id"], name=op.f("fk_campaign_figures_campaign_id")
        ),
        sa.PrimaryKeyConstraint("campaign_id", "kind", "name", "hour", name=op.f("pk_campaign_figures")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "message_opens",
        sa.Column("message_id", sa.String(length=26), nullable=False),
        sa.Column("standing", sa.String(length=10), nullable=False),
        sa.Column("sessions", sa.Integer(), nullable=False),
        sa.Column("first_human_at", columns.Moment(timezone=True), nullable=True),
        sa.Column("times", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.message_id"], name=op.f("fk_message_opens_message_id")),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_message_opens")),
        sqlite_with_rowid=False,
    )
    op.add_column("campaigns", sa.Column("tags", sa.JSON(), server_default="[]", nullable=False))
    op.create_index(op.f("ix_ledger_at"), "ledger", ["at"], unique=False)
    op.drop_index(op.f("ix_messages_campaign_id_tracking"), table_name="messages")
    op.create_index("ix_messages_campaign_id_sent_at", "messages", ["campaign_id", "sent_at"], unique=False)
    op.add_column("opens", sa.Column("rules", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("pixels", sa.Column("handed_over_at", columns.Moment(timezone=True), nullable=True))
    fill()


#: As judged when it was written; by rank, best first.
_JUDGED = """
judged AS (
  SELECT opens.message_id, opens.opened_at, {opened} AS second, opens.client_family,
    opens.verdict || '/' || opens.reason || '/' || opens.client_family AS name,
    CASE WHEN opens.verdict IN ('human_client', 'proxy_open') THEN 0
      WHEN opens.verdict NOT IN ('prefetch', 'scanner', 'bot') THEN 2
      WHEN opens.reason = 'apple_mpp' THEN 1 ELSE 3 END AS rank
  FROM opens
)
"""
_STANDING = "CASE {rank} WHEN 0 THEN 'human' WHEN 1 THEN 'mpp' WHEN 2 THEN 'unknown' ELSE 'machine' END"
_GROUP = "CASE rank WHEN 0 THEN 'opens' WHEN 2 THEN 'unknown' ELSE 'machine' END"
_MESSAGES = """
WITH {judged},
gaps AS (
  SELECT message_id, opened_at, second - lag(second) OVER (PARTITION BY message_id ORDER BY second) AS gap
  FROM judged WHERE rank = 0
),
human AS (
  SELECT message_id, min(opened_at) AS first_human_at, 1 + sum(CASE WHEN gap >= 1800 THEN 1 ELSE 0 END) AS sessions
  FROM gaps GROUP BY message_id
),
pairs AS (
  SELECT message_id, rank, {standing_of_row} || '/' || client_family AS pair, {ordered} AS times
  FROM judged
),
known AS (
  SELECT message_id, min(rank) AS rank, {times} AS times FROM (SELECT message_id, rank, pair, {one} AS times FROM pairs
    GROUP BY message_id, rank, pair) AS each_pair
  GROUP BY message_id
)
INSERT INTO message_opens (message_id, standing, sessions, first_human_at, times)
SELECT known.message_id, {standing_of_known}, coalesce(human.sessions, 0), human.first_human_at, known.times
FROM known LEFT JOIN human ON human.message_id = known.message_id
"""
_FIGURES = """
WITH {judged},
mails AS (
  SELECT messages.message_id, messages.campaign_id, messages.tracking, {sent} AS accepted,
    message_opens.standing, message_opens.sessions, {first} AS first
  FROM messages LEFT JOIN message_opens ON message_opens.message_id = messages.message_id
  WHERE messages.campaign_id IS NOT NULL
),
tracked AS (SELECT * FROM mails WHERE tracking = 'tracked' AND standing IS NOT NULL),
seen AS (SELECT tracked.campaign_id, judged.* FROM judged JOIN tracked ON tracked.message_id = judged.message_id)
INSERT INTO campaign_figures (campaign_id, kind, name, hour, amount)
SELECT campaign_id, 'message', tracking, 0, count(*) FROM mails
  WHERE accepted IS NOT NULL OR standing IS NOT NULL GROUP BY campaign_id, tracking
UNION ALL SELECT campaign_id, 'standing', standing, 0, count(*) FROM tracked GROUP BY campaign_id, standing
UNION ALL SELECT campaign_id, 'first', '', first / 3600, count(*) FROM tracked
  WHERE first IS NOT NULL GROUP BY campaign_id, first / 3600
UNION ALL SELECT campaign_id, 'session', '', 0, sum(sessions) FROM tracked
  WHERE first IS NOT NULL GROUP BY campaign_id
UNION ALL SELECT campaign_id, 'delay', bucket, 0, count(*) FROM (
  SELECT campaign_id, CASE WHEN first - accepted < 60 THEN '1m' WHEN first - accepted < 600 THEN '10m'
    WHEN first - accepted < 3600 THEN '1h' WHEN first - accepted < 21600 THEN '6h' WHEN first - accepted < 86400 THEN '1d'
    WHEN first - accepted < 259200 THEN '3d' WHEN first - accepted < 604800 THEN '7d'
    WHEN first - accepted < 2592000 THEN '30d' ELSE 'later' END AS bucket
  FROM tracked WHERE first >= accepted) AS delays GROUP BY campaign_id, bucket
UNION ALL SELECT campaign_id, 'opens', of_group, hour, count(*) FROM (
  SELECT campaign_id, {group} AS of_group, second / 3600 AS hour FROM seen) AS hours GROUP BY campaign_id, of_group, hour
UNION ALL SELECT campaign_id, 'verdict', name, 0, count(*) FROM seen GROUP BY campaign_id, name
UNION ALL SELECT campaign_id, 'unique', of_group, 0, count(DISTINCT message_id) FROM (
  SELECT campaign_id, message_id, {group} AS of_group FROM seen) AS groups GROUP BY campaign_id, of_group
UNION ALL SELECT campaign_id, 'client', client_family, 0, count(DISTINCT message_id) FROM seen
  WHERE rank = 0 GROUP BY campaign_id, client_family
"""
_ON_SQLITE = {
    "ordered": "json_group_array(second) OVER (PARTITION BY message_id, rank, client_family ORDER BY second"
    " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)",
    "one": "min(times)",
    "times": "json_group_object(pair, json(times))",
}
_ON_POSTGRESQL = {"ordered": "second", "one": "json_agg(times ORDER BY times)", "times": "json_object_agg(pair, times)"}


def fill() -> None:
    connection = op.get_bind()
    on_sqlite = connection.dialect.name == "sqlite"

    def seconds(moment: str) -> str:
        if on_sqlite:
            return f"CAST(strftime('%s', substr({moment}, 1, 19)) AS INTEGER)"
        return f"CAST(floor(extract(epoch FROM {moment})) AS BIGINT)"

    words = {
        "judged": _JUDGED.format(opened=seconds("opens.opened_at")),
        "standing_of_row": _STANDING.format(rank="rank"),
        "standing_of_known": _STANDING.format(rank="known.rank"),
        "group": _GROUP,
        "sent": seconds("messages.sent_at"),
        "first": seconds("message_opens.first_human_at"),
        **(_ON_SQLITE if on_sqlite else _ON_POSTGRESQL),
    }
    for statement in (_MESSAGES, _FIGURES):
        connection.exec_driver_sql(statement.format(**words))
