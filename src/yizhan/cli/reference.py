"""The commands and their options as the tables of docs/cli.md: `python -m yizhan.cli.reference`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any


def reference() -> str:
    """Return every command with its options, as Markdown."""
    import typer

    from yizhan.cli.app import app

    return "\n".join(_group(typer.main.get_command(app), "yizhan"))


def _group(command: Any, name: str) -> Iterator[str]:
    for word, sub in command.commands.items():
        yield from _command(sub, f"{name} {word}")
        if hasattr(sub, "commands"):
            yield from _group(sub, f"{name} {word}")


def _command(command: Any, name: str) -> Iterator[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    own = [p for p in command.params if p.param_type_name == "option" and not _is_shared(p)]
    usage = " ".join([name, *(p.metavar or p.name.upper() for p in arguments)])
    yield f"#### `{usage}`\n\n{_first(command.help or command.callback.__doc__ or '')}\n"
    if own:
        yield "| option | variable | |\n|---|---|---|"
        for option in own:
            yield f"| {_names(option)} | {_variable(option, name)} | {_escaped(option.help or '')} |"
        yield ""


def _is_shared(option: Any) -> bool:
    return option.name in ("help", "store", "as_json", "quiet")


def _names(option: Any) -> str:
    # A switch has two names and no value.
    names = [*option.opts, *option.secondary_opts]
    value = f" {option.metavar}" if option.metavar else ""
    return ", ".join(f"`{one}{value if one.startswith('--') else ''}`" for one in names)


def _variable(option: Any, name: str) -> str:
    if isinstance(option.envvar, str):
        return f"`{option.envvar}`"
    return f"`{'_'.join([*name.upper().split(), option.name.upper()])}`"


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("*", "\\*")


def _first(text: str) -> str:
    return " ".join(inspect.cleandoc(text).split("\n\n")[0].split())


if __name__ == "__main__":
    print(reference())
