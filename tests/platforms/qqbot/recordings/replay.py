"""Reads recorded requests of real clients, and sends them to another server.

An operation is one file, or several numbered ones. Values that the recorded server generated (ids, tokens, links) are
replaced in later requests by ours from the same place; other values are put into the world beforehand.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.support import Served
from yizhan.platforms.qqbot.server.event_source import Answerable
from yizhan.platforms.qqbot.server.files import PlacedFile
from yizhan.platforms.qqbot.wire.files import IMAGE

DATA = Path(__file__).parent / "data"
USER = "A1B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4"
GROUP = "B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4E5"
TOKEN = "ACCESS_TOKEN_102000001"
RECORDED_ORIGIN = "http://127.0.0.1:18777"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True)
class Operation:
    name: str
    steps: list[dict[str, Any]]


def load(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return value


def all_files() -> list[Path]:
    return sorted(DATA.glob("*.json"))


def operations() -> list[Operation]:
    """Requests with their answers, in order, by client and operation."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in all_files():
        record = load(path)
        if "stub_response" in record:
            found[f"{record['client']}.{record['operation']}"].append(record)
    return [Operation(name, steps) for name, steps in found.items()]


def sessions() -> list[Path]:
    return [path for path in all_files() if "frames" in load(path)]


def webhooks() -> list[Path]:
    return [path for path in all_files() if "client_response" in load(path)]


