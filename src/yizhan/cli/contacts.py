"""`yizhan contacts`: names for targets: an @alias is one, a #tag is many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from yizhan.cli.exits import SENT
from yizhan.cli.options import DEFAULT_STORE, Json, Quiet, Store
from yizhan.cli.output import Output, many
from yizhan.cli.running import opened, run
from yizhan.cli.target_files import targets_of
from yizhan.errors import UnknownTarget

app = typer.Typer(help="Names for targets: @alias for one, #tag for many.", no_args_is_help=True)

Alias = Annotated[
    str, typer.Argument(metavar="@ALIAS|#TAG", show_envvar=False, help="@name of one target, or #name of many.")
]


@app.command("set")
def set_contact(
    name: Alias,
    targets: Annotated[
        list[str], typer.Argument(metavar="TARGET...", show_envvar=False, help="Targets; file:people.csv brings many.")
    ],
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Name one target, or tag many; an existing name is replaced."""
    named, is_tag = _named(name)
    return run(_set(store, named, is_tag, targets_of(targets), Output(as_json, quiet)))


@app.command("list")
def list_contacts(store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """List names and their targets."""
    return run(_list(store, Output(as_json, quiet)))


@app.command("remove")
def remove(name: Alias, store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Remove a name; no person or group is removed."""
    named, is_tag = _named(name)
    return run(_remove(store, named, is_tag, Output(as_json, quiet)))


def _named(text: str) -> tuple[str, bool]:
    name = text[1:] if text[:1] in ("@", "#") else text
    if not name or any(c.isspace() or c in "/@#" for c in name):
        raise UnknownTarget(
            f"'{text}' is no name. Expected @name for one target or #name for many, without spaces or slashes."
        )
    return name, text.startswith("#")


async def _set(store: Path, name: str, is_tag: bool, targets: Sequence[str], out: Output) -> int:
    async with opened(store, make=True) as engine:
        # Names inside a name are resolved now, so that a tag can be built from others.
        found = [str(target) for target in await engine.targets(targets)]
        shown = f"{'#' if is_tag else '@'}{name}"
        await engine.contacts.put(shown, found)
    out.value({"name": shown, "targets": found})
    out.line(f"{shown} is {found[0] if not is_tag else many(len(found), 'target')}.")
    return SENT


async def _list(store: Path, out: Output) -> int:
    async with opened(store) as engine:
        rows = list((await engine.contacts.all()).items())
    for shown, targets in rows:
        out.value({"name": shown, "targets": targets})
    out.table(("name", "targets"), [(shown, _short(targets)) for shown, targets in rows])
    if not rows:
        out.line("No names yet. Give one: yizhan contacts set @me qqbot.main/user/OPENID")
    return SENT


async def _remove(store: Path, name: str, is_tag: bool, out: Output) -> int:
    sign = "#" if is_tag else "@"
    async with opened(store) as engine:
        await engine.contacts.remove(f"{sign}{name}")
    out.value({"name": f"{sign}{name}", "removed": True})
    out.line(f"{sign}{name} removed.")
    return SENT


def _short(targets: Sequence[str]) -> str:
    return ", ".join(targets[:3]) + (f" and {len(targets) - 3:,} more" if len(targets) > 3 else "")
