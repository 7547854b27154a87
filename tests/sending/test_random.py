"""The whole path under everything at once: errors of every class, kills, cancels, windows, keys, a second process.

Scheduled deliveries, waiting callers, windows that only the other side opens, and a reader of events as well.

Every run has a seed; a failure names it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from itertools import groupby
from pathlib import Path

import pytest

from tests.sending.fake import Network
from tests.sending.killing import kill
from tests.sending.test_path import PNG
from tests.sending.waiting import StillClock
from tests.support import PATIENCE, until
from yizhan import supervisor as supervisor_module
from yizhan.engine import Engine
from yizhan.errors import (
    ContentRefused,
    DeliveryFailed,
    Duplicate,
    HandleExpired,
    LoginNeeded,
    MediaTooLarge,
    NotAllowed,
    OutcomeUnknown,
    Throttled,
    Unavailable,
    WindowClosed,
    WireMismatch,
)
from yizhan.media import uploads
from yizhan.model import Event, EventKind, Image, Message, PlatformId, Receipt, SegmentLike, State, Target
from yizhan.platforms.adapter import Limit
from yizhan.sending import lane as lane_module
from yizhan.sending import sender as sender_module
from yizhan.sending.decide import Policy
from yizhan.world import TurnableClock

POLICY = Policy(first_delay=0.005, longest_delay=0.02)
PER_TARGET = Limit("three per ten seconds", "target", "all", 3, 10.0)
PER_ACCOUNT = Limit("forty per five seconds", "account", "all", 40, 5.0)
WHEN_ASKED = "three after each message"
"""A limit at some targets that only the other side opens."""
ROUNDING = 0.001
STEPS = 90


class Trial:
    """One seeded run: the submitted deliveries, and the platform's calls."""

    def __init__(self, seed: int, network: Network, clock: TurnableClock, folder: Path) -> None:
        self.chance = random.Random(seed)
        self.network = network
        self.clock = clock
        self.folder = folder
        self.calm = False
        self.submitted: dict[str, tuple[Target, list[str]]] = {}
        """Target and texts of the parts, by delivery."""
        self.ended: dict[str, tuple[State, int]] = {}
        """State, and number of parts that had arrived, when a delivery was first seen ended."""
        self.keys: list[tuple[str, list[str], list[SegmentLike], list[str]]] = []
        self.not_before: dict[str, float] = {}
        """The earliest time of arrival of a scheduled delivery."""
        self.sends: dict[str, tuple[str, str, asyncio.Task[Receipt]]] = {}
        """Target, text and the waiting call, by key."""
        self.wrote: defaultdict[Target, float] = defaultdict(float)
        """When the other side wrote last, by target."""
        self.heard: list[str] = []
        """Events in the order in which the reader got them; twice if it was stopped at one."""
        self.reader: asyncio.Task[None] | None = None
        self.message = 0
        network.repeatable_to = lambda target: target.kind == "group"
        network.recognise = self.recognised
        network.script = self.before
        network.after = self.afterwards
        network.upload_error = self.upload
        network.late = lambda: self.chance.choice((0, 0, 0.001, 0.01))
        network.delay = 0.001
        network.limits = self.limits

    # --- the platform -------------

    def before(self, target: Target, number: int) -> Exception | None:
        if self.calm or self.chance.random() > 0.25:
            return None
        return self.chance.choice(
            [
                Unavailable("down"),
                Unavailable("down"),
                Throttled("slow", retry_after=0.02, concerns="target"),
                Throttled("slow", retry_after=0.01),
                WindowClosed("closed", opens_at=self.clock.now() + self.chance.choice((0.02, 5.0))),
                OutcomeUnknown("cut before"),
                WireMismatch("odd"),
                HandleExpired("gone"),
                NotAllowed("no"),
                ContentRefused("no"),
                ZeroDivisionError("bug"),
                LoginNeeded("log in"),
            ]
        )

    def afterwards(self, target: Target, number: int) -> Exception | None:
        if self.calm or self.chance.random() > 0.1:
            return None
        return self.chance.choice([OutcomeUnknown("cut after"), WireMismatch("odd"), ZeroDivisionError("bug")])

    def upload(self, number: int) -> Exception | None:
        if self.calm or self.chance.random() > 0.3:
            return None
        return self.chance.choice(
            [Unavailable("down"), OutcomeUnknown("cut"), Throttled("slow", retry_after=0.01), MediaTooLarge("large")]
        )

    def recognised(self, known: PlatformId) -> PlatformId | Exception:
        answers: list[PlatformId | Exception] = [known, Duplicate("again")]
        if self.chance.random() < 0.2 and not self.calm:
            answers = [Unavailable("down"), WindowClosed("used up"), NotAllowed("no")]
        return self.chance.choice(answers)

    def limits(self, message: Message, target: Target) -> list[Limit]:
        if str(target) not in ASKED:
            return [PER_TARGET, PER_ACCOUNT]
        return [PER_TARGET, PER_ACCOUNT, Limit(WHEN_ASKED, "target", "asked", 3, since=self.wrote[target])]

    # --- people and processes -----------

    async def step(self, engine: Engine, other: Engine) -> None:
        match self.chance.choices(range(8), (10, 2, 3, 3, 1, 2, 3, 4))[0]:
            case 0:
                await self.submit(self.chance.choice((engine, engine, other)))
            case 1 if self.keys:
                key, targets, content, ids = self.chance.choice(self.keys)
                again = await engine.submit(targets, *content, key=key)
                assert ids == [receipt.delivery for receipt in again]
            case 2 if self.submitted:
                some = self.chance.sample(sorted(self.submitted), min(3, len(self.submitted)))
                await self.chance.choice((engine, other)).cancel(some)
            case 3:
                await self.pass_time(engine, self.chance.choice((0.5, 3, 8)))
            case 4:
                await engine.add_account("fake.me", rules={"client.concurrency": self.chance.randint(2, 9)})
            case 5:
                self.write(self.chance.choice(TARGETS))
            case 6:
                await engine.login("fake.me", lambda step: None)
            case 7:
                self.send(engine)
        await asyncio.sleep(self.chance.choice((0, 0.002, 0.01)))

    def write(self, target: str) -> None:
        """Have the other side write to the account."""
        at, who = self.clock.now(), Target.parse(target)
        self.wrote[who] = at
        event = Event(f"e{self.chance.randrange(10**9)}", EventKind.MESSAGE, "fake.me", at, who)
        self.network.inbox.put_nowait(event)

    def send(self, engine: Engine) -> None:
        """Send, and wait without a timeout."""
        self.message += 1
        target, text, key = self.chance.choice(TARGETS), f"{self.message}.0", f"send {self.message}"
        waiting = asyncio.create_task(engine.send(target, text, key=key, timeout=None))
        self.sends[key] = target, text, waiting

    async def read(self, engine: Engine) -> None:
        async for event in engine.events(reader="trial"):
            self.heard.append(event.id)

    async def begin(self) -> Engine:
        engine = await Engine.open(self.folder, clock=self.clock, policy=POLICY)
        self.reader = asyncio.create_task(self.read(engine))
        return engine

    async def end(self, engine: Engine) -> None:
        """Kill the process together with all waiting calls."""
        going = [task for _, _, task in self.sends.values()] + [task for task in (self.reader,) if task is not None]
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
        await kill(engine)

    async def submit(self, engine: Engine) -> None:
        self.message += 1
        parts = [f"{self.message}.{index}" for index in range(self.chance.choice((1, 1, 1, 2, 3)))]
        content: list[SegmentLike] = list(parts)
        if self.chance.random() < 0.3:
            content[-1] = Image(PNG, parts[-1])
        targets = self.chance.sample(TARGETS, self.chance.choice((1, 1, 2, len(TARGETS))))
        key = f"k{self.message}" if self.chance.random() < 0.3 else None
        at = self.clock.now() + self.chance.choice((0.0, 2.0, 6.0)) if self.chance.random() < 0.3 else None
        receipts = await engine.submit(
            targets,
            content,
            key=key,
            priority=self.chance.choice((None, 0, 10, 50)),
            expires_in=self.chance.choice((None, None, None, 4.0)),
            at=at,
        )
        for receipt in receipts:
            self.submitted[receipt.delivery] = Target.parse(receipt.target), parts
            self.not_before[receipt.delivery] = at or 0.0
        if key is not None:
            self.keys.append((key, targets, content, [receipt.delivery for receipt in receipts]))

    async def pass_time(self, engine: Engine, seconds: float) -> None:
        """Turn the clock in small steps, each while nothing is under way: it must not arrive in another window."""
        for _ in range(int(seconds * 10)):
            async with asyncio.timeout(PATIENCE):
                while any(lane.under_way for lane in engine.supervisor.worker.lanes.values()):  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            self.clock.advance(0.1)
            await asyncio.sleep(0.002)

    # --- what must hold ---

    @property
    def arrivals(self) -> list[tuple[float, Target, str]]:
        """When, where and what, in order."""
        times, arrived = self.network.times, self.network.arrived
        return [(at, target, text.split()[0]) for at, (target, text, _) in zip(times, arrived, strict=True)]

    def look(self, receipts: list[Receipt]) -> None:
        """Check that ended deliveries do not change any more."""
        arrived = Counter((target, text) for _, target, text in self.arrivals)
        for receipt in receipts:
            if receipt.delivery not in self.submitted:
                continue
            if not receipt.state.final:
                assert receipt.delivery not in self.ended, f"{receipt.delivery} ended and went on"
                continue
            target, parts = self.submitted[receipt.delivery]
            now = receipt.state, sum(arrived[target, part] for part in parts)
            assert now == self.ended.setdefault(receipt.delivery, now), f"{receipt.delivery} moved after its end"

    def judge(self, receipts: list[Receipt]) -> None:
        assert sorted(self.submitted) == sorted(receipt.delivery for receipt in receipts), "lost"
        arrived = Counter((target, text) for _, target, text in self.arrivals)
        for receipt in receipts:
            target, parts = self.submitted[receipt.delivery]
            times = [arrived[target, part] for part in parts]
            done = len(receipt.platform_ids)
            what = f"{receipt.delivery} to {target} is {receipt.state.value} ({receipt.detail}), parts arrived {times}"
            assert max(times) <= 1, what
            assert times[:done] == [1] * done, what
            match receipt.state:
                case State.SENT:
                    assert times == [1] * len(parts), what
                case State.UNKNOWN:
                    assert sum(times[done + 1 :]) == 0, what
                case State.FAILED | State.EXPIRED:
                    assert sum(times[done:]) == 0, what
                    assert 0 in times, what
                case State.CANCELLED:
                    assert sum(times) == 0, what
                case _:
                    pytest.fail(f"not ended: {what}")

    def judge_times(self) -> None:
        ids = {(target, part): delivery for delivery, (target, parts) in self.submitted.items() for part in parts}
        for at, target, part in self.arrivals:
            assert at >= self.not_before.get(ids[target, part], 0.0) - ROUNDING, f"{part} to {target} too early"

    async def judge_waits(self, receipts: list[Receipt]) -> None:
        """Check that every waiting call got a true answer."""
        ends = {receipt.delivery: receipt.state for receipt in receipts}
        answers = await asyncio.wait_for(
            asyncio.gather(*(task for _, _, task in self.sends.values()), return_exceptions=True), PATIENCE
        )
        for answer in answers:
            if isinstance(answer, (Receipt, DeliveryFailed)):
                receipt = answer if isinstance(answer, Receipt) else answer.receipts[0]
                assert receipt.state in (ends[receipt.delivery], State.HELD), receipt
            else:
                assert isinstance(answer, (LoginNeeded, asyncio.CancelledError)), answer

    async def judge_reader(self, engine: Engine) -> None:
        stored = [event.id for event in await engine.recent_events(limit=10_000)]
        await until(lambda: stored[-1] in self.heard)

        assert stored == list(dict.fromkeys(self.heard))[: len(stored)]

    def judge_order(self) -> None:
        by_target: defaultdict[Target, list[str]] = defaultdict(list)
        for _, target, text in self.arrivals:
            by_target[target].append(text)
        # Deliveries that wait until the other side writes do not block allowed ones.
        for target, texts in [(target, texts) for target, texts in by_target.items() if str(target) not in ASKED]:
            units = [list(unit) for _, unit in groupby(texts, lambda text: text.split(".")[0])]
            names = [unit[0].split(".")[0] for unit in units]
            assert len(names) == len(set(names)), f"interleaved at {target}: {texts}"
            assert all(sorted(unit) == unit for unit in units), f"out of order at {target}: {texts}"

    def judge_windows(self) -> None:
        times = sorted(at for at, _, _ in self.arrivals)
        assert most_in(times, 5.0 - ROUNDING) <= PER_ACCOUNT.count
        for target in {target for _, target, _ in self.arrivals}:
            at_target = sorted(at for at, to, _ in self.arrivals if to == target)
            assert most_in(at_target, 10.0 - ROUNDING) <= PER_TARGET.count, target


