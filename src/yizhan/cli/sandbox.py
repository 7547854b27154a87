"""`yizhan sandbox`: an offline WeChat and QQ on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yizhan.cli.exits import SENT
from yizhan.cli.options import Json, Quiet
from yizhan.cli.output import Output, write

if TYPE_CHECKING:
    from yizhan.sandbox.welcome import Welcome

PORT = 8791
SHOWN = 3
"""Targets of an account that are shown."""


def sandbox(
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="0 uses a free one and prints it.")
    ] = PORT,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; there are no passwords.")] = "127.0.0.1",
    platform: Annotated[
        list[str] | None, typer.Option("--platform", help="Serve only this one; may be repeated.")
    ] = None,
    world: Annotated[
        Path | None, typer.Option("--world", metavar="FILE.toml", help="The people and groups to begin with.")
    ] = None,
    type_api_port: Annotated[
        int | None,
        typer.Option(
            "--type-api-port", min=0, max=65535, help='A second listener for the local "type" API; 8888 is usual.'
        ),
    ] = None,
    manual_logins: Annotated[
        bool, typer.Option("--manual-logins", help="QR logins wait until /_sandbox/logins/… scans and confirms them.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="Keep the bytes that arrive here.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Serve WeChat and QQ offline: their own HTTP APIs on one local address, with their rules, for any client.

    Prints its address, accounts and people when it takes requests; Ctrl-C ends it. Its control API is below /_sandbox/.
    """
    from yizhan.sandbox import serve
    from yizhan.sandbox.welcome import welcome

    out = Output(as_json, quiet)

    def ready(line: str) -> None:
        known = welcome(line.rpartition(" ")[2], platform, world)
        out.value({"ready": known.url, **{name: getattr(known, name) for name in ("accounts", "targets", "curl")}})
        out.line(line)
        for text in _in_words(known):
            out.line(text)
        write(flush=True)

    serve(
        ready=ready,
        world_file=world,
        manual_logins=manual_logins,
        platforms=platform,
        host=host,
        port=port,
        type_api_port=type_api_port,
        folder=folder,
    )
    return SENT


def _in_words(known: Welcome) -> Iterator[str]:
    yield ""
    yield "Its accounts; yizhan account add NAME --set KEY=VALUE … adds one:"
    width = max(map(len, known.accounts), default=0)
    for name, settings in known.accounts.items():
        login = "  then: yizhan login " + name if name in known.logins else ""
        yield f"  {name:<{width}}  {' '.join(f'{key}={value}' for key, value in settings.items())}{login}"
    yield "Some people and groups:"
    for targets in known.targets.values():
        yield f"  {'  '.join(targets[:SHOWN])}"
    yield "A first call, and everything that was sent:"
    yield f"  {known.curl}"
    yield f"  curl {known.url}/_sandbox/posts"
