"""The demo, act by act: a sandbox, two files, a thousand people, a process that is killed, and the proof."""

from __future__ import annotations

import hashlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yizhan.cli.demo.control import SandboxProcess, count_posts
from yizhan.cli.demo.crowd import crowds
from yizhan.cli.demo.files import BOOK_SHOWN, book, picture
from yizhan.cli.demo.folder import BOOK, PICTURE, TEMPORARY, make_folder
from yizhan.cli.demo.proof import counts_in, in_flight_in, prove, show_result
from yizhan.cli.demo.screen import Screen, wide
from yizhan.cli.demo.sender import Sender
from yizhan.cli.demo.state import Life, Play
from yizhan.cli.demo.worker import Order, Report
from yizhan.cli.exits import FAILED, SENT
from yizhan.cli.output import Output, many, size

KILL_AT = 0.35
"""The share of deliveries that have ended when the sending process is killed."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options of the command line."""

    scale: float = 1.0
    platforms: tuple[str, ...] = ()
    kill: bool = True
    keep: bool = False
    port: int = 0
    folder: Path | None = None


async def play(wishes: Wishes, out: Output) -> int:
    """Run the demo and return its exit code: 0 if every claim was checked and is true."""
    started = time.monotonic()
    folder = make_folder(wishes.folder)
    it = Play(Screen(out), SandboxProcess(folder, wishes.port), folder)
    kept = False
    try:
        await _prepare_sandbox(it, wishes)
        order = await _prepare(it)
        await _send(it, order, kill=wishes.kill)
        wrong = await prove(it)
        await show_result(it)
        kept = wishes.keep
        _finish(it, wishes, kept, wrong, time.monotonic() - started)
    finally:
        await it.sandbox.close(keep=kept)
        if wishes.folder is None and not kept:
            shutil.rmtree(folder, ignore_errors=True)
    return FAILED if wrong else SENT


# --- act one: a sandbox, files, people --------------------------------------------------------------------------------


async def _prepare_sandbox(it: Play, wishes: Wishes) -> None:
    it.screen.say("yizhan demo: no account, no network; everything happens on this machine.")
    await it.sandbox.start()
    it.crowds = crowds(await it.sandbox.platforms(), wishes.platforms, wishes.scale)
    it.screen.say(f"sandbox ready on {it.sandbox.url}", event="sandbox", url=it.sandbox.url)
    contents = picture(), book()
    for name, data in zip((PICTURE, BOOK), contents, strict=True):
        (it.folder / name).write_bytes(data)
    it.digests = tuple(hashlib.sha256(data).hexdigest() for data in contents)
    it.sizes = tuple(len(data) for data in contents)
    for name, digest, count in zip((PICTURE, BOOK_SHOWN), it.digests, it.sizes, strict=True):
        line = f"  {wide(name, 14)}{size(count):>7}   sha256 {digest[:24]}…"
        it.screen.say(line, event="file", name=name, size=count, sha256=digest)


async def _prepare(it: Play) -> Order:
    accounts: dict[str, dict[str, Any]] = {}
    for crowd in it.crowds:
        if crowd.account not in accounts:
            await it.sandbox.set_rules(crowd.platform, crowd.rules)
            accounts[crowd.account] = {**crowd.settings, "base_url": it.sandbox.url, "rules": dict(crowd.rules)}
    await _gather_people(it, writes_first=False)
    it.screen.title("One message (the picture, then the PDF) to")
    for crowd in it.crowds:
        it.screen.say(f"  {crowd.count:>5,} {crowd.title}{', who wrote first' if crowd.writes_first else ''}")
    _explain_rules(it)
    listening = [crowd.account for crowd in it.crowds if crowd.writes_first]
    files = str(it.folder / PICTURE), str(it.folder / BOOK), BOOK_SHOWN
    return Order(str(it.store), str(it.folder / TEMPORARY), accounts, listening, *files)


def _explain_rules(it: Play) -> None:
    if any(crowd.lifted for crowd in it.crowds):
        it.screen.say("Real quotas would spread this over hours; they are lifted here, on both sides.")
    for crowd in it.crowds:
        if not crowd.lifted:
            it.screen.say(f"{crowd.title} keeps its own: people who wrote may get ten messages, and get two.")


async def _gather_people(it: Play, *, writes_first: bool) -> None:
    for crowd in it.crowds:
        if crowd.writes_first is writes_first:
            it.people[crowd.key] = await it.sandbox.people(crowd.platform, crowd.kind, crowd.count)


# --- act two: sending, killed in the middle ---------------------------------------------------------------------------


