"""A minimal third-party platform: letters and parcels by pigeon, and a socket that echoes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as File
from typing import Annotated, Any

from msgspec import Struct

from yizhan.errors import LoginNeeded, Throttled
from yizhan.http.router import Call, Router
from yizhan.http.websocket import Socket
from yizhan.model import Kind
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import ServerOptions, SimulatedEvent
from yizhan.platforms.spec import AccountSettings, KindCapabilities, Platform
from yizhan.wire import (
    JSON,
    MULTIPART,
    Endpoint,
    Fault,
    FaultCode,
    FaultTable,
    FormPart,
    Header,
    HttpRequest,
    HttpResponse,
    MalformedRequest,
    Path,
    as_struct,
    json_object,
)
from yizhan.world import Blob, World

TIRED = FaultCode(7, "the pigeon is tired", http=429, means=Throttled, retry_after=3, name="tired")
STRANGER = FaultCode(8, "who are you", http=401, means=LoginNeeded)
UNREADABLE = FaultCode(9, "unreadable", http=400)
FAULTS = FaultTable([TIRED, STRANGER, UNREADABLE])


class Coo:
    faults = FAULTS

    def wrap(self, endpoint: Any, answer: Any) -> HttpResponse:
        return HttpResponse(200, [("Content-Type", "application/json")], JSON.encode(answer)[0][0])

    def fail(self, endpoint: Any, fault: Fault) -> HttpResponse:
        body = JSON.encode({"coo": fault.row.code, "words": fault.message})[0][0]
        return HttpResponse(fault.http, [("Content-Type", "application/json")], body)

    def unwrap(self, endpoint: Any, http: HttpResponse) -> Any:
        body = json_object(endpoint, http)
        if "coo" in body:
            raise Fault(FAULTS.row(body["coo"], http=http.status), body["words"], http=http.status)
        return as_struct(endpoint, http, body)

    def malformed(self, endpoint: Any, error: MalformedRequest) -> Fault:
        return Fault(UNREADABLE, str(error))


COO = Coo()


class Letter(Struct):
    to: Annotated[str, Path()]
    text: str
    token: str = ""
    auth: Annotated[str | None, Header("Authorization")] = None


class Parcel(Struct):
    to: str
    file: Any


class Delivered(Struct):
    id: str
    size: int = 0


SEND = Endpoint("sendLetter", "POST", "/pigeon/{to}/letters", Letter, Delivered, COO, "a page", acts=True, target="to")
PARCEL = Endpoint(
    "sendParcel", "POST", "/pigeon/parcels", Parcel, Delivered, COO, "a page", codec=MULTIPART, acts=True, target="to"
)


class Server:
    def __init__(self, world: World, rules: Rules, options: ServerOptions) -> None:
        self.world = world
        self.rules = rules
        self.options = options
        self.hooks: list[str] = []
        self.logins = {"one==": "waiting"}
        self.closed = False
        self.router = Router("pigeon", COO, world.blobs)
        self.router.add(SEND, self._send)
        self.router.add(PARCEL, self._parcel)
        self.router.socket("/pigeon/socket", self._repeat)

    async def _send(self, call: Call[Letter]) -> Delivered:
        self.world.network("qq").person(call.request.to) if call.request.to.isupper() else None
        if len(call.request.text) > self.rules.number("letter.max_chars"):
            raise Fault(TIRED, "too heavy")
        if self.rules.limited and self._sent_to(call.request.to) >= self.rules.number("letters.count"):
            raise Fault(TIRED)
        return Delivered(self._post("sendLetter", call.request.to, "text", text=call.request.text))

    def _sent_to(self, to: str) -> int:
        since = self.world.now() - self.rules.number("letters.seconds")
        return sum(1 for post in self.world.select(platform="pigeon", target=to, call="sendLetter") if post.at > since)

    async def _parcel(self, call: Call[Parcel]) -> Delivered:
        part = call.request.file
        if not isinstance(part, FormPart) or not isinstance(part.value, Blob):
            raise Fault(UNREADABLE, "a parcel has a file")
        number = self._post("sendParcel", call.request.to, "file", blob=part.value, name=part.filename or "")
        return Delivered(number, part.value.size)

    async def _repeat(self, http: HttpRequest, socket: Socket) -> None:
        while True:
            await socket.send(await socket.receive())

    def _post(self, call: str, target: str, kind: str, **more: Any) -> str:
        post = self.world.post(
            network="qq",
            platform="pigeon",
            call=call,
            account="loft",
            sender=more.pop("sender", "loft"),
            target=target,
            target_kind="user",
            kind=kind,
            message_id=self.world.hex(8),
            **more,
        )
        return post.message_id

    async def event(self, event: SimulatedEvent) -> str:
        if event.event != "message":
            raise LookupError(f"a pigeon plays no '{event.event}'. It has: message.")
        return await self.say(event.sender, event.to, text=event.text)

    async def say(
        self, sender: str, to: str, *, text: str = "", media: Blob | None = None, kind: Kind = "file", name: str = ""
    ) -> str:
        self.world.network("qq").person(sender)
        what = kind if media is not None else "text"
        return self._post("say", to, what, text=text, blob=media, name=name, sender=sender)

    def people(self, kind: str, count: int) -> list[str]:
        network = self.world.network("qq")
        made = [self.world.hex(32).upper() for _ in range(count)]
        for id in made:
            network.add_person(id) if kind == "user" else network.add_group(id)
        return made

    async def login(self, uuid: str, step: str) -> None:
        if uuid not in self.logins:
            raise LookupError(f"pigeon knows no login {uuid}")
        self.logins[uuid] = step

    async def webhook(self, url: str) -> None:
        self.hooks.append(url)

    def reset(self) -> None:
        self.hooks.clear()

    async def close(self) -> None:
        self.closed = True


class Settings(AccountSettings, frozen=True):
    pass


PIGEON = Platform(
    name="pigeon",
    title="Carrier pigeons",
    network="qq",
    settings=Settings,
    capabilities={"user": KindCapabilities(frozenset({"text"}))},
    adapter="tests.pigeon:Nothing",
    server="tests.pigeon:Server",
    folder=File(__file__).parent,
    calls="tests.pigeon",
)

Fields = Mapping[str, Any]