@dataclass
class Replay:
    """One operation on its way to our server."""

    served: Served
    session: aiohttp.ClientSession
    picture_url: str
    changed: dict[str, str] = field(default_factory=dict)
    """Text of the recording -> text of this run."""

    def prepare(self, operation: Operation) -> None:
        """Put the people, groups and messages of the recording into the world."""
        server = self.served.server
        now = self.served.world.now()
        server.tokens.ends[TOKEN] = now + 7200  # type: ignore[attr-defined]
        self.changed[f"{RECORDED_ORIGIN}/sample.png"] = self.picture_url
        # This path made the recorded server answer with that error; here the error comes from the message's id.
        scene = "groups" if "/groups/" in operation.steps[0]["request"]["path"] else "users"
        self.changed["ERR-40034024"] = GROUP if scene == "groups" else USER
        for step in operation.steps:
            self._prepare(step["request"], scene)

    def _prepare(self, request: dict[str, Any], scene: str) -> None:
        server, body = self.served.server, request.get("body")
        name, target = ("group", GROUP) if scene == "groups" else ("user", USER)
        if isinstance(body, dict) and body.get("msg_id", "nope") not in ("nope", None):
            answerable = Answerable("C2C_MESSAGE_CREATE", name, target, self.served.world.now())
            server.event_source.messages.setdefault(body["msg_id"], answerable)  # type: ignore[attr-defined]
        if isinstance(body, dict) and isinstance(body.get("media"), dict):
            info = body["media"]["file_info"]
            blob = self.served.world.blobs.find(hashlib.sha256(PNG).hexdigest())
            assert blob is not None
            placed = PlacedFile(info, "FU_1", name, IMAGE, "", blob, None)
            server.files.placed.setdefault(info, placed)  # type: ignore[attr-defined]
        if request["method"] == "DELETE":
            self._post(request["path"].rpartition("/")[2], name, target)
        if request["path"].startswith("/channels/"):
            channel_id = request["path"].split("/")[2]
            self.served.world.network("qq").add_group(channel_id, kind="channel")
            asked = Answerable("AT_MESSAGE_CREATE", "channel", channel_id, self.served.world.now())
            server.event_source.messages["08inbound"] = asked  # type: ignore[attr-defined]
        if request["path"].startswith("/interactions/"):
            server.interactions.waiting.add(request["path"].rpartition("/")[2])  # type: ignore[attr-defined]

    def _post(self, message_id: str, scene: str, target: str) -> None:
        self.served.world.post(
            network="qq",
            platform="qqbot",
            call="sendToUser",
            account="102000001",
            sender="102000001",
            target=target,
            target_kind=scene,
            kind="text",
            message_id=message_id,
        )

    async def send(self, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        """Send one recorded request, changed where it must be."""
        url, body = self.served.url + self._with(request["path"]), request.get("body")
        headers = {k: self._with(v) for k, v in request["headers"].items() if k.lower() != "user-agent"}
        data: bytes | None = None
        if isinstance(body, dict) and "_multipart" in body:
            data, headers["Content-Type"] = _multipart(body["_multipart"])
        elif isinstance(body, dict) and "_binary" in body:
            data = self._part(body["_binary"])
        elif body is not None:
            data = self._with(json.dumps(self._digests(body), ensure_ascii=False)).encode()
        query = {k: self._with(v) for k, v in request["query"].items()}
        skip = {"Content-Type"} if not any(k.lower() == "content-type" for k in headers) else set()
        async with self.session.request(
            request["method"], url, params=query, data=data, headers=headers, skip_auto_headers=skip
        ) as response:
            return response.status, dict(response.headers), await response.read()

    def learn(self, recorded: Any, ours: Any) -> None:
        """Remember what ours said in the place of every text that the recorded server made up."""
        if isinstance(recorded, dict) and isinstance(ours, dict):
            for key, value in recorded.items():
                self.learn(value, ours.get(key))
        elif isinstance(recorded, list) and isinstance(ours, list):
            for one, other in zip(recorded, ours, strict=False):
                self.learn(one, other)
        elif isinstance(recorded, str) and isinstance(ours, str) and recorded != ours and len(recorded) > 8:
            self.changed[recorded] = ours
            if "?partNumber" in recorded:
                self.changed[_sign(recorded)] = _sign(ours)

    def _with(self, text: str) -> str:
        for recorded, ours in sorted(self.changed.items(), key=lambda pair: -len(pair[0])):
            text = text.replace(recorded, ours)
        return text

    def _digests(self, body: dict[str, Any]) -> dict[str, Any]:
        """The bytes of chunked uploads were not recorded: zeros take their place, and their digests with them."""
        if "md5_10m" in body:
            data = bytes(int(body["file_size"]))
            md5, sha1 = hashlib.md5(data).hexdigest(), hashlib.sha1(data).hexdigest()
            return {**body, "md5": md5, "sha1": sha1, "md5_10m": hashlib.md5(data[:10002432]).hexdigest()}
        if "part_index" in body:
            return {**body, "md5": hashlib.md5(bytes(int(body["block_size"]))).hexdigest()}
        return body

    def _part(self, binary: dict[str, Any]) -> bytes:
        return bytes(binary["length"])


def _sign(url: str) -> str:
    return url.rpartition("sign=")[2]


def _multipart(parts: list[dict[str, Any]]) -> tuple[bytes, str]:
    lines = bytearray()
    for part in parts:
        lines += f"--b\r\nContent-Disposition: {part['content_disposition']}\r\n".encode()
        if part["content_type"]:
            lines += f"Content-Type: {part['content_type']}\r\n".encode()
        content = base64.b64decode(part["base64"]) if "base64" in part else part["text"].encode()
        lines += b"\r\n" + content + b"\r\n"
    return bytes(lines + b"--b--\r\n"), "multipart/form-data; boundary=b"


def missing(recorded: Any, ours: Any, where: str = "") -> list[str]:
    """Name the fields that only the recorded answer has, and those of another type."""
    if isinstance(recorded, dict):
        if not isinstance(ours, dict):
            return [f"{where}: no object"]
        return [lack for key, value in recorded.items() for lack in _missing_key(key, value, ours, where)]
    if isinstance(recorded, list):
        if not isinstance(ours, list):
            return [f"{where}: no list"]
        return missing(recorded[0], ours[0], f"{where}[0]") if recorded and ours else []
    return [] if type(recorded) is type(ours) else [f"{where}: {type(ours).__name__} for {type(recorded).__name__}"]


def _missing_key(key: str, value: Any, ours: dict[str, Any], where: str) -> list[str]:
    return missing(value, ours[key], f"{where}.{key}") if key in ours else [f"{where}.{key} is missing"]
