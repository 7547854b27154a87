"""a time before which a delivery does not leave"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("not_before", sa.Float(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("deliveries", "not_before")
