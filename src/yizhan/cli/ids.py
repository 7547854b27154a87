"""Ids of deliveries on the command line: `d42`, `d42-d90`; and the command that waits for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from yizhan.errors import Refused

if TYPE_CHECKING:
    from yizhan.model import Receipt

Ids = Annotated[
    list[str],
    typer.Argument(metavar="ID...", show_envvar=False, help="Deliveries, as `send` printed them: d42, d42-d90."),
]
IdsOrBroadcasts = Annotated[
    list[str],
    typer.Argument(
        metavar="ID...", show_envvar=False, help="Deliveries or broadcasts, as `send` printed them: d42, d42-d90, b7."
    ),
]
OptionalIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", show_envvar=False, help="Deliveries, as `send` printed them: d42, d42-d90."),
]
MOST = 1_000_000


def ids_of(words: Iterable[str]) -> list[str]:
    """Return the ids that `words` name, each once, in order.

    Raises:
        Refused: one is not an id, or a range runs backwards.
    """
    from yizhan.sending.delivery import delivery_id, delivery_seq

    found: dict[str, None] = {}
    for word in words:
        first, dash, last = word.partition("-")
        start = delivery_seq(first)
        end = delivery_seq(last) if dash else start
        if not start <= end < start + MOST:
            raise Refused(f"'{word}' is not a range of deliveries. Expected the lower id first, such as d42-d90.")
        found.update(dict.fromkeys(delivery_id(seq) for seq in range(start, end + 1)))
    return list(found)


def wait_for(receipts: Sequence[Receipt]) -> str:
    """Return the command that sends and waits for those of `receipts` that have not ended, held ones too."""
    left = [receipt for receipt in receipts if not receipt.state.final] or receipts
    span = left[0].delivery + (f"-{left[-1].delivery}" if len(left) > 1 else "")
    held = any(receipt.state.value == "held" for receipt in left)
    return f"yizhan wait {span}" + (" --held" if held else "")
