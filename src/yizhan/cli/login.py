"""`yizhan login`: log an account in, with the code in the terminal."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yizhan.cli.account import Name, Settings, settings_for
from yizhan.cli.exits import SENT
from yizhan.cli.options import DEFAULT_STORE, Json, Quiet, Store
from yizhan.cli.output import Output, write
from yizhan.cli.running import opened, run

if TYPE_CHECKING:
    from yizhan.platforms.adapter import LoginStep

_WORDS = {
    "qr": "Scan this code with the phone:",
    "scanned": "Scanned. Confirm on the phone.",
    "confirmed": "Confirmed.",
    "expired": "The code has expired.",
    "cancelled": "Cancelled on the phone.",
    "refused": "Refused.",
    "code": "Type the digits that the phone shows, and Enter:",
}


def login(
    name: Name,
    settings: Settings = None,
    image: Annotated[
        Path | None, typer.Option("--image", metavar="PATH", help="Also write the code to this file, .png or .svg.")
    ] = None,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Log an account in by scanning a code, or check that it is still logged in.

    An account that needs only a login is added if it does not exist.
    """
    return run(_login(store, name, settings or [], image, Output(as_json, quiet)))


async def _login(store: Path, name: str, given: list[str], image: Path | None, out: Output) -> int:
    from yizhan.model import check_account_name
    from yizhan.platforms.spec import platform_named

    platform = platform_named(check_account_name(name).partition(".")[0])

    async with opened(store, make=platform.needs_login) as engine:
        known = await engine.accounts()
        if given or (name not in known and platform.needs_login):
            await engine.add_account(name, **settings_for(platform, given))
        identity = await engine.login(name, lambda step: _show(step, image, out))
    out.value({"account": name, "state": "logged_in", "identity": identity})
    out.line(f"{name} is logged in as {identity}.")
    return SENT


def _show(step: LoginStep, image: Path | None, out: Output) -> None:
    out.value({"state": step.state, "text": step.text, "qr": step.qr})
    out.line(step.text or _WORDS[step.state])
    if step.qr:
        _show_code(step.qr, image, out)
    if step.answer is not None:
        _ask_for(step.answer)


def _ask_for(answer: Callable[[str], None]) -> None:
    """Read a line in a thread, so that a login that ends by itself does not wait for the person."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        line = sys.stdin.readline().strip()
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(answer, line)

    threading.Thread(target=read, daemon=True).start()


def _show_code(text: str, image: Path | None, out: Output) -> None:
    import segno

    code = segno.make(text, error="l")
    if image is not None:
        code.save(str(image), scale=8)
        out.line(f"The code is in {image}.")
    # Also with --quiet: without the code the login is impossible.
    if not out.as_json and sys.stdout.isatty():
        code.terminal(out=sys.stdout, compact=True, border=2)
    out.line(text)
    write(flush=True)
