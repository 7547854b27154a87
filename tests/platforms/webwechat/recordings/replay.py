"""Recorded requests, sent again with the ids, tickets, names and lengths of a sandbox login."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support import PATIENCE
from yizhan.platforms.webwechat.client.calls import WebWx
from yizhan.platforms.webwechat.client.session import Session

DATA = Path(__file__).parent / "data"
FILES = sorted(path.stem for path in DATA.glob("*.json"))

SKEY = re.compile(r"@crypt_[0-9a-f]{8}_[0-9a-f]{32}(?![0-9a-f])")
MEDIA_ID = re.compile(r"@crypt_[0-9a-f]{8}_[0-9a-f]{48,}")
ROOM = re.compile(r"@@[0-9a-f]{64}")
PERSON = re.compile(r"(?<!@)@[0-9a-f]{32,64}(?![0-9a-f])")


def load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    return loaded


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next((v for k, v in self.headers if k.lower() == name.lower()), "")

    @property
    def cookies(self) -> set[str]:
        return {v.partition("=")[0] for k, v in self.headers if k.lower() == "set-cookie"}


@dataclass
class Login:
    """The values of a sandbox login that replace those of the recording."""

    session: Session
    person: str
    room: str
    uuid: str = ""
    ticket: str = ""
    media_id: str = ""
    received_id: str = ""
    message_id: str = ""
    image: tuple[str, str, str] = ("", "", "")
    """aeskey, CDN url, md5 of a picture that was received."""
    sync_at: int = 700000000
    more: dict[str, str] = field(default_factory=dict)


def substitutions(recorded: Mapping[str, Any], login: Login) -> dict[str, str]:
    """Return the replacement of every login-specific value in the recording."""
    request = recorded["request"]
    text = json.dumps([request["query"], request["body"]], ensure_ascii=False)
    cookies = dict(
        pair.strip().partition("=")[::2]
        for name, value in request["headers"]
        if name.lower() == "cookie"
        for pair in value.split(";")
    )
    body = _body(request)
    base = _base_of(body)
    found: dict[str, str] = {}

    def put(old: Any, new: Any) -> None:
        if old not in (None, "", 0):
            found[str(old)] = str(new)

    put(cookies.get("wxsid") or base.get("Sid"), login.session.sid)
    put(cookies.get("wxuin") or base.get("Uin"), login.session.uin)
    for name in ("webwx_data_ticket", "webwxuvid", "webwx_auth_ticket"):
        put(cookies.get(name), login.session.cookies[name])
    me = _me(body)
    put(me, login.session.me)
    for old in set(MEDIA_ID.findall(text)):
        media = login.received_id if recorded["operation"] == "webwxgetmedia" else login.media_id
        put(old, media)
    for old in set(SKEY.findall(text)) - set(MEDIA_ID.findall(text)):
        put(old, login.session.skey)
    for old in set(ROOM.findall(text)):
        put(old, login.room)
    for old in set(PERSON.findall(text.replace("@@", "##"))) - {me}:
        put(old, login.person)
    query = dict(request["query"])
    put(query.get("uuid"), login.uuid)
    put(query.get("ticket"), login.ticket)
    put(query.get("msgid") or query.get("MsgID") or body.get("SvrMsgId"), login.message_id)
    put("2_700000000", f"2_{login.sync_at}")
    put('"Val": 700000000', f'"Val": {login.sync_at}')
    put('"Val":700000000', f'"Val":{login.sync_at}')
    if recorded["operation"].endswith("_forward"):
        content = body["Msg"]["Content"]
        for attribute, new in zip(("aeskey", "cdnmidimgurl", "md5"), login.image, strict=True):
            put(re.search(rf' {attribute}="([^"]*)"', content)[1], new)  # type: ignore[index]
        put(re.search(r' cdnthumburl="([^"]*)"', content)[1], login.image[1])  # type: ignore[index]
    return {**found, **login.more}


def _me(body: Mapping[str, Any]) -> str:
    inside = body.get("Msg", body)
    return str(inside.get("FromUserName", "")) if isinstance(inside, dict) else ""


def _body(request: Mapping[str, Any]) -> dict[str, Any]:
    body = request["body"]
    if body["kind"] == "json":
        return dict(body["json"])
    if body["kind"] == "multipart":
        return next((dict(f["value_json"]) for f in body["fields"] if f["name"] == "uploadmediarequest"), {})
    return {}


def _base_of(body: Mapping[str, Any]) -> dict[str, Any]:
    return dict(body.get("BaseRequest", {}))


def replaced(text: str, changes: Mapping[str, str], *, query: bool = False) -> str:
    for old, new in sorted(changes.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(old, new)
        if query:
            text = text.replace(quote(old, safe=""), quote(new, safe=""))
    return text


def content_of(content: Mapping[str, Any]) -> bytes:
    """The recorded bytes, or as many others where the recording has only their digest."""
    if "base64" in content:
        return base64.b64decode(content["base64"])
    return hashlib.shake_128(content["sha256"].encode()).digest(content["size"])


def request_bytes(recorded: Mapping[str, Any], changes: Mapping[str, str], port: int) -> bytes:
    """The request as it goes over the wire."""
    request = recorded["request"]
    body = _encoded(request["body"], changes)
    target = request["path"] + (
        "?" + replaced(request["raw_query"], changes, query=True) if request["raw_query"] else ""
    )
    lines = [f"{request['method']} {target} HTTP/1.1"]
    ours = {"host": f"127.0.0.1:{port}", "content-length": str(len(body)), "connection": "close"}
    for name, value in request["headers"]:
        if name.lower() != "accept-encoding":
            lines.append(f"{name}: {ours.get(name.lower()) or replaced(value, changes)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def _encoded(body: Mapping[str, Any], changes: Mapping[str, str]) -> bytes:
    match body["kind"]:
        case "json" | "text":
            return replaced(body["text"], changes).encode()
        case "multipart":
            return _multipart(body, changes)
    return b""


def _multipart(body: Mapping[str, Any], changes: Mapping[str, str]) -> bytes:
    data = b""
    for part in body["fields"]:
        data += f"--{body['boundary']}\r\n".encode()
        for name, value in part["part_headers"]:
            data += f"{name}: {value}\r\n".encode()
        inside = content_of(part["content"]) if "content" in part else replaced(part["value"], changes).encode()
        data += b"\r\n" + inside + b"\r\n"
    return data + f"--{body['boundary']}--\r\n".encode()


async def exchange(port: int, request: bytes) -> Answer:
    """Send raw bytes, read until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if b"\r\nconnection:" not in request.partition(b"\r\n\r\n")[0].lower():
        request = request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    writer.write(request)
    await writer.drain()
    data = await asyncio.wait_for(reader.read(-1), PATIENCE)
    writer.close()
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("utf-8", "replace").split("\r\n")
    headers = [(k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in lines)]
    return Answer(int(first.split()[1]), headers, body)


def lacking(expected: Any, given: Any, path: str = "$") -> list[str]:
    """Where `given` has less than `expected`: a member is missing, or of another kind."""
    if isinstance(expected, dict):
        if not isinstance(given, dict):
            return [f"{path}: {type(given).__name__} for an object"]
        found = [f"{path}.{key}: missing" for key in expected if key not in given]
        return found + [
            line for key in expected if key in given for line in lacking(expected[key], given[key], f"{path}.{key}")
        ]
    if isinstance(expected, list):
        if not isinstance(given, list):
            return [f"{path}: {type(given).__name__} for a list"]
        return lacking(expected[0], given[0], f"{path}[0]") if expected and given else []
    return [] if type(expected) is type(given) else [f"{path}: {type(given).__name__} for {type(expected).__name__}"]


def form_of(text: str) -> str:
    """Return JavaScript or XML without its values."""
    bare = re.sub(r'"[^"]*"', '""', re.sub(r"'[^']*'", "''", text))
    return re.sub(r">[^<]+<", "><", bare)


__all__ = ["FILES", "Answer", "Login", "WebWx"]
