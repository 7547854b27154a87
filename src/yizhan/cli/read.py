"""`yizhan read`: mark a conversation as read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from yizhan.cli.exits import SENT
from yizhan.cli.options import DEFAULT_STORE, Json, Quiet, Store
from yizhan.cli.output import Output
from yizhan.cli.running import opened, run

Target = Annotated[
    str, typer.Argument(metavar="TARGET", show_envvar=False, help="webwechat.me/user/Alice, or an @alias.")
]


def read(target: Target, store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Mark a conversation as read on the platform, where it has such a call."""
    return run(_read(store, target, Output(as_json, quiet)))


async def _read(store: Path, target: str, out: Output) -> int:
    async with opened(store) as engine:
        resolved = await engine.targets(target)
        for one in resolved:
            await engine.mark_read(one)
    out.value({"read": [str(one) for one in resolved]})
    out.line(f"{', '.join(str(one) for one in resolved)} marked as read.")
    return SENT
