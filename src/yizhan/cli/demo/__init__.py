"""`yizhan demo`: everything in a minute, without an account or a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from yizhan.cli.options import Json, Quiet
from yizhan.cli.output import Output
from yizhan.cli.running import run


def demo(
    scale: Annotated[
        float,
        typer.Option("--scale", min=0.01, max=100, help="Times as many targets as usual (1,430 on five platforms)."),
    ] = 1.0,
    platform: Annotated[list[str] | None, typer.Option("--platform", help="Only this one; may be repeated.")] = None,
    kill: Annotated[bool, typer.Option("--kill/--no-kill", help="Kill the sending process once in the middle.")] = True,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the sandbox running, with everything that arrived.")
    ] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The sandbox's port; 0 takes a free one.")] = 0,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="Keep the store and the files there.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Send a picture and a PDF to over a thousand people on simulated QQ and WeChat networks, and prove what happened.

    Needs no account and no network. Every file is uploaded once for all who can share it; the sending process is killed
    in the middle; at the end every target has both files exactly once. Exit code 0: all claims were checked.
    """
    from yizhan.cli.demo.stage import Wishes, play

    wishes = Wishes(scale, tuple(platform or ()), kill, keep, port, folder)
    return run(play(wishes, Output(as_json, quiet)))
