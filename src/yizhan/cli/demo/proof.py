"""The proof of the demo: the sandbox's posts, compared with the order; and the result as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yizhan.cli.demo.control import count_posts
from yizhan.cli.demo.crowd import Crowd
from yizhan.cli.demo.files import BOOK_SHOWN
from yizhan.cli.demo.screen import table
from yizhan.cli.output import size

if TYPE_CHECKING:
    from yizhan.cli.demo.state import Play
    from yizhan.model import Receipt


async def prove(it: Play) -> int:
    """Compare the posts with the order; return the number of wrong claims."""
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
    traffic = await it.sandbox.traffic()
    requests, carried = (sum(column) for column in zip(*traffic.values(), strict=True))
    claims = [
        (f"each of {it.total:,} targets has both files: {missing} missing, {twice} twice", not missing and not twice),
        (f"{len(posts):,} posts; of anything else: {strange}", not strange and len(posts) == len(wanted)),
        (f"read back, they are what was sent: {' '.join(d[:12] for d in back)}", tuple(back) == it.digests),
        (f"everyone sees the PDF as {BOOK_SHOWN}; other names: {named}", not named),
        (
            f"the outbox says the same: {', '.join(f'{n:,} {s}' for s, n in states.items())}",
            states == {"sent": it.total},
        ),
        (
            f"all {requests:,} requests together carried {size(carried)}, base64 and forms included",
            all(_is_lean(it, *row) for row in traffic.items()),
        ),
    ]
    for text, true in claims:
        it.screen.say(f"  {'ok  ' if true else 'FAIL'} {text}", event="check", what=text, ok=true)
    return sum(1 for _, true in claims if not true)


def _is_lean(it: Play, platform: str, traffic: tuple[int, int]) -> bool:
    """Return whether targets that can share an upload shared it.

    A request has some hundred bytes besides media, base64 adds a third, and uploads that the kill interrupted are made
    again.
    """
    requests, carried = traffic
    uploads = sum(1 if crowd.shared else crowd.count for crowd in it.crowds if crowd.platform == platform)
    return carried < 2 * (uploads * sum(it.sizes) + 2000 * requests)


async def show_result(it: Play) -> None:
    from yizhan.engine import Engine

    async with await Engine.open(it.store, sending=False) as engine:
        shelf = await engine.handles.rows()
        receipts = await engine.deliveries(states=["sent"], limit=it.total)
    rows = [_row(it, crowd, shelf, receipts) for crowd in it.crowds]
    it.screen.title("The result")
    for line in table(rows):
        it.screen.say(f"  {line}".rstrip())
    if len(it.lives) > 1:
        it.screen.say("  Uploads cut off by the kill were made again: in the bytes carried, not here.")
    for row in rows:
        it.screen.out.value({"event": "result", **row})


def _row(it: Play, crowd: Crowd, shelf: Sequence[Mapping[str, Any]], receipts: Sequence[Receipt]) -> dict[str, Any]:
    sole = sum(1 for other in it.crowds if other.account == crowd.account) == 1
    handles = [row for row in shelf if row["account"] == crowd.account and (sole or row["scope"] == crowd.kind)]
    return {
        "title": crowd.title,
        "platform": crowd.platform,
        "kind": crowd.kind,
        "shared": crowd.shared,
        "targets": crowd.count,
        "sent": sum(1 for receipt in receipts if receipt.target.startswith(f"{crowd.key}/")),
        "uploads": len(handles),
        "uploaded_bytes": sum(row["bytes"] for row in handles),
        "one_by_one_bytes": crowd.count * sum(it.sizes),
        "sends_per_second": len(it.sizes) * _deliveries_per_second(it, crowd, receipts),
    }


def _deliveries_per_second(it: Play, crowd: Crowd, receipts: Sequence[Receipt]) -> float:
    """Return the rate of a crowd, uploads included, in the time that a process sent to it.

    An account sends to its crowds one after the other. Deliveries that were settled afterwards do not count.
    """
    ends = sorted((r.settled_at, r.target.rpartition("/")[0]) for r in receipts)
    count, seconds, after = 0, 0.0, 0.0
    for life in it.lives:
        span = [(at, key) for at, key in ends if after < at <= life.ended]
        after = life.ended
        mine = [at for at, key in span if key == crowd.key]
        if mine:
            # A new process sends due deliveries before it reports that it has begun.
            before = [at for at, key in span if key.startswith(f"{crowd.account}/") and at < mine[0]]
            count += len(mine)
            seconds += mine[-1] - max([min(life.began, span[0][0]), *before])
    return count / seconds if seconds > 0 else 0.0


async def counts_in(store: Path) -> dict[str, int]:
    """Return the number of deliveries in each state."""
    from yizhan.engine import Engine

    async with await Engine.open(store, sending=False) as engine:
        return {state.value: count for state, count in (await engine.records.counts()).items()}


async def in_flight_in(store: Path) -> dict[str, int]:
    """Return the number of deliveries that are being sent, by platform."""
    from yizhan.engine import Engine
    from yizhan.model import Target

    async with await Engine.open(store, sending=False) as engine:
        sending = await engine.deliveries(states=["sending"], limit=100_000)
    return dict(Counter(Target.parse(receipt.target).platform for receipt in sending))
