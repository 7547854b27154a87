"""when an event was stored, so that it can go after a while"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("events", sa.Column("stored_at", sa.Float(), nullable=False, server_default="0"))
    # What is there was stored when it happened, as far as is known.
    op.execute("UPDATE events SET stored_at = at")


def downgrade() -> None:
    op.drop_column("events", "stored_at")
