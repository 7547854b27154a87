"""`yizhan account`: add, list, remove."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yizhan.cli.exits import FAILED, SENT
from yizhan.cli.findings import Findings
from yizhan.cli.options import DEFAULT_STORE, Json, Quiet, Store
from yizhan.cli.output import Output
from yizhan.cli.running import opened, run
from yizhan.errors import ConfigError, UnknownAccount, did_you_mean

if TYPE_CHECKING:
    from yizhan.platforms.spec import Platform

app = typer.Typer(help="Accounts: the identities that send.", no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(metavar="PLATFORM.NAME", show_envvar=False, help="Such as qqbot.main or webwechat.me.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="A setting of the platform; KEY=@FILE reads it from a file. May be repeated."
    ),
]


@app.command("add")
def add(
    name: Name,
    settings: Settings = None,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Check whether it can send.")] = True,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Add an account, or replace its settings.

    Settings without --set come from YIZHAN_PLATFORM_KEY (such as YIZHAN_QQBOT_SECRET). On a terminal, missing secrets
    are asked for, so that they need not be in the shell's history.

    Example: yizhan account add qqbot.main --set app_id=102000001 --set secret=@secret.txt
    """
    return run(_add(store, name, settings or [], check, Output(as_json, quiet)))


@app.command("list")
def list_accounts(store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """List accounts with their settings, secrets masked."""
    return run(_list(store, Output(as_json, quiet)))


@app.command("show")
def show(name: Name, store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Show one account's settings, secrets masked, each with its name for --set."""
    return run(_show(store, name, Output(as_json, quiet)))


@app.command("remove")
def remove(name: Name, store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Remove an account with its session; its deliveries stay on record."""
    return run(_remove(store, name, Output(as_json, quiet)))


async def _add(store: Path, name: str, given: Sequence[str], check: bool, out: Output) -> int:
    from yizhan.model import check_account_name
    from yizhan.platforms.spec import platform_named

    platform = platform_named(check_account_name(name).partition(".")[0])
    settings = settings_for(platform, given, ask=sys.stdin.isatty() and out.for_people)
    async with opened(store, make=True) as engine:
        await engine.add_account(name, **settings)
        shown = (await engine.accounts())[name]
        findings = [] if platform.needs_login or not check else list(await engine.check(name))
    out.value({"account": name, "settings": shown, "checks": findings})
    out.line(f"{name} added: {platform.title}.")
    if platform.needs_login:
        out.line(f"Next, log it in: yizhan login {name}")
    checked = Findings(out)
    for finding in findings:
        checked.show(finding)
    return FAILED if checked.wrong else SENT


async def _list(store: Path, out: Output) -> int:
    async with opened(store) as engine:
        accounts = await engine.accounts()
    for name, settings in accounts.items():
        out.value({"account": name, "settings": settings})
    out.table(("account", "settings"), [(name, _in_words(settings)) for name, settings in accounts.items()])
    if not accounts:
        out.line("No accounts yet. Add one: yizhan account add qqbot.main …")
    return SENT


async def _show(store: Path, name: str, out: Output) -> int:
    async with opened(store) as engine:
        accounts = await engine.accounts()
    if name not in accounts:
        raise unknown_account(name, list(accounts))
    settings = accounts[name]
    out.value({"account": name, "settings": settings})
    out.table(("setting", "value"), [(key, "" if value is None else str(value)) for key, value in settings.items()])
    return SENT


async def _remove(store: Path, name: str, out: Output) -> int:
    async with opened(store) as engine:
        known = list(await engine.accounts())
        if not await engine.remove_account(name):
            raise unknown_account(name, known)
    out.value({"account": name, "removed": True})
    out.line(f"{name} removed.")
    return SENT


def unknown_account(name: str, known: Sequence[str]) -> UnknownAccount:
    """Return the error for an account that does not exist; the text names close ones."""
    return UnknownAccount(
        f"There is no account '{name}'.{did_you_mean(name, known)} Known: {', '.join(known) or 'none'}."
    )


def _in_words(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items() if value not in ("", {}, [], None))


# --- settings ---------------------------------------------------------------------------------------------------------


def settings_for(platform: Platform, given: Sequence[str], *, ask: bool = False) -> dict[str, Any]:
    """Read `KEY=VALUE` words, add what the environment has, and ask for missing secrets if `ask`.

    Raises:
        ConfigError: a word is not KEY=VALUE, there is no such setting, or a file cannot be read.
    """
    import msgspec

    fields = {field.encode_name: field for field in msgspec.structs.fields(platform.settings)}
    settings: dict[str, Any] = {}
    for word in given:
        key, value = _pair(word)
        outer, dot, inner = key.partition(".")
        if outer not in fields:
            raise ConfigError(
                f"{platform.name}: there is no setting '{outer}'.{did_you_mean(outer, fields)} "
                f"Known: {', '.join(sorted(fields))}."
            )
        if dot:
            settings.setdefault(outer, {})[inner] = _number_or_text(value)
        else:
            settings[outer] = value
    for key, field in fields.items():
        variable = f"YIZHAN_{platform.name}_{key}".upper()
        if key not in settings and os.environ.get(variable):
            settings[key] = os.environ[variable]
        if key not in settings and field.required and ask:
            settings[key] = typer.prompt(f"{platform.title}: {key}", hide_input=key in platform.secrets, err=True)
    _check_required(platform, fields, settings)
    return settings


def _check_required(platform: Platform, fields: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    missing = [key for key, field in fields.items() if field.required and not settings.get(key)]
    if missing:
        how = ", ".join(f"--set {key}=…" for key in missing)
        variables = ", ".join(f"YIZHAN_{platform.name}_{key}".upper() for key in missing)
        raise ConfigError(
            f"{platform.name}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing. Give {how} "
            f"(KEY=@FILE reads a file), or set {variables}."
        )


def _pair(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals and "@" in word:
        key, _, path = word.partition("@")
        value = f"@{path}"
    elif not equals:
        raise ConfigError(f"--set takes KEY=VALUE or KEY=@FILE, not '{word}'.")
    if value.startswith("@@"):
        return key, value[1:]
    if value.startswith("@"):
        return key, _in_file(key, Path(value[1:]))
    return key, value


def _in_file(key: str, path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"--set {key}: {path} cannot be read: {error}. (A value that begins with @ is written @@.)"
        ) from error


def _number_or_text(value: str) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(value, type=bool | int | float)
    except msgspec.DecodeError:
        return value
