"""The first things to know about a running sandbox: its accounts with their credentials, its people, and one call."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from yizhan.platforms.spec import Platform, platforms
from yizhan.world.populate import DEFAULT, NetworkEntry, read_world

ACCOUNT = "me"
"""The second half of the names under which accounts are shown."""


class Welcome(Struct, frozen=True):
    """The things that a stranger needs to send the first message."""

    url: str
    accounts: Mapping[str, Mapping[str, str]]
    """Settings of `yizhan account add`, by account."""
    logins: Sequence[str]
    """Accounts that are logged in by a scan, which the sandbox does by itself."""
    targets: Mapping[str, Sequence[str]]
    """People and groups by account; those of accounts that know them only once they are logged in are left out."""
    curl: str
    """A command that has a person of the world write, or sends a message without a login."""


def welcome(url: str, served: Sequence[str] | None = None, world_file: Path | None = None) -> Welcome:
    """Return it for the platforms `served` (all if None).

    Raises:
        ConfigError: the world file cannot be read.
    """
    world = read_world(world_file or DEFAULT)
    known = {name: one for name, one in platforms().items() if not served or name in served}
    accounts = {f"{name}.{ACCOUNT}": {**one.sandbox_settings, "base_url": url} for name, one in known.items()}
    targets = {}
    for name, one in known.items():
        network: NetworkEntry = getattr(world, one.network)
        if found := _targets(one, network):
            targets[f"{name}.{ACCOUNT}"] = found
    logins = [f"{name}.{ACCOUNT}" for name, one in known.items() if one.needs_login]
    return Welcome(url, accounts, logins, targets, _curl(url, known, targets))


def _targets(platform: Platform, network: NetworkEntry) -> list[str]:
    if platform.people_are == "known after login":
        return []
    names = platform.people_are == "names"
    found = [("user", (one.remark or one.name) if names else one.id) for one in network.people]
    found += [(one.kind, one.name if names else one.id) for one in network.groups]
    account = f"{platform.name}.{ACCOUNT}"
    return [f"{account}/{kind}/{id}" for kind, id in found if kind in platform.capabilities]


def _curl(url: str, known: Mapping[str, Platform], targets: Mapping[str, Sequence[str]]) -> str:
    if "wecom" in known:
        key = known["wecom"].sandbox_settings["key"]
        body = {"msgtype": "text", "text": {"content": "hello"}}
        return _post(f"{url}/cgi-bin/webhook/send?key={key}", body)
    for account, some in targets.items():
        platform, sender = account.partition(".")[0], some[0].split("/", 2)[2]
        return _post(f"{url}/_sandbox/say", {"platform": platform, "from": sender, "text": "hello"})
    return f"curl {url}/_sandbox/posts"


def _post(address: str, body: Mapping[str, object]) -> str:
    data = shlex.quote(json.dumps(body, ensure_ascii=False))
    return f"curl {shlex.quote(address)} -H 'Content-Type: application/json' -d {data}"
