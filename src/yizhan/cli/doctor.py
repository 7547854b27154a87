"""`yizhan doctor`: problems that keep this store from sending, and their remedies."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec.structs import asdict

from yizhan.cli import configured
from yizhan.cli.exits import FAILED, SENT
from yizhan.cli.findings import Findings
from yizhan.cli.options import DEFAULT_STORE, Json, Quiet, Store
from yizhan.cli.output import Output, many, size
from yizhan.cli.running import opened, run
from yizhan.errors import StorageError, YizhanError

if TYPE_CHECKING:
    from yizhan.engine import Engine
    from yizhan.platforms.adapter import Finding

RELEASED = 1_790_000_000
"""Seconds since the epoch; a clock that shows an earlier time is wrong."""
OFF = 30.0
"""Seconds that this clock may differ from the platforms' clocks."""
ROOM = 200_000_000
"""Bytes that should be free on the store's disk."""


def doctor(
    accounts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ACCOUNT...]", show_envvar=False, help="Only these; all if none is named."),
    ] = None,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Check the store, its key, the clock, and every account, without sending anything.

    Exit code 1: something is wrong; the lines with an arrow say what to do.
    """
    return run(_doctor(store, accounts or [], Output(as_json, quiet)))


async def _doctor(store: Path, wanted: list[str], out: Output) -> int:
    shown = Findings(out)
    try:
        async with opened(store) as engine:
            async for about, finding in _findings(engine, store, wanted):
                _show(out, shown, about, finding)
    except StorageError as error:
        from yizhan.platforms.adapter import Finding

        remedy = "Do as the text says; then run yizhan doctor again."
        _show(out, shown, "", Finding("store", False, " ".join(str(error).split()), remedy))
    out.line("All is well." if not shown.wrong else f"{many(shown.wrong, 'problem')} to fix.")
    return FAILED if shown.wrong else SENT


def _show(out: Output, shown: Findings, about: str, finding: Finding) -> None:
    out.value(
        {
            "about": about or "store",
            "what": finding.what,
            "ok": finding.ok,
            "detail": finding.detail,
            "remedy": "" if finding.ok else finding.remedy,
        }
    )
    shown.show(finding, about)


async def _findings(engine: Engine, store: Path, wanted: list[str]) -> AsyncIterator[tuple[str, Finding]]:
    from yizhan.platforms.adapter import Finding

    yield "", _store(store)
    yield "", _key(store)
    try:
        accounts = await engine.accounts()
    except YizhanError as error:
        yield "", _clock({})
        yield (
            "",
            Finding("accounts", False, " ".join(str(error).split()), "See the text; then run yizhan doctor again."),
        )
        return
    yield "", _clock(await _clocks_of(accounts[name] for name in wanted or accounts if name in accounts))
    counts = await engine.records.counts()
    detail = ", ".join(f"{n:,} {state.value}" for state, n in sorted(counts.items())) or "empty"
    unknown = sum(n for state, n in counts.items() if state.value == "unknown")
    remedy = "Find out whether they arrived: yizhan deliveries --state unknown; then yizhan deliveries settle ID --as …"
    yield "", Finding("outbox", not unknown, detail, remedy if unknown else "")
    keep = asdict(configured.config().settings.keep)
    yield "", Finding("keep", True, ", ".join(f"{kind} {span}" for kind, span in keep.items()))
    names = wanted or list(accounts)
    if not names:
        yield "", Finding("accounts", False, "there is none", "Add one: yizhan account add qqbot.main …")
    for name in names:
        try:
            for finding in await engine.check(name):
                yield name, finding
        except YizhanError as error:
            yield (
                name,
                Finding("check", False, " ".join(str(error).split()), "See the text; then run yizhan doctor again."),
            )


def _store(store: Path) -> Finding:
    from yizhan.platforms.adapter import Finding

    room = os.statvfs(store)
    free = room.f_bavail * room.f_frsize
    if not os.access(store, os.W_OK):
        return Finding(
            "store", False, f"{store} cannot be written", "Change its permissions, or name another with --store."
        )
    return Finding(
        "store", free >= ROOM, f"{store.resolve()}, {size(free)} free", f"Make room: {size(ROOM)} should be free."
    )


def _key(store: Path) -> Finding:
    from yizhan.platforms.adapter import Finding

    if os.environ.get("YIZHAN_KEY"):
        return Finding("key", True, "from YIZHAN_KEY")
    file = store / "key"
    mode = stat.S_IMODE(file.stat().st_mode)
    private = not mode & 0o077
    return Finding("key", private, f"{file}, mode {mode:03o}", f"Others can read it. Run: chmod 600 {file}")


async def _clocks_of(accounts: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Ask the platforms for the time; return, by host, the seconds that this machine's clock is ahead."""
    from yizhan.http.server_date import seconds_ahead
    from yizhan.http.tcp_dial import is_loopback

    # A server on this machine has this machine's clock, and cannot tell that it is wrong.
    urls = {str(settings.get("base_url") or "") for settings in accounts}
    asked = sorted(url for url in urls if url and not is_loopback(url))
    told = zip(asked, await asyncio.gather(*(seconds_ahead(url) for url in asked)), strict=True)
    return {url.partition("//")[2]: ahead for url, ahead in told if ahead is not None}


def _clock(told: Mapping[str, float]) -> Finding:
    """Compare the clock with those of the hosts; one that agrees is enough, since others may be wrong."""
    from yizhan.platforms.adapter import Finding

    now = time.time()
    text = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now))
    remedy = "Set the clock (timedatectl set-ntp true): windows, tokens and signatures are counted by it."
    if not told:
        return Finding("clock", now > RELEASED, text, remedy)
    host, ahead = min(told.items(), key=lambda pair: abs(pair[1]))
    if abs(ahead) <= OFF:
        return Finding("clock", True, f"{text}, the same as {host}")
    way = "ahead of" if ahead > 0 else "behind"
    return Finding("clock", False, f"{text}, {abs(ahead):,.0f} s {way} {host}", remedy)
