"""Options that many commands share. Every option has an environment variable, shown in its help."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from yizhan.cli import configured

DEFAULT_STORE = Path("yizhan-data")


def _chosen(ctx: typer.Context, param: typer.CallbackParam, value: Path) -> Path:
    """Return the store of this command, by the options, the configuration or the default."""
    if ctx.resilient_parsing:
        return value
    source = ctx.get_parameter_source(param.name or "store")
    given = source is not None and source.name == "COMMANDLINE"
    return configured.store_choice(value if given else None).path


Store: TypeAlias = Annotated[
    Path,
    typer.Option("--store", envvar="YIZHAN_STORE", metavar="PATH", callback=_chosen, help="The store: one folder."),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", envvar="YIZHAN_JSON", help="Print JSON, one object per line.")]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", envvar="YIZHAN_QUIET", help="Print errors only; the exit code has the result.")
]
Allow: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        envvar="YIZHAN_ALLOW",
        metavar="ADDRESS",
        help="Download also from this host, address or network, which is not public; may be repeated.",
    ),
]


def wants_json(arguments: Sequence[str]) -> bool:
    """Return whether JSON is wanted, without parsing the command line in full."""
    before = list(arguments)[: list(arguments).index("--")] if "--" in arguments else arguments
    return "--json" in before or os.environ.get("YIZHAN_JSON", "").lower() in ("1", "true", "yes", "on", "t", "y")
