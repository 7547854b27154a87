"""A bot without yizhan, for the test that the front page shows."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

USER = "A1B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4"


def run_my_bot(api: str) -> None:
    token = _post(f"{api}/app/getAppAccessToken", {"appId": "102000001", "clientSecret": "DG5g3B4j9X2KOErG"}, "")
    _post(f"{api}/v2/users/{USER}/messages", {"msg_type": 0, "content": "hello"}, token["access_token"])


def _post(url: str, body: dict[str, Any], token: str) -> Any:
    headers = {"Content-Type": "application/json", "Authorization": f"QQBot {token}"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as answer:
        return json.load(answer)
