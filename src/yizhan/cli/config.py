"""`yizhan config`: the settings in effect, and where each comes from."""

from __future__ import annotations

from typing import Annotated

import typer

from yizhan.cli import configured
from yizhan.cli.exits import SENT
from yizhan.cli.options import Json, Quiet
from yizhan.cli.output import Output

app = typer.Typer(help="The configuration: yizhan.toml, and over it YIZHAN_SECTION__KEY.", no_args_is_help=True)


@app.command("show")
def show(
    origin: Annotated[bool, typer.Option("--origin", help="Also show where each setting comes from.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Show every setting that is in effect, secrets masked. A wrong setting is an error with its file and line."""
    from yizhan.config.reading import values

    config, out = configured.config(), Output(as_json, quiet)
    rows = [(key, _in_words(value), config.origin(key)) for key, value in values(config.settings).items()]
    for key, value, where in rows:
        out.value({"key": key, "value": value, "origin": where})
    columns = ("setting", "value", "origin")
    width = 3 if origin else 2
    out.table(columns[:width], [row[:width] for row in rows])
    return SENT


def _in_words(value: object) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
