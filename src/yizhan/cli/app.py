"""The command line: all commands, and the logging, signals and errors that they share."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import TyperException

from yizhan.cli import (
    account,
    backup,
    broadcast,
    config,
    configured,
    contacts,
    deliveries,
    demo,
    doctor,
    explain,
    library,
    login,
    platforms,
    read,
    recall,
    run,
    sandbox,
    send,
    tail,
    upload,
    wait,
)
from yizhan.cli.exits import FAILED, usage
from yizhan.cli.exits import explain as explain_error
from yizhan.cli.options import wants_json
from yizhan.cli.output import write
from yizhan.errors import YizhanError

if TYPE_CHECKING:
    from yizhan.config.settings import LogSettings

TERMINATED = 143
"""Exit code after SIGTERM; Ctrl-C ends with 130, as Python does it."""

app = typer.Typer(
    name="yizhan",
    help="Send messages and files over WeChat and QQ: upload once, send to many.",
    epilog="Begin with: yizhan demo. Exit codes: 0 sent, 1 failed, 2 refused, 3 partly, 4 not finished, 5 unknown.",
    context_settings={"auto_envvar_prefix": "YIZHAN", "help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


def _version(wanted: bool) -> None:
    if wanted:
        from yizhan.version import __version__

        print(f"yizhan {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, allow_from_autoenv=False, help="Show the version and end."
        ),
    ] = False,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store", metavar="PATH", allow_from_autoenv=False, help="The store; may also be given after the command."
        ),
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config",
            envvar="YIZHAN_CONFIG",
            metavar="FILE",
            help="The configuration; yizhan.toml in this folder if there is one.",
        ),
    ] = None,
) -> None:
    """Options before the command."""
    _set_up_log(configured.begin(store, config_file).settings.log)


SENDING, ACCOUNTS, LOOKING, KEEPING, TRYING = (
    "Send",
    "Accounts and people",
    "Look",
    "Keep it running",
    "Try it out, no account needed",
)

app.command("send", rich_help_panel=SENDING)(send.send)
app.command("upload", rich_help_panel=SENDING)(upload.upload)
app.command("wait", rich_help_panel=SENDING)(wait.wait)
app.command("recall", rich_help_panel=SENDING)(recall.recall)
app.command("read", rich_help_panel=SENDING)(read.read)
app.add_typer(account.app, name="account", rich_help_panel=ACCOUNTS)
app.command("platforms", rich_help_panel=ACCOUNTS)(platforms.platforms)
app.command("login", rich_help_panel=ACCOUNTS)(login.login)
app.add_typer(contacts.app, name="contacts", rich_help_panel=ACCOUNTS)
app.add_typer(deliveries.app, name="deliveries", rich_help_panel=LOOKING)
app.add_typer(broadcast.app, name="broadcast", rich_help_panel=LOOKING)
app.command("tail", rich_help_panel=LOOKING)(tail.tail)
app.add_typer(library.app, name="library", rich_help_panel=LOOKING)
app.command("explain", rich_help_panel=LOOKING)(explain.explain)
app.command("doctor", rich_help_panel=LOOKING)(doctor.doctor)
app.add_typer(config.app, name="config", rich_help_panel=LOOKING)
app.command("run", rich_help_panel=KEEPING)(run.run)
app.command("backup", rich_help_panel=KEEPING)(backup.backup)
app.command("restore", rich_help_panel=KEEPING)(backup.restore)
app.command("demo", rich_help_panel=TRYING)(demo.demo)
app.command("sandbox", rich_help_panel=TRYING)(sandbox.sandbox)


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are printed on standard error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = wants_json(given)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show Chinese shows question marks, and nothing fails.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    try:
        code = typer.main.get_command(app).main(args=given, prog_name="yizhan", standalone_mode=False)
        write(flush=True)
    except TyperException as error:
        text = error.format_message()
        context = getattr(error, "ctx", None)
        hint = f"See {context.command_path if context is not None else 'yizhan'} --help."
        # Without arguments the help has been shown already.
        return usage(text, hint, as_json=as_json) if text else error.exit_code
    except YizhanError as error:
        return explain_error(error, as_json=as_json)
    except typer.Abort:
        return FAILED
    except asyncio.CancelledError:
        return TERMINATED
    finally:
        with suppress(YizhanError):
            write(flush=True)
    return code if isinstance(code, int) else 0


def _set_up_log(settings: LogSettings) -> None:
    """Write the log if the configuration asks for it; commands print their errors themselves."""
    if settings.level == "off":
        logging.basicConfig(level=logging.CRITICAL, handlers=[logging.NullHandler()])
        if "yizhan.runtime.log_lines" in sys.modules:
            sys.modules["yizhan.runtime.log_lines"].stop_log()
        return
    from yizhan.runtime.log_lines import set_up_log

    set_up_log(settings.level, settings.format)
