"""The recorded exchanges, and the values that differ in a replay."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

DATA = Path(__file__).parent / "data"
SCENARIOS = sorted(path.name.removesuffix(".jsonl") for path in DATA.glob("*.jsonl"))
OF_THE_LIBRARY = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "accept",
        "accept-language",
        "accept-encoding",
        "sec-fetch-mode",
        "user-agent",
    }
)
"""Headers that an HTTP library adds by itself, in lower case."""


@dataclass(frozen=True)
class Recorded:
    """One exchange."""

    step: str
    operation: str
    request: dict[str, Any]
    answer: dict[str, Any]

    @property
    def call(self) -> str:
        return self.operation.partition(".")[0]

    @property
    def headers(self) -> dict[str, str]:
        """The headers that the client set itself, in its own spelling."""
        return {k: v for k, v in self.request["headers"] if k.lower() not in OF_THE_LIBRARY}

    @property
    def body(self) -> Any:
        return unpacked(self.request["body"])

    @property
    def answered(self) -> Any:
        return unpacked(self.answer["body"])


def unpacked(body: Any) -> Any:
    if isinstance(body, dict) and body.get("encoding") == "base64":
        return base64.b64decode(body["data"])
    return body


def load(scenario: str) -> list[Recorded]:
    lines = (DATA / f"{scenario}.jsonl").read_text("utf-8").splitlines()
    return [Recorded(**json.loads(line)) for line in lines]


def asset(name: str) -> bytes:
    return (DATA / "assets" / name).read_bytes()


class Substitutes:
    """Recorded tokens, ids and parameters, and the values that stand for them in this run."""

    def __init__(self) -> None:
        self.here: dict[str, str] = {}

    def learn(self, recorded: Any, ours: Any) -> None:
        """Learn every text that differs at the same place of two answers."""
        if isinstance(recorded, dict) and isinstance(ours, dict):
            for name in recorded.keys() & ours.keys():
                self.learn(recorded[name], ours[name])
        elif isinstance(recorded, list) and isinstance(ours, list):
            for one, other in zip(recorded, ours, strict=False):
                self.learn(one, other)
        elif isinstance(recorded, str) and isinstance(ours, str) and recorded != ours:
            self.here[recorded] = ours
            if recorded.startswith("http") and ours.startswith("http"):
                self.learn(dict(parse_qsl(urlsplit(recorded).query)), dict(parse_qsl(urlsplit(ours).query)))

    def apply(self, value: Any) -> Any:
        """Return `value` with everything recorded replaced."""
        if isinstance(value, dict):
            return {name: self.apply(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.apply(item) for item in value]
        if isinstance(value, str):
            bearer, _, token = value.rpartition(" ")
            if bearer == "Bearer":
                return f"Bearer {self.here.get(token, token)}"
            return self.here.get(value, value)
        return value
