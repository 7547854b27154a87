"""tries of the part that is being sent, since when it is in doubt, and indexes of what waits for a time"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("tries", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("asked_since", sa.Float(), nullable=False, server_default="0"))
    for name, column, only in (
        ("deliveries_timed", "due_at", "due_at > 0"),
        ("deliveries_ending", "expires_at", "expires_at IS NOT NULL AND settled_at = 0"),
    ):
        where = sa.text(only)
        op.create_index(name, "deliveries", ["account", column], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.drop_index("deliveries_ending", table_name="deliveries")
    op.drop_index("deliveries_timed", table_name="deliveries")
    op.drop_column("deliveries", "asked_since")
    op.drop_column("deliveries", "tries")
