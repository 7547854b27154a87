"""The tables of the pages, made from the code: `python -m tests.docs.tables --write` puts them in place.

Texts that the code does not have (remedies for codes, Chinese words) are in `words.toml`.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from tests.docs.pages import ROOT, fill, pages
from yizhan import errors
from yizhan.cli.exits import exit_code_of
from yizhan.model import File, Image, Segment, State, Sticker, Target, Video, Voice
from yizhan.platforms.kit.media_rules import MediaRule
from yizhan.platforms.spec import Platform, platforms
from yizhan.sending.decide import (
    Policy,
)
from yizhan.sending.decide_in_words import decided, first_sentence
from yizhan.sending.delivery import BROADCAST, REPLY, SINGLE
from yizhan.testing.conformance.samples import adapter_of, media
from yizhan.wire import Fault, FaultCode, FaultTable
from yizhan.wire.outcome import MOVED, OTHER_STATUS, STATUS_TABLE

Row = Sequence[str]
WORDS: dict[str, Any] = tomllib.loads((Path(__file__).parent / "words.toml").read_text("utf-8"))
CODES: list[tuple[str, str, str]] = [(one["platform"], one["code"], one["remark"]) for one in WORDS["codes"]]


def table(head: Row, rows: Iterable[Row]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in lines)


def words(place: str, known: Iterable[str]) -> dict[str, Any]:
    """Return hand-written words, one for each of the code's names in `known`, no more and no less."""
    found: dict[str, Any] = WORDS
    for step in place.split("."):
        found = found[step]
    there = set(known)
    assert found.keys() == there, f"words.toml, {place}: missing {there - found.keys()}, gone {found.keys() - there}"
    return found


# --- what each platform takes -----------------------------------------------------------------------------------------

SEGMENTS = [kind.__struct_config__.tag for kind in Segment.__args__]


def _needs(platform: Platform, login: str, comma: str = ", ") -> str:
    required = [f"`{f.encode_name}`" for f in msgspec.structs.fields(platform.settings) if f.required]
    return comma.join([*required, *([login] if platform.needs_login else [])]) or "–"


def _page(platform: Platform, title: str) -> str:
    return f"[{title}](docs/platforms/{platform.name}.md)"


def platform_table() -> str:
    return table(
        ("platform", "", "targets", "an account needs"),
        (
            (f"`{name}`", _page(one, one.title), ", ".join(one.capabilities), _needs(one, "`yizhan login`"))
            for name, one in _ours().items()
        ),
    )


def platform_table_zh() -> str:
    titles, kinds = words("zh.titles", _ours()), _kinds_zh()
    return table(
        ("平台", "", "目标类型", "账号需要"),
        (
            (
                f"`{name}`",
                _page(one, titles[name]),
                "、".join(f"{kinds[kind]}（`{kind}`）" for kind in one.capabilities),
                _needs(one, "扫码（`yizhan login`）", "、"),
            )
            for name, one in _ours().items()
        ),
    )


def _kinds_zh() -> Mapping[str, str]:
    return words("zh.kinds", {kind for one in _ours().values() for kind in one.capabilities})


def segment_table(
    names: Mapping[str, str] | None = None, head: str = "", comma: str = ", ", shown: Mapping[str, str] | None = None
) -> str:
    ours = _ours()
    rows = []
    for segment in SEGMENTS:
        cells = [names[segment] if names else f"`{segment}`"]
        for one in ours.values():
            kinds = [(shown or {}).get(kind, kind) for kind, can in one.capabilities.items() if segment in can.segments]
            cells.append("✓" if len(kinds) == len(one.capabilities) else comma.join(kinds) or "–")
        rows.append(cells)
    return table((head, *(f"`{name}`" for name in ours)), rows)


def segment_table_zh() -> str:
    return segment_table(words("zh.segments", SEGMENTS), comma="、", shown=_kinds_zh())


