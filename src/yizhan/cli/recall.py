"""`yizhan recall`: withdraw sent messages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from yizhan.cli.exits import PARTLY, SENT, explain
from yizhan.cli.ids import Ids, ids_of
from yizhan.cli.options import DEFAULT_STORE, Json, Quiet, Store
from yizhan.cli.output import Output
from yizhan.cli.running import opened, run
from yizhan.errors import YizhanError

if TYPE_CHECKING:
    from yizhan.model import Receipt


def recall(ids: Ids, store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Withdraw sent messages, while the platform still allows it."""
    return run(_recall(store, ids_of(ids), Output(as_json, quiet)))


async def _recall(store: Path, ids: Sequence[str], out: Output) -> int:
    recalled: list[Receipt] = []
    codes = []
    async with opened(store) as engine:
        for one in ids:
            try:
                recalled.append(await engine.recall(one))
            except YizhanError as error:
                codes.append(explain(error, as_json=out.as_json))
    out.receipts(recalled)
    if not codes:
        return SENT
    return PARTLY if recalled else codes[0]