async def _send(it: Play, order: Order, *, kill: bool) -> None:
    it.screen.title("Sending")
    sender = Sender(order)
    try:
        await sender.start()
        await _gather_people(it, writes_first=True)
        report = await _live(it, sender, await sender.submit(it.targets), KILL_AT if kill else 2.0)
        if kill and report.what != "idle":
            await sender.kill()
            it.lives[-1].ended = time.time()
            await _aftermath(it, report)
            sender = Sender(order)
            await sender.start()
            begun = await sender.submit(it.targets)
            _say_recovered(it, begun)
            await _live(it, sender, begun, 2.0)
        elif kill:
            it.screen.say("  It had finished before it could be killed.")
        await _settle(it, sender)
    except BaseException:
        await sender.kill()
        raise
    await sender.close()


async def _live(it: Play, sender: Sender, begun: Report, share: float) -> Report:
    """Show reports until nothing is left to send, or until `share` of the deliveries have ended."""

    def enough(report: Report) -> bool:
        it.screen.update(report)
        return report.what == "idle" or sum(report.done.values()) >= share * it.total

    life = Life(time.time(), time.time())
    it.lives.append(life)
    with it.screen.bars(it.crowds, begun.done):
        last = await sender.until(enough)
    life.ended = time.time()
    return last


async def _aftermath(it: Play, last: Report) -> None:
    counts = await counts_in(it.store)
    in_flight = await in_flight_in(it.store)
    sent, sending = counts.get("sent", 0), counts.get("sending", 0)
    waiting = counts.get("queued", 0)
    it.screen.title(f"The sending process was killed (SIGKILL) after {sent:,} of {it.total:,} targets.")
    it.screen.say(
        f"  on disk: {sent:,} sent, {sending} in flight, {waiting:,} waiting. Starting it again …",
        event="killed",
        counts=counts,
        ended=last.done,
        in_flight=in_flight,
    )


def _say_recovered(it: Play, report: Report) -> None:
    if report.asked_again:
        it.screen.say(
            f"  {report.asked_again} in flight are asked again under the same key: their wire knows a repeat."
        )
    if report.unknown:
        it.screen.say(f"  {report.unknown} in flight are `unknown`: their wire knows no repeat; none is sent blindly.")
    it.screen.out.value({"event": "recovered", "asked_again": report.asked_again, "unknown": report.unknown})


async def _settle(it: Play, sender: Sender) -> None:
    """Settle every unknown delivery by the sandbox's posts."""
    from yizhan.engine import Engine
    from yizhan.model import Target

    async with await Engine.open(it.store, sending=False) as engine:
        unknown = await engine.deliveries(states=["unknown"], limit=it.total)
        if not unknown:
            return
        arrived = count_posts(await it.sandbox.posts())
        there = 0
        for receipt in unknown:
            target = Target.parse(receipt.target)
            part = it.digests[len(receipt.platform_ids)]
            came = (target.platform, target.kind, target.id, part) in arrived
            there += came
            # `again` sends the part in doubt again; `arrived` continues with the next one.
            await engine.settle(receipt, as_="arrived" if came else "again")
    again = len(unknown) - there
    it.screen.say(f"  Of {len(unknown)} unknown, the sandbox says, {there} had arrived and {again} had not.")
    it.screen.say(
        "  They are settled: missing ones are sent again, arrived ones are not.",
        event="settled",
        unknown=len(unknown),
        arrived=there,
        sent_again=again,
    )
    await sender.go_on()
    await sender.until(lambda report: report.what == "idle")


# --- the end ----------------------------------------------------------------------------------------------------------


def _finish(it: Play, wishes: Wishes, kept: bool, wrong: int, seconds: float) -> None:
    crowd = it.crowds[0]
    target = f"{crowd.account}/{crowd.kind}/{it.people[crowd.key][0]}"
    it.screen.title("The same in Python")
    it.screen.say('  async with yizhan.open("yizhan-data") as yz:')
    it.screen.say("      await yz.broadcast(")
    it.screen.say(f"          [{target!r}, …],")
    it.screen.say(f"          Image({PICTURE!r}), File({BOOK!r}))")
    it.screen.title("and in the shell")
    it.screen.say(f"  yizhan send {target} … \\")
    it.screen.say(f"      --image {PICTURE} --file {BOOK}")
    if kept:
        it.screen.title(f"The sandbox keeps running: {it.sandbox.url}   (end it with: kill {it.sandbox.pid})")
        if wishes.folder is None:
            it.screen.say(f"  Its files are in {it.folder}; remove the folder afterwards.")
        it.screen.say(f"  curl '{it.sandbox.url}/_sandbox/posts?limit=1'")
        it.screen.say(f"  yizhan deliveries --store {it.store}")
        it.screen.out.value(
            {
                "event": "kept",
                "url": it.sandbox.url,
                "pid": it.sandbox.pid,
                "store": str(it.store),
                "folder": str(it.folder),
            }
        )
    words = "All of it was checked" if not wrong else f"{many(wrong, 'claim')} did NOT hold"
    it.screen.title(f"{words}, in {seconds:.1f} s.")
    it.screen.out.value({"event": "end", "ok": not wrong, "seconds": round(seconds, 3)})
