"""how many parts a delivery has, the session of its last attempt, and which delivery it retries"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("parts", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("retry_of", sa.BigInteger()))
    op.add_column("deliveries", sa.Column("sent_as", sa.Text(), nullable=False, server_default=""))
    where = sa.text("retry_of IS NOT NULL")
    op.create_index(
        "one_retry_per_delivery", "deliveries", ["retry_of"], unique=True, sqlite_where=where, postgresql_where=where
    )


def downgrade() -> None:
    op.drop_index("one_retry_per_delivery", table_name="deliveries")
    op.drop_column("deliveries", "sent_as")
    op.drop_column("deliveries", "retry_of")
    op.drop_column("deliveries", "parts")
