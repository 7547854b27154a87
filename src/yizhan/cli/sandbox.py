"""`yizhan sandbox`: an offline WeChat and QQ on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from yizhan.cli.exits import SENT
from yizhan.cli.options import Json, Quiet
from yizhan.cli.output import Output, write

PORT = 8791


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

    Prints one line when it takes requests; Ctrl-C ends it. Its control API is below /_sandbox/.
    """
    from yizhan.sandbox import serve

    out = Output(as_json, quiet)

    def ready(line: str) -> None:
        out.value({"ready": line.rpartition(" ")[2]})
        out.line(line)
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
