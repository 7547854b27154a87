"""The proof of the demo: what the sandbox has, held against what was sent; and the result as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yizhan.cli.demo.control import count_posts
from yizhan.cli.demo.crowd import Crowd
from yizhan.cli.demo.files import BOOK_SHOWN
from yizhan.cli.demo.screen import table
from yizhan.cli.output import size

if TYPE_CHECKING:
    from yizhan.cli.demo.stage import Play
    from yizhan.model import Receipt


async def prove(it: Play) -> int:
    """Hold what arrived against what was sent; return how many claims are wrong."""
    it.screen.title("The proof, from the sandbox's own books")
    posts = await it.sandbox.posts()
    counts = count_posts(posts)
    wanted = {
        (crowd.platform, crowd.kind, one, digest)
        for crowd in it.crowds
        for one in it.people[crowd.key]
        for digest in it.digests
    }
    missing = sum(1 for key in wanted if key not in counts)
    twice = sum(1 for count in counts.values() if count > 1)
    strange = sum(1 for key in counts if key not in wanted)
    back = [await it.sandbox.digest_of(digest) for digest in it.digests]
    named = sum(1 for post in posts if post.sha256 == it.digests[1] and post.name != BOOK_SHOWN)
    states = await counts_in(it.store)
    requests, carried = await it.sandbox.traffic()
    # A request takes some hundred bytes besides media, and base64 a third more; nothing is uploaded per target.
    once = len(it.crowds) * sum(it.sizes) + 2000 * requests
    claims = [
        (f"each of {it.total:,} targets has both files: {missing} missing, {twice} twice", not missing and not twice),
        (f"{len(posts):,} posts; of anything else: {strange}", not strange and len(posts) == len(wanted)),
        (f"read back, they are what was sent: {' '.join(d[:12] for d in back)}", tuple(back) == it.digests),
        (f"everyone sees the PDF as {BOOK_SHOWN}; other names: {named}", not named),
        (
            f"the outbox says the same: {', '.join(f'{n:,} {s}' for s, n in states.items())}",
            states == {"sent": it.total},
        ),
        (f"all {requests:,} requests together carried {size(carried)}, base64 and forms included", carried < once * 2),
    ]
    for text, true in claims:
        it.screen.say(f"  {'ok  ' if true else 'FAIL'} {text}", event="check", what=text, ok=true)
    return sum(1 for _, true in claims if not true)


async def show_result(it: Play) -> None:
    from yizhan.engine import Engine

    async with await Engine.open(it.store, sending=False) as engine:
        shelf = await engine.shelf.rows()
        receipts = await engine.deliveries(states=["sent"], limit=it.total)
    rows = [_row(it, crowd, shelf, receipts) for crowd in it.crowds]
    it.screen.title("The result")
    for line in table(rows):
        it.screen.say(f"  {line}".rstrip())
    for row in rows:
        it.screen.out.value({"event": "result", **row})


def _row(it: Play, crowd: Crowd, shelf: Sequence[Mapping[str, Any]], receipts: Sequence[Receipt]) -> dict[str, Any]:
    sole = sum(1 for other in it.crowds if other.account == crowd.account) == 1
    handles = [row for row in shelf if row["account"] == crowd.account and (sole or row["scope"] == crowd.kind)]
    count, seconds = it.busy.get(crowd.key, (0, 0.0))
    return {
        "title": crowd.title,
        "platform": crowd.platform,
        "kind": crowd.kind,
        "targets": crowd.count,
        "sent": sum(1 for receipt in receipts if receipt.target.startswith(f"{crowd.key}/")),
        "uploads": len(handles),
        "uploaded_bytes": sum(row["bytes"] for row in handles),
        "one_by_one_bytes": crowd.count * sum(it.sizes),
        "sends_per_second": len(it.sizes) * count / seconds if seconds else 0.0,
    }


async def counts_in(store: Path) -> dict[str, int]:
    """Return how many deliveries stand in each state."""
    from yizhan.engine import Engine

    async with await Engine.open(store, sending=False) as engine:
        return {state.value: count for state, count in (await engine.outbox.counts()).items()}
