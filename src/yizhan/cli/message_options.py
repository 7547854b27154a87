"""The options of a message and its targets, which `send` and `broadcast new` share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from yizhan.cli.content import Content, body, split_words, text_is_piped
from yizhan.cli.target_files import Audience, audience_of
from yizhan.errors import Refused, UnknownTarget

FILES, HOW, LINKS, TARGETS = "Files", "How", "Links", "Targets"

Words: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TARGET... [TEXT]",
        show_envvar=False,
        help="platform.account/kind/id, @alias, #tag, "
        "file:people.csv; then the text, or - to read it from standard input.",
    ),
]
To: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--to", "-t", metavar="TARGET", rich_help_panel=TARGETS, help="A target, or file:people.csv; may be repeated."
    ),
]
Column: TypeAlias = Annotated[
    str,
    typer.Option(
        "--column",
        metavar="COLUMN",
        show_default="target, or the first",
        rich_help_panel=TARGETS,
        help="The column of a file that names the targets.",
    ),
]
NameColumn: TypeAlias = Annotated[
    str,
    typer.Option(
        "--name-column",
        metavar="COLUMN",
        show_default="name",
        rich_help_panel=TARGETS,
        help="The column of a file with people's names, for reports.",
    ),
]
RefusedFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--refused",
        metavar="FILE",
        rich_help_panel=TARGETS,
        help="Send to the others, and write the rows that are refused to this file, with the reason.",
    ),
]
TextOption: TypeAlias = Annotated[
    str | None, typer.Option("--text", "-m", help="The text, when it looks like a target.")
]
Attached: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--attach",
        "-a",
        metavar="PATH",
        rich_help_panel=FILES,
        help="A file, sent as the kind of its content; - for standard input.",
    ),
]
Images: TypeAlias = Annotated[
    list[str] | None, typer.Option("--image", metavar="PATH", rich_help_panel=FILES, help="A picture.")
]
Videos: TypeAlias = Annotated[
    list[str] | None, typer.Option("--video", metavar="PATH", rich_help_panel=FILES, help="A video.")
]
Voices: TypeAlias = Annotated[
    list[str] | None, typer.Option("--voice", metavar="PATH", rich_help_panel=FILES, help="A voice message.")
]
Files: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--file", metavar="PATH", rich_help_panel=FILES, help="Anything, sent as a file."),
]
Stickers: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--sticker",
        metavar="PATH",
        rich_help_panel=FILES,
        help="An animated picture, or md5:HEX of one that the platform knows.",
    ),
]
FileName: TypeAlias = Annotated[
    str, typer.Option("--name", rich_help_panel=FILES, help="The name that people see for the one file.")
]
LinkAddress: TypeAlias = Annotated[
    str, typer.Option("--link", metavar="URL", rich_help_panel=LINKS, help="A link, shown as a card.")
]
Title: TypeAlias = Annotated[str, typer.Option("--title", rich_help_panel=LINKS, help="The title of the link.")]
Description: TypeAlias = Annotated[
    str, typer.Option("--description", rich_help_panel=LINKS, help="The text below the title.")
]
Key: TypeAlias = Annotated[
    str | None,
    typer.Option("--key", rich_help_panel=HOW, help="A second call with the same key sends nothing."),
]
MaxMessages: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-messages",
        metavar="N",
        min=1,
        show_default="10 for text from a pipe, none otherwise",
        rich_help_panel=HOW,
        help="Refuse a message that becomes more than N messages to one target.",
    ),
]

MAX_PIPED_MESSAGES = 10
"""Messages to one target that a piped text may become, unless --max-messages allows more."""


@dataclass(frozen=True, slots=True)
class Named:
    """The targets and the content that a command line names."""

    audience: Audience
    content: Content
    refused_file: Path | None = None
    max_messages: int | None = None
    """Messages to one target that are allowed; None for any number."""


def named(
    words: list[str] | None,
    to: list[str] | None,
    text: str | None,
    content: Content,
    *,
    column: str = "",
    name_column: str = "",
    refused_file: Path | None = None,
    max_messages: int | None = None,
) -> Named:
    """Tell targets from text, read files of targets and the piped text.

    Raises:
        UnknownTarget: there is no target, or one is malformed.
        Refused: options do not go together.
    """
    targets, last = split_words(words or [], to or [])
    if not targets:
        raise UnknownTarget(
            "There is no target. Name one first: yizhan send qqbot.main/user/OPENID TEXT, or -t TARGET."
        )
    if not content.link and (content.title or content.description):
        given = "--title" if content.title else "--description"
        raise Refused(f"{given} belongs to a link. Add --link URL, or leave it out.")
    if refused_file is not None and refused_file.exists():
        raise Refused(f"--refused: {refused_file} is there already. Name a file that is not.")
    piped = text_is_piped(last, text, only_text=content.only_text)
    if piped and any(one in ("file:-", "file:") for one in targets):
        raise Refused("Standard input has the targets (file:-); give the text as a word, or with --text.")
    if max_messages is None and piped:
        max_messages = MAX_PIPED_MESSAGES
    audience = audience_of(targets, column, name_column, keep_bad=refused_file is not None)
    content = replace(content, text=body(last, text, only_text=content.only_text))
    return Named(audience, content, refused_file, max_messages)
