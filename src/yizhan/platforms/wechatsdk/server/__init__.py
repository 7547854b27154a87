"""The serving end: one logged-in WeChat client with its local API, over a world.

By the vendor's chapters: account · sending · contacts · groups · labels · cdn. `saying` plays people, `pushes` tells
registered handlers, `book` is the account's view of the world; `paths` and `sql` bound the callers' paths and SQL;
`calls` is the interface of a chapter.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from yizhan.http.router import Call
from yizhan.model import Kind
from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import SaidMedia, ServerOptions, SimulatedEvent
from yizhan.platforms.wechatsdk import PLATFORM, wire
from yizhan.platforms.wechatsdk.server.account import Account
from yizhan.platforms.wechatsdk.server.book import AddressBook
from yizhan.platforms.wechatsdk.server.calls import Answerer
from yizhan.platforms.wechatsdk.server.cdn import Cdn
from yizhan.platforms.wechatsdk.server.contacts import Contacts
from yizhan.platforms.wechatsdk.server.event_source import EventSource
from yizhan.platforms.wechatsdk.server.groups import Groups
from yizhan.platforms.wechatsdk.server.labels import LabelCalls
from yizhan.platforms.wechatsdk.server.paths import Folders
from yizhan.platforms.wechatsdk.server.pushes import Pushes
from yizhan.platforms.wechatsdk.server.sending import Sending
from yizhan.platforms.wechatsdk.server.simulated import EventPlayer
from yizhan.platforms.wechatsdk.server.sql import Database
from yizhan.wire import Endpoint, Fault, HttpRequest, HttpResponse
from yizhan.world import Blob, World

log = logging.getLogger(__name__)

NEIGHBOURS = frozenset(
    {
        *(2, 4, 5, 18, 19, 20, 25, 26, 27, 34, 35, 44, 54, 55, 56, 63, 65, 67, 68, 80, 83, 86, 97),
        *(10038, 10039, 10040, 10042, 10043, 10044, 10045, 10055, 10057, 10059, 10060, 10062, 10088),
        *(10082, 10083, 10084, 10105, 10106),
        *(*range(70, 77), *range(10016, 10022), *range(10063, 10081), *range(10116, 10126)),
    }
)
"""Interfaces that the vendor has and the sandbox does not play: they say so, others are unknown."""


class Server(SandboxServer):
    """The serving end.

    `options.extra` may hold `folders` (folders whose files callers may name, beside the system's temporary
    one) and `push_hosts` (hosts that events may be pushed to, beside this machine).
    """

    platform = PLATFORM
    envelope = wire.ENVELOPE
    too_often = wire.TOO_OFTEN

    def __init__(self, world: World, rules: Rules, options: ServerOptions) -> None:
        super().__init__(world, rules, options)
        self.folders = Folders(options.extra.get("folders", ()))
        self.account = Account(world, self.folders, manual_logins=options.manual_logins)
        self.answers = wire.SdkEnvelope(self.account.robot)
        """The envelope of answers that name the account."""
        self.router.envelope = self.answers
        self.router.unknown = _unknown
        self.pushes = Pushes(world, self.account, frozenset(options.extra.get("push_hosts", ())))
        self.account.push = self.pushes.push
        self.book = AddressBook(world, self.account)
        self.cdn = Cdn(world, self.folders, self)
        self.sending = Sending(world, self.book, self.account, self.cdn, self)
        self.event_source = EventSource(world, self.book, self.account, self.cdn, self.pushes, self)
        self.contacts = Contacts(self.book, Database(self.book), self)
        self.groups = Groups(world, self.book, self.account, self.pushes, self)
        self._player = EventPlayer(self.event_source, self.groups, self.account, self.pushes)
        self._running: set[asyncio.Task[None]] = set()
        self.labels = LabelCalls(self.book)
        for chapter in (self.sending, self.cdn, self.contacts, self.groups, self.labels, self.account):
            for endpoint, answerer in chapter.calls:
                self._serve(endpoint, answerer)
        for endpoint, answerer in (*self.account.calls_before_login, *self.pushes.calls_before_login):
            self._serve(endpoint, answerer, before_login=True)

    # --- the sandbox's interface ---

    async def say(
        self, sender: str, to: str, *, text: str = "", media: Blob | None = None, kind: Kind = "file", name: str = ""
    ) -> str:
        found = [SaidMedia(media, kind, name)] if media is not None else []
        return await self.event_source.write(SimulatedEvent("message", sender, to, text, media=found))

    async def event(self, event: SimulatedEvent) -> str:
        return await self._player.play(event)

    def people(self, kind: Literal["user", "group"], count: int) -> list[str]:
        network = self.network
        if kind == "user":
            return [network.add_person(f"wxid_{self.world.hex(14)}", f"Person {n + 1}").id for n in range(count)]
        members = list(network.people)[:3]
        numbers = [10**10 + self.world.random.getrandbits(34) for _ in range(count)]
        return [network.add_group(f"{number}@chatroom", f"Group {number}", members).id for number in numbers]

    async def login(self, uuid: str, step: Literal["scan", "confirm", "expire", "cancel"]) -> None:
        self.account.step(uuid, step)

    async def webhook(self, url: str) -> None:
        socket = url.lower().startswith(("ws://", "wss://"))
        self.pushes.register(wire.BY_WEBSOCKET if socket else wire.BY_HTTP, url)

    def reset(self) -> None:
        super().reset()
        for task in self._running:
            task.cancel()
        self.pushes.clear()
        self.account.reset()
        self.book.reset()
        self.cdn.clear()
        self.folders.clear()

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.pushes.close()
        self.folders.close()

    # --- around every call ---

    def _serve(self, endpoint: Endpoint[Any, Any], handler: Answerer, *, before_login: bool = False) -> None:
        """Serve one interface under both spellings of the path, in answers that name the account."""
        own = dataclasses.replace(endpoint, envelope=self.answers)

        async def gated(call: Call[Any]) -> Any:
            if call.request.secretKey != self.account.secret and self.account.secret:
                raise Fault(wire.BAD_SECRET)
            if self.rules["licence.expired"]:
                raise Fault(wire.LICENCE_EXPIRED)
            if not self.account.logged_in and not before_login:
                raise Fault(wire.NOT_LOGGED_IN)
            if getattr(call.request, "bAsync", False):
                return self._later(own, handler, call)
            return await handler(call)

        self.router.add(own, gated)
        self.router.add(dataclasses.replace(own, path="/api"), gated)

    def _later(self, endpoint: Endpoint[Any, Any], handler: Answerer, call: Call[Any]) -> HttpResponse:
        """Answer at once, without the result; that is pushed as type 0 when it is there."""
        task = asyncio.ensure_future(self._run(endpoint, handler, call))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return self.answers.wrap(endpoint, wire.Done())

    async def _run(self, endpoint: Endpoint[Any, Any], handler: Answerer, call: Call[Any]) -> None:
        try:
            data = {"status": 0, "desc": "", **msgspec.to_builtins(await handler(call))}
        except Fault as fault:
            data = msgspec.json.decode(self.answers.fail(endpoint, fault).data)["data"]
        except Exception:
            log.exception("asynchronous call failed", extra={"endpoint": endpoint.name})
            data = {"status": -1, "desc": "the sandbox failed; see its log"}
        self.pushes.push(wire.PUSH_ASYNC, data, interface=endpoint.constants["type"], echo=call.request.asyncUserData)


def _unknown(_http: HttpRequest, fields: Mapping[str, Any]) -> Fault:
    number = fields.get("type")
    if number in NEIGHBOURS:
        return Fault(wire.NOT_SUPPORTED, f"{wire.NOT_SUPPORTED.message} by this sandbox", data={"type": number})
    words = f"{wire.UNKNOWN_INTERFACE.message}: {str(number)[:20]}"
    return Fault(wire.UNKNOWN_INTERFACE, words, data={"type": number})


__all__ = ["Server"]