def _notes() -> dict[str, dict[str, list[str]]]:
    """Return the remarks of each platform, and the kinds of target that each is about."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, one in _ours().items():
        for kind, can in one.capabilities.items():
            if can.note:
                found.setdefault(name, {}).setdefault(can.note, []).append(kind)
    return found


def note_list(
    said: Callable[[str], str] = str, mark: str = ": ", comma: str = ", ", shown: Callable[[str], str] = str
) -> str:
    return "\n".join(
        f"* `{name}` {comma.join(map(shown, kinds))}{mark}{said(note)}"
        for name, notes in _notes().items()
        for note, kinds in notes.items()
    )


def note_list_zh() -> str:
    chinese = words("zh.notes", {note for notes in _notes().values() for note in notes})
    return note_list(lambda note: str(chinese[note]), "：", "、", _kinds_zh().__getitem__)


def _ours() -> dict[str, Platform]:
    """Return our own platforms, QQ first, without those of other packages that are installed here."""
    order = ("qqbot", "webwechat", "wechatsdk", "ohwxapi", "ilink", "wecom")
    return {name: platforms()[name] for name in order}


# --- what becomes of media --------------------------------------------------------------------------------------------


def media_table() -> str:
    """Return the media that each platform takes, by the rules that apply to sending."""
    rows = []
    for name, one in _ours().items():
        adapter: Any = adapter_of(one)
        for segment in (Image, Sticker, Video, Voice, File):
            kinds: dict[str, list[str]] = {}
            for kind in one.capabilities:
                rule = adapter.media_rule(segment(media("image", "png", "")), Target(f"{name}.x", kind, "x"))
                if rule is not None:
                    kinds.setdefault(" | ".join(_taken(rule)), []).append(kind)
            for cells, which in kinds.items():
                rows.append(
                    (
                        f"`{name}`" + ("" if len(kinds) == 1 else f" {', '.join(which)}"),
                        segment.__name__.lower(),
                        *cells.split(" | "),
                    )
                )
    return table(("platform", "", "goes as", "shown up to", "and then"), rows)


def _taken(rule: MediaRule) -> tuple[str, str, str]:
    limits = [_megabytes(rule.bytes)] if rule.bytes else []
    limits += [f"{rule.max_seconds} s"] if rule.max_seconds else []
    # Media over the hard limit cannot be sent at all.
    room = 0 < rule.soft_bytes < rule.max_bytes or rule.max_seconds
    then = ["made smaller"] if rule.kind in ("image", "video") else []
    then += ["a file"] if rule.as_file and room else []
    return ", ".join(rule.formats) or "as it is", ", ".join(limits) or "–", ", else ".join(then) or "refused"


def _megabytes(size: int) -> str:
    """MB of 2^20 bytes; a limit of one byte less is the same to a reader."""
    return f"{(size + 1) / (1 << 20):.1f}".removesuffix(".0") + " MB"


# --- states -----------------------------------------------------------------------------------------------------------


def state_table() -> str:
    said = words("states", [state.value for state in State])
    rows = [(f"`{state}`", said[state]["means"], said[state]["who"], "yes" if state.final else "no") for state in State]
    return table(("state", "means", "who can change it", "final"), rows)


def priority_table() -> str:
    rows = [
        (str(REPLY), "an answer (`reply`), and what was held when the other side wrote"),
        (str(SINGLE), "a send to one target"),
        (str(BROADCAST), "a broadcast, or a submit to several targets"),
    ]
    return table(("priority", "what"), rows)


def policy_table() -> str:
    fields = {field.name: field.default for field in dataclasses.fields(Policy)}
    said = words("policy", fields)
    return table(("`Policy`", "", ""), ((f"`{name}`", f"{value:g}", said[name]) for name, value in fields.items()))


# --- limits -----------------------------------------------------------------------------------------------------------


def limit_table() -> str:
    """Return the limits of the default rules, and the time in which a message can be recalled."""
    allowed = words("limits", _ours())
    rows = []
    for name, platform in _ours().items():
        rules = platform.rules()
        values = rules.all()
        texts = [(what, _filled(text, values)) for what, text in allowed[name].items()]
        seconds = values.get("recall.seconds")
        texts.append(("recall", f"within {seconds} s" if seconds else "the platform has no such call"))
        rows += [(f"`{name}`" if n == 0 else "", *text) for n, text in enumerate(texts)]
    return table(("platform", "", "allowed"), rows)


def _filled(text: str, values: Mapping[str, Any]) -> str:
    for rule, value in values.items():
        text = text.replace(f"{{{rule}}}", f"{value:,}" if isinstance(value, int) else str(value))
    assert "{" not in text, f"no such rule: {text}"
    return text


# --- errors -----------------------------------------------------------------------------------------------------------


def _classes(base: type[Exception], depth: int = 0) -> Iterator[tuple[int, type[Exception]]]:
    yield depth, base
    # Subclasses that other modules add for themselves are not part of the tree that callers see.
    for kind in base.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from _classes(kind, depth + 1)


def error_table() -> str:
    rows = []
    for depth, kind in _classes(errors.YizhanError):
        branch = "&nbsp;" * 4 * (depth - 1) + "└ " if depth else ""
        code = exit_code_of(kind)
        is_platform = issubclass(kind, errors.PlatformError) and kind is not errors.PlatformError
        does = decided(kind("")) if is_platform else ""
        rows.append((f"{branch}`{kind.__name__}`", first_sentence(kind), does, str(code)))
    return table(("error", "means", "what becomes of the delivery", "exit code"), rows)


# --- codes ------------------------------------------------------------------------------------------------------------


WITHOUT: dict[str, tuple[str, ...]] = {
    "ilink": ("answers",),  # its messages refer to nothing
    "304023": ("repeatable",),  # guild channels know no repeat
    "304024": ("repeatable",),
}


def code_table() -> str:
    """The codes that people look for, and what yizhan does."""
    rows = []
    for name, code, remark in CODES:
        row = _faults(name)[code]
        also = f" / `{row.also}`" if row.also else ""
        shown = f"`{'ret ' if name == 'ilink' else ''}{row.code}`{also}"
        # The effect of a refused repeat is explained once, beside the table; it matters here for duplicates alone.
        without = WITHOUT.get(name, WITHOUT.get(code, ())) + (() if row.means is errors.Duplicate else ("in_doubt",))
        does = decided(Fault(row).error(name, "x"), without=without)
        rows.append((shown, f"`{name}`", row.message, f"`{row.means.__name__}`", does, remark))
    return table(("code", "platform", "its words", "arrives as", "the delivery", "what to know"), rows)


def _faults(name: str) -> dict[str, FaultCode]:
    known: dict[str, FaultCode] = {}
    faults = _table(name)
    for row in faults.rows:
        known.setdefault(str(row.code), row)
        known[faults.name_of(row) or str(row.code)] = row
    return known


def _rows(name: str) -> tuple[FaultCode, ...]:
    return _table(name).rows


def _table(name: str) -> FaultTable:
    faults: FaultTable = import_module(platforms()[name].calls).FAULTS
    return faults


def every_code() -> str:
    """Every row of every fault table."""
    blocks = []
    for name, platform in _ours().items():
        rows = [
            (
                f"`{row.code}`" + (f" / `{row.also}`" if row.also else ""),
                row.message,
                str(row.http),
                f"`{row.means.__name__}`",
            )
            for row in _rows(name)
        ]
        blocks.append(f"## `{name}`: {platform.title}\n\n{table(('code', 'its words', 'HTTP', 'arrives as'), rows)}")
    return "\n\n".join(blocks)


# --- commands ---------------------------------------------------------------------------------------------------------


def _commands() -> dict[str, str]:
    import typer

    from yizhan.cli.app import app

    group: Any = typer.main.get_command(app)
    return {name: _help(command) for name, command in group.commands.items()}


def _help(command: Any) -> str:
    text = " ".join((command.help or inspect.getdoc(command.callback) or "").split())
    return f"{text.partition('. ')[0].rstrip('.')}."


def command_table() -> str:
    return table(("command", ""), ((f"`yizhan {name}`", text) for name, text in _commands().items()))


def command_table_zh() -> str:
    said = words("zh.commands", _commands())
    return table(("命令", ""), ((f"`yizhan {name}`", said[name]) for name in _commands()))


# --- layers -----------------------------------------------------------------------------------------------------------


def layers() -> list[str]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = document["tool"]["importlinter"]["contracts"]
    (found,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [layer.replace("(", "").replace(")", "") for layer in found]


def layer_block() -> str:
    return "\n".join(["```text", *layers(), "```"])


def contract_list() -> str:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return "\n".join(f"* {contract['name']}." for contract in document["tool"]["importlinter"]["contracts"])


# --- answers ----------------------------------------------------------------------------------------------------------


def answer_table() -> str:
    return table(
        ["status, without the platform's body", "a call that acts", "a call that only reads or uploads", "why"],
        [
            [row.shown, _outcome(row.acting, acts=True), _outcome(row.reading, acts=False), row.why]
            for row in (*STATUS_TABLE[:2], MOVED, *STATUS_TABLE[2:], OTHER_STATUS)
        ],
    )


def _outcome(error: type[errors.PlatformError], *, acts: bool) -> str:
    unknown = acts and issubclass(error, (errors.OutcomeUnknown, errors.WireMismatch))
    return f"`{error.__name__}`: {'**unknown**' if unknown else _IN_WORDS[error]}"


_IN_WORDS = {
    errors.LoginNeeded: "queued until a login",
    errors.Rejected: "failed",
    errors.Throttled: "waits",
    errors.Unavailable: "tried again",
    errors.WireMismatch: "tried again",
}

MAKERS: dict[str, Callable[[], str]] = {
    "answers": answer_table,
    "platforms": platform_table,
    "platforms-zh": platform_table_zh,
    "segments": segment_table,
    "segments-zh": segment_table_zh,
    "notes": note_list,
    "notes-zh": note_list_zh,
    "media": media_table,
    "states": state_table,
    "priorities": priority_table,
    "policy": policy_table,
    "limits": limit_table,
    "errors": error_table,
    "codes": code_table,
    "every-code": every_code,
    "commands": command_table,
    "commands-zh": command_table_zh,
    "layers": layer_block,
    "contracts": contract_list,
}


def main(arguments: Sequence[str]) -> int:
    if list(arguments) != ["--write"]:
        sys.stdout.write("python -m tests.docs.tables --write: makes the tables of the pages anew\n")
        return 2
    for page in pages():
        fill(page, "made", lambda name: MAKERS[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
