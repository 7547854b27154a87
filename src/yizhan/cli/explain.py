"""`yizhan explain`: a platform's code, an error class or a state, from the tables by which yizhan decides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yizhan import errors
from yizhan.cli.exits import SENT, exit_code_of, remedy_for
from yizhan.cli.options import Json, Quiet
from yizhan.cli.output import Output
from yizhan.errors import PlatformError, Refused, YizhanError, did_you_mean

if TYPE_CHECKING:
    from yizhan.wire.fault import FaultTable

STATES = {
    "queued": "It leaves as soon as its account and the platform's pace allow; it may be cancelled.",
    "sending": "It is on its way, and the answer has not come.",
    "held": "It waits for a time, a window or quota of the platform, or for the other side to write; `why` names it.",
    "sent": "The platform gave its message id for every part.",
    "failed": "It did not arrive, and the same again would not; `yizhan deliveries retry` sends what is missing.",
    "unknown": "It left, and no conclusive answer came: it may have arrived. It is not sent again by itself. Find out, "
    "and say so: `yizhan deliveries settle ID --as arrived|lost|again`.",
    "expired": "Its time ran out before it could be sent.",
    "cancelled": "It was cancelled before anything of it left.",
    "recalled": "All of its parts were withdrawn.",
}


def explain(
    word: Annotated[
        str,
        typer.Argument(
            metavar="CODE",
            show_envvar=False,
            help="A platform's code, such as 304023; an error, such as Throttled; or a state, such as unknown.",
        ),
    ],
    platform: Annotated[str, typer.Option("--platform", help="Only codes of one platform, such as qqbot.")] = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Explain a platform's code, an error or a state: what it means, what becomes of the delivery, and what to do."""
    from yizhan.platforms.spec import platform_named

    out = Output(as_json, quiet)
    if platform:
        platform_named(platform)
    found = [*_states(word), *_classes(word), *_codes(word, platform)]
    if not found:
        names = [*STATES, *_error_names()]
        raise Refused(
            f"Nothing is known of '{word}'.{did_you_mean(word, names)} Give a platform's code, an error class such as "
            "Throttled, or a state such as unknown."
        )
    for one in found:
        out.value(one)
        out.line(one["title"])
        for name in ("means", "delivery", "remedy"):
            if one[name]:
                out.line(f"  {name:<9} {one[name]}")
    return SENT


def _states(word: str) -> Iterator[dict[str, Any]]:
    if word.lower() in STATES:
        yield _entry("state", word.lower(), f"{word.lower()}: a state of deliveries", STATES[word.lower()])


def _classes(word: str) -> Iterator[dict[str, Any]]:
    from yizhan.sending.decide_in_words import decided, first_sentence

    for name in _error_names():
        if name.lower() == word.lower():
            kind = getattr(errors, name)
            about_a_send = issubclass(kind, PlatformError) and kind is not PlatformError
            title = f"{name}: an error of yizhan, exit code {exit_code_of(kind)}"
            delivery = decided(kind("")) if about_a_send else ""
            yield _entry("error", name, title, first_sentence(kind), delivery, remedy_for(name))


def _codes(word: str, wanted: str) -> Iterator[dict[str, Any]]:
    from yizhan.platforms.spec import platforms
    from yizhan.sending.decide_in_words import decided, first_sentence
    from yizhan.wire.fault import Fault

    for name, platform in platforms().items():
        if (wanted and name != wanted) or not platform.calls:
            continue
        for row in _table(platform.calls).rows:
            if word.strip() not in (str(row.code), str(row.also)):
                continue
            also = f"/{row.also}" if row.also is not None else ""
            meaning = f"{row.means.__name__}: {first_sentence(row.means)}"
            delivery = decided(Fault(row).error(name, ""))
            title = f"{name} {row.code}{also}: {row.message} (HTTP {row.http})"
            entry = _entry("code", str(row.code), title, meaning, delivery, remedy_for(row.means.__name__))
            yield {**entry, "platform": name, "words": row.message, "http": row.http, "error": row.means.__name__}


def _table(calls: str) -> FaultTable:
    from importlib import import_module

    table: FaultTable = import_module(calls).FAULTS
    return table


def _entry(kind: str, name: str, title: str, means: str, delivery: str = "", remedy: str = "") -> dict[str, Any]:
    return {"kind": kind, "name": name, "title": title, "means": means, "delivery": delivery, "remedy": remedy}


def _error_names() -> list[str]:
    return [
        name
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, YizhanError) and not name.startswith("_")
    ]
