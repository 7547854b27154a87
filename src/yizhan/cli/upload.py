"""`yizhan upload`: add files to the library, and upload them to the platforms of some targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yizhan.cli.content import add_source
from yizhan.cli.exits import SENT
from yizhan.cli.options import DEFAULT_STORE, Allow, Json, Quiet, Store
from yizhan.cli.output import Output, size
from yizhan.cli.progress import Bars
from yizhan.cli.running import opened, run
from yizhan.cli.target_files import targets_of
from yizhan.errors import Refused

if TYPE_CHECKING:
    from yizhan.model import Media


def upload(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", show_envvar=False, help="Paths (a or @a), addresses; - for standard input."),
    ],
    to: Annotated[
        list[str] | None,
        typer.Option("--to", "-t", metavar="TARGET", help="Also upload them to this target's platform."),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="The name that people will see, for one file.")] = "",
    allow: Allow = None,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Add files to the library now. With --to, also upload them, so that later sends need no upload."""
    if name and len(files) != 1:
        raise Refused(f"--name is the name of one file, and these are {len(files)}.")
    return run(_upload(store, files, targets_of(to or []), name, allow, Output(as_json, quiet)))


async def _upload(
    store: Path, files: Sequence[str], to: Sequence[str], name: str, allow: Sequence[str] | None, out: Output
) -> int:
    taken: list[Media] = []
    async with opened(store, make=not to, allow=allow) as engine:
        with Bars(show=out.for_people) as bars:
            bars.watch(engine)
            for file in files:
                media = await add_source(file, name or None, engine, bars.bytes)
                taken.append(await engine.upload(media, to=to) if to else media)
        tallies = dict(engine.handles.tallies)
    for media in taken:
        out.value(media)
    out.table(
        ("name", "kind", "format", "size", "sha256"),
        [(m.name, m.kind, m.format, size(m.size), m.sha256) for m in taken],
    )
    for account, tally in tallies.items():
        out.line(f"{account}: uploads made {tally.uploads} ({size(tally.uploaded_bytes)}), handles found {tally.hits}")
    return SENT
