"""`yizhan account`: add, set, list, show, remove."""

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
from yizhan.errors import ConfigError, Refused, UnknownAccount, did_you_mean

if TYPE_CHECKING:
    from yizhan.engine import Engine
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


Check = Annotated[bool, typer.Option("--check/--no-check", help="Check whether it can send.")]


@app.command("add")
def add(
    name: Name,
    settings: Settings = None,
    check: Check = True,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace all settings of an account that is there.")
    ] = False,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Add an account. Settings with which it cannot send are not kept.

    Settings without --set come from YIZHAN_PLATFORM_KEY (such as YIZHAN_QQBOT_SECRET). On a terminal, missing secrets
    are asked for, so that they need not be in the shell's history.

    Example: yizhan account add qqbot.main --set app_id=102000001 --set secret=@secret.txt
    """
    return run(_add(store, name, settings or [], check, replace, Output(as_json, quiet)))


@app.command("set")
def set_some(
    name: Name,
    settings: Annotated[
        list[str],
        typer.Argument(metavar="KEY=VALUE...", show_envvar=False, help="Settings to change; KEY=@FILE reads a file."),
    ],
    check: Check = True,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Change some settings of an account; the others stay. Settings with which it cannot send are not kept.

    Example: yizhan account set qqbot.main secret=@secret.txt rules.limits=false
    """
    return run(_set(store, name, settings, check, Output(as_json, quiet)))


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


async def _add(store: Path, name: str, given: Sequence[str], check: bool, replace: bool, out: Output) -> int:
    from yizhan.model import check_account_name
    from yizhan.platforms.spec import platform_named

    platform = platform_named(check_account_name(name).partition(".")[0])
    settings = settings_for(platform, given, ask=sys.stdin.isatty() and out.for_people)
    async with opened(store, make=True) as engine:
        if name in await engine.accounts() and not replace:
            raise Refused(
                f"There is an account {name} already. Change some of its settings with `yizhan account set {name} "
                "KEY=VALUE`, or replace all of them with --replace."
            )
        return await _kept(engine, platform, name, settings, check, "added", out)


async def _set(store: Path, name: str, given: Sequence[str], check: bool, out: Output) -> int:
    from yizhan.model import check_account_name
    from yizhan.platforms.spec import platform_named

    platform = platform_named(check_account_name(name).partition(".")[0])
    async with opened(store) as engine:
        if name not in (known := await engine.accounts()):
            raise unknown_account(name, list(known))
        settings = merged(await engine.supervisor.accounts.settings(name), read_settings(platform, given))
        return await _kept(engine, platform, name, settings, check, "changed", out)


async def _kept(
    engine: Engine, platform: Platform, name: str, settings: dict[str, Any], check: bool, done: str, out: Output
) -> int:
    """Store settings and check them; settings with which the account cannot send give way to those of before."""
    before = await engine.supervisor.accounts.settings(name) if name in await engine.accounts() else None
    await engine.add_account(name, **settings)
    shown = (await engine.accounts())[name]
    findings = [] if platform.needs_login or not check else list(await engine.check(name))
    checked, kept = Findings(out), not any(not finding.ok for finding in findings)
    if not kept and before is None:
        await engine.remove_account(name)
    elif not kept and before is not None:
        await engine.add_account(name, **before)
    out.value({"account": name, "settings": shown, "kept": kept, "checks": findings})
    if kept:
        out.line(f"{name} {done}: {platform.title}.")
    if kept and platform.needs_login:
        out.line(f"Next, log it in: yizhan login {name}")
    for finding in findings:
        checked.show(finding)
    if not kept:
        what = "It was not added" if before is None else "Its settings are unchanged"
        out.line(f"{what}: it cannot send with these settings. To keep them anyway: --no-check.")
    return SENT if kept else FAILED


def merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `settings` with `changes`; of a table, such as `rules`, only the entries that are named change."""
    found = dict(settings)
    for key, value in changes.items():
        old = found.get(key)
        found[key] = {**old, **value} if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return found


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
    settings = read_settings(platform, given)
    for key, field in fields.items():
        variable = f"YIZHAN_{platform.name}_{key}".upper()
        if key not in settings and os.environ.get(variable):
            settings[key] = os.environ[variable]
        if key not in settings and field.required and ask:
            settings[key] = typer.prompt(f"{platform.title}: {key}", hide_input=key in platform.secrets, err=True)
    _check_required(platform, fields, settings)
    return settings


def read_settings(platform: Platform, given: Sequence[str]) -> dict[str, Any]:
    """Read `KEY=VALUE` words.

    Raises:
        ConfigError: a word is not KEY=VALUE, there is no such setting, or a file cannot be read.
    """
    import msgspec

    fields = {field.encode_name for field in msgspec.structs.fields(platform.settings)}
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
