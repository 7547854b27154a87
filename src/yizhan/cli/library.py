"""`yizhan library`: the stored media."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yizhan.cli.exits import FAILED, SENT
from yizhan.cli.options import DEFAULT_STORE, Json, Quiet, Store
from yizhan.cli.output import Output, many, moment, size
from yizhan.cli.running import opened, run
from yizhan.errors import Refused

if TYPE_CHECKING:
    from yizhan.engine import Engine
    from yizhan.media.library import MediaEntry

app = typer.Typer(help="The stored media, each kept once.", no_args_is_help=True)

Digests = Annotated[
    list[str], typer.Argument(metavar="SHA256...", show_envvar=False, help="Digests; the first eight digits will do.")
]
SHORT = 8
"""Digits of a digest that are enough to name it."""


@app.command("list")
def list_media(store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """List everything, the least recently used first."""
    return run(_list(store, Output(as_json, quiet)))


@app.command("show")
def show(digests: Digests, store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Show media in full, with the handles that platforms gave for them."""
    return run(_show(store, digests, Output(as_json, quiet)))


@app.command("prune")
def prune(
    quota: Annotated[
        str, typer.Option("--quota", metavar="SIZE", help="Stop once the library is at most this large, such as 2GB.")
    ] = "0",
    days: Annotated[
        float, typer.Option("--unused-for", metavar="DAYS", min=0, help="Only media that were not used for so long.")
    ] = 30,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the media that would be removed; remove nothing.")
    ] = False,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Remove media that were not used for long, the longest unused first. Media of open deliveries stay."""
    return run(_prune(store, bytes_of(quota), days * 86400, dry_run, Output(as_json, quiet)))


@app.command("verify")
def verify(store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Read all bytes again and compare them with their digests. Exit code 1: some have changed or are gone."""
    return run(_verify(store, Output(as_json, quiet)))


async def _list(store: Path, out: Output) -> int:
    async with opened(store) as engine:
        held = await engine.library.index.all()
    for one in held:
        out.value({"media": one.media, "added_at": one.added_at, "used_at": one.used_at, "needed": one.needed})
    rows = [
        (
            h.media.sha256[:12],
            h.media.kind,
            h.media.format,
            size(h.media.size),
            moment(h.used_at),
            str(h.needed or ""),
            h.media.name,
        )
        for h in held
    ]
    out.table(("sha256", "kind", "format", "size", "last used", "needed by", "name"), rows)
    out.line(f"{many(len(held), 'medium', 'media')}, {size(sum(one.media.size for one in held))}")
    return SENT


async def _show(store: Path, digests: Sequence[str], out: Output) -> int:
    async with opened(store) as engine:
        shelf = await engine.handles.rows()
        for held in [await _one(engine, digest) for digest in digests]:
            mine = [row for row in shelf if row["sha256"] == held.media.sha256]
            out.value(
                {
                    "media": held.media,
                    "added_at": held.added_at,
                    "used_at": held.used_at,
                    "needed": held.needed,
                    "handles": mine,
                }
            )
            for name in held.media.__struct_fields__:
                out.line(f"{name:<12} {getattr(held.media, name)}")
            out.line(f"{'added':<12} {moment(held.added_at)}")
            out.line(
                f"{'last used':<12} {moment(held.used_at)}"
                + (f"   (needed by {many(held.needed, 'delivery', 'deliveries')})" if held.needed else "")
            )
            rows = [
                (r["account"], r["scope"], r["use"], moment(r["made_at"]), moment(r["expires_at"] or 0) or "never")
                for r in mine
            ]
            if rows:
                out.table(("handle at", "scope", "use", "made", "ends"), rows)
    return SENT


async def _one(engine: Engine, digest: str) -> MediaEntry:
    found = [one for one in await engine.library.index.all() if one.media.sha256.startswith(digest.lower())]
    if len(found) != 1 or len(digest) < SHORT:
        what = "fits several media" if len(found) > 1 else "is not in the library"
        raise Refused(f"'{digest}' {what}. Give at least {SHORT} digits of a SHA-256 that yizhan library list shows.")
    return found[0]


async def _prune(store: Path, quota: int, grace: float, dry_run: bool, out: Output) -> int:
    from yizhan.media.housekeeping import Housekeeping

    async with opened(store) as engine:
        keeping = Housekeeping(engine.library)
        pruned = await keeping.prune(quota, grace_seconds=grace, dry_run=dry_run)
        tidied = 0 if dry_run else await keeping.tidy()
    for media in pruned.media:
        out.value({"removed": not dry_run, "media": media})
    out.table(("sha256", "kind", "size", "name"), [(m.sha256[:12], m.kind, size(m.size), m.name) for m in pruned.media])
    what = f"{'would be ' if dry_run else ''}removed ({size(pruned.bytes_freed)})"
    out.line(f"{many(len(pruned.media), 'medium', 'media')} {what}; {size(pruned.bytes_left)} left.")
    if tidied:
        out.line(f"{many(tidied, 'unfinished or unknown file')} removed.")
    return SENT


async def _verify(store: Path, out: Output) -> int:
    from yizhan.media.housekeeping import Housekeeping

    started, wrong = time.monotonic(), 0
    async with opened(store) as engine:
        count = len(await engine.library.index.all())
        async for problem in Housekeeping(engine.library).verify():
            wrong += 1
            out.value(problem)
            out.line(f"{problem.what} {problem.remedy}")
    out.value({"media": count, "wrong": wrong})
    out.line(f"{many(count, 'medium', 'media')} read in {time.monotonic() - started:.1f} s, {wrong} wrong.")
    return FAILED if wrong else SENT


_UNITS = {
    "": 1,
    "b": 1,
    "k": 10**3,
    "kb": 10**3,
    "m": 10**6,
    "mb": 10**6,
    "g": 10**9,
    "gb": 10**9,
    "t": 10**12,
    "tb": 10**12,
}


def bytes_of(text: str) -> int:
    """Read a size as people write it: 500MB, 1.5 GB, 1000.

    Raises:
        Refused: it is not one.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    if found is None or found[2] not in _UNITS:
        raise Refused(f"'{text}' is not a size. Expected a number and a unit, such as 500MB or 2GB.")
    return int(float(found[1]) * _UNITS[found[2]])
