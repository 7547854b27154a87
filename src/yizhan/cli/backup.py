"""`yizhan backup` and `yizhan restore`: a store as one file, and back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from yizhan.cli import configured
from yizhan.cli.exits import SENT
from yizhan.cli.options import DEFAULT_STORE, Json, Quiet, Store
from yizhan.cli.output import Output, many, moment, size
from yizhan.errors import ConfigError

Passphrase = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", metavar="FILE", help="A file with the passphrase that seals the store's key in the backup."
    ),
]
File = Annotated[Path, typer.Argument(metavar="FILE", show_envvar=False, help="The backup.")]


def backup(
    file: File,
    passphrase_file: Passphrase = None,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Copy the store to one file, while other processes keep sending.

    The store's key, without which its accounts cannot be read, is only included if a passphrase seals it.
    """
    from yizhan.storage.backup import write_backup

    if not (store / "yizhan.db").exists():
        raise configured.no_store(store)
    out, passphrase = Output(as_json, quiet), _passphrase(passphrase_file)
    made = write_backup(store, file, passphrase=passphrase)
    out.value(
        {"file": str(file), "revision": made.revision, "media": made.media, "bytes": made.bytes, "key": made.has_key}
    )
    out.line(f"{file}: the database and {many(made.media, 'medium', 'media')}, {size(made.bytes)}.")
    if not made.has_key:
        where = "YIZHAN_KEY" if os.environ.get("YIZHAN_KEY") else str((store / "key").absolute())
        out.line(f"The key is not in it. Keep a copy of it apart: {where}")
    return SENT


def restore(
    file: File,
    passphrase_file: Passphrase = None,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Restore a backup into a new or empty folder."""
    from yizhan.storage.backup import restore_backup

    out = Output(as_json, quiet)
    found = restore_backup(file, store, passphrase=_passphrase(passphrase_file))
    out.value({"store": str(store), "revision": found.revision, "media": found.media, "bytes": found.bytes})
    out.line(f"{store}: as it was on {moment(found.made_at)}, {many(found.media, 'medium', 'media')}.")
    if not found.has_key:
        out.line(f"Now copy its key to {(store / 'key').absolute()}, mode 600 (or set YIZHAN_KEY).")
    out.line("Do not let it send while the original store does: both would send the queued messages.")
    return SENT


def _passphrase(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        text = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--passphrase-file: {file} cannot be read: {error}.") from error
    if not text:
        raise ConfigError(f"--passphrase-file: {file} is empty. Write the passphrase into it.")
    return text
