"""Logging in to a sandbox over its socket, and putting the login's values into recorded requests."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from yarl import URL

from tests.hostile.corpus import Recorded


@dataclass
class Credentials:
    """The values that a logged-in client of one platform adds to its requests."""

    platform: str
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    base_request: dict[str, Any] = field(default_factory=dict)

    def put_into(self, recorded: Recorded) -> Recorded:
        """Return `recorded` with this login in place of the one that was recorded."""
        kept = [pair for pair in recorded.headers if pair[0].lower() not in {name.lower() for name in self.headers}]
        target = recorded.target
        for name, value in self.query.items():
            target = re.sub(rf"(?<=[?&]){name}=[^&]*", f"{name}={value}", target)
        body = recorded.body
        if isinstance(body, dict) and "BaseRequest" in body and self.base_request:
            body = {**body, "BaseRequest": self.base_request}
        return replace(recorded, headers=(*kept, *self.headers.items()), target=target, body=body)

    def documented(self, answer: bytes) -> bool:
        """Whether an answer of 500 and above is the platform's own word for a refusal."""
        body = answer.partition(b"\r\n\r\n")[2]
        return b"the sandbox failed" not in body and bool(re.search(rb'"(code|err_code)":\s*[1-9]', body))


async def log_in(platform: str, url: str) -> Credentials:
    """Log in to `platform` as its clients do, and return what their requests must carry."""
    credentials = Credentials(platform)
    async with aiohttp.ClientSession(url) as session:
        match platform:
            case "qqbot":
                secret = {"appId": "102000001", "clientSecret": "DG5g3B4j9X2KOErG"}
                async with session.post("/app/getAppAccessToken", json=secret) as answer:
                    token = (await answer.json(content_type=None))["access_token"]
                credentials.headers["Authorization"] = f"QQBot {token}"
            case "ohwxapi":
                credentials.query["wxid"] = "wxid_sandbox"
            case "ilink":
                credentials.headers = await _ilink(session)
            case "webwechat":
                await _webwechat(session, credentials)
    return credentials


async def _ilink(session: aiohttp.ClientSession) -> dict[str, str]:
    async with session.post("/ilink/bot/get_bot_qrcode?bot_type=3", json={}) as answer:
        code = json.loads(await answer.read())["qrcode"]
    status: dict[str, Any] = {}
    while "bot_token" not in status:
        async with session.get(f"/ilink/bot/get_qrcode_status?qrcode={code}") as answer:
            status = json.loads(await answer.read())
    return {"Authorization": f"Bearer {status['bot_token']}", "AuthorizationType": "ilink_bot_token"}


async def _webwechat(session: aiohttp.ClientSession, credentials: Credentials) -> None:
    async with session.get("/jslogin?appid=wx782c26e4c19acffb&fun=new&lang=en_US&_=1") as answer:
        text = await answer.text()
    uuid = text.split('"')[1]
    while "redirect_uri" not in text:
        async with session.get(f"/cgi-bin/mmwebwx-bin/login?uuid={uuid}&tip=0&_=1") as answer:
            text = await answer.text()
    target = URL(text.split('redirect_uri="')[1].split('"')[0] + "&fun=new&version=v2", encoded=True)
    async with session.get(target.relative(), allow_redirects=False) as answer:
        text = await answer.text()
        cookies = {name: morsel.value for name, morsel in answer.cookies.items()}
    credentials.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    skey = text.split("<skey>")[1].split("<")[0]
    credentials.base_request = {
        "Uin": int(cookies["wxuin"]), "Sid": cookies["wxsid"], "Skey": skey, "DeviceID": "e123456789012345",
    }  # fmt: skip
