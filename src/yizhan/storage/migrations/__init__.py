"""Bringing a store's tables up to date. Revisions stand in `versions/`, the newest named by `HEAD`."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from yizhan.errors import StorageError

HEAD = "0005"
"""The newest revision; a test holds it against `versions/`."""


def upgrade(engine: Engine) -> None:
    """Run the revisions that `engine`'s store does not have yet; quick when there are none.

    Raises:
        StorageError: the store was written by a newer version of this program.
    """
    current = current_revision(engine)
    if current == HEAD:
        return
    if current is not None and current > HEAD:
        raise StorageError(
            f"the store has revision {current}, this program knows {HEAD}. Use a newer yizhan, or another folder."
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if _revision(connection) == HEAD:
            # Another process was quicker.
            return
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def current_revision(engine: Engine) -> str | None:
    """Return the revision that the store has, or None for a new one."""
    with engine.connect() as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return None if row is None else str(row[0])