TARGETS = [f"fake.me/{kind}/{kind[0]}{number}" for kind in ("user", "group") for number in range(6)]
ASKED = frozenset({"fake.me/user/u5", "fake.me/group/g5"})
"""Targets that are sent nothing unless they have written."""


@pytest.fixture
def clock() -> TurnableClock:
    return StillClock()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "TRIES", 1)
    monkeypatch.setattr(lane_module, "GRACE", 0.005)
    monkeypatch.setattr(sender_module, "STORE_PAUSE", 0.01)
    monkeypatch.setattr(supervisor_module, "LOOK_SECONDS", 0.02)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_every_receipt_is_true(
    seed: int, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    trial = Trial(seed, network, clock, tmp_path / "store")
    other = await Engine.open(trial.folder, clock=clock, sending=False)
    await other.add_account("fake.me")
    engine = await trial.begin()
    for step in range(STEPS):
        await trial.step(engine, other)
        if step % 10 == 9:
            trial.look(await other.records.receipts())
        if trial.chance.random() < 0.06:
            await trial.end(engine)
            engine = await trial.begin()
    trial.calm = True
    receipts = await finish(engine, trial)

    trial.look(receipts)
    trial.judge(receipts)
    trial.judge_times()
    trial.judge_order()
    trial.judge_windows()
    await trial.judge_waits(receipts)
    await trial.judge_reader(engine)
    await other.close()
    await engine.close()


async def finish(engine: Engine, trial: Trial) -> list[Receipt]:
    """Let every delivery end on a platform that works."""
    for key, (to, text, _) in trial.sends.items():
        # Stored, or lost with the process that was to store it; then it is now.
        (receipt,) = await engine.submit(to, text, key=key)
        trial.submitted[receipt.delivery] = Target.parse(to), [text]
    async with asyncio.timeout(PATIENCE):
        while True:
            for target in ASKED:
                trial.write(target)
            if engine.paused():
                await engine.login("fake.me", lambda step: None)
            receipts = await engine.records.receipts()
            if all(receipt.state.final for receipt in receipts):
                return receipts
            await trial.pass_time(engine, 2.0)


def most_in(times: list[float], seconds: float) -> int:
    """Return how many of `times` fall into the fullest window of `seconds`."""
    most = first = 0
    for index, at in enumerate(times):
        while at - times[first] >= seconds:
            first += 1
        most = max(most, index - first + 1)
    return most
