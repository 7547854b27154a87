"""Ids of deliveries on the command line: `d42`, `d42-d90`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from yizhan.errors import Refused

Ids = Annotated[
    list[str],
    typer.Argument(metavar="ID...", show_envvar=False, help="Deliveries, as `send` printed them: d42, d42-d90."),
]
MOST = 1_000_000


def ids_of(words: Iterable[str]) -> list[str]:
    """Return the ids that `words` name, each once, in order.

    Raises:
        Refused: one is not an id, or a range runs backwards.
    """
    from yizhan.delivery.job import delivery_id, delivery_seq

    found: dict[str, None] = {}
    for word in words:
        first, dash, last = word.partition("-")
        start = delivery_seq(first)
        end = delivery_seq(last) if dash else start
        if not start <= end < start + MOST:
            raise Refused(f"'{word}' is not a range of deliveries. Expected the lower id first, such as d42-d90.")
        found.update(dict.fromkeys(delivery_id(seq) for seq in range(start, end + 1)))
    return list(found)
