"""The targets of the demo: one row per platform and kind of target, for the platforms that are installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Crowd:
    """Some targets of one account."""

    platform: str
    kind: str
    title: str
    count: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The account's settings, by the sandbox's default world; the address is added."""
    rules: Mapping[str, Any] = field(default_factory=lambda: {"limits": False})
    """Changed rules, on both sides. Real quotas would spread the demo over hours."""
    writes_first: bool = False
    """Whether these people write first, once the account is logged in; only then can they be written to."""
    shared: bool = True
    """Whether one upload serves all of them."""

    @property
    def account(self) -> str:
        return f"{self.platform}.demo"

    @property
    def lifted(self) -> bool:
        """Whether quotas and windows are lifted."""
        return self.rules.get("limits") is False

    @property
    def key(self) -> str:
        return f"{self.account}/{self.kind}"


_STRICT = {"sendmessage.strict_context": True, "getuploadurl.strict_recipient": True}
_BOT = {"app_id": "102000001", "secret": "DG5g3B4j9X2KOErG", "receive": "off"}

CROWDS = (
    Crowd("qqbot", "user", "QQ users", 500, _BOT),
    Crowd("qqbot", "group", "QQ groups", 500, _BOT),
    Crowd("webwechat", "user", "web WeChat", 200),
    Crowd("wechatsdk", "user", "WeChat SDK", 100),
    Crowd("ohwxapi", "user", "ohwxapi", 100, {"wxid": "wxid_sandbox"}),
    # Its limits stay in force: two messages are within the ten that everyone who wrote may be sent.
    Crowd("ilink", "user", "iLink", 30, rules=_STRICT, writes_first=True, shared=False),
)


def crowds(served: Iterable[str], wanted: Iterable[str], scale: float) -> list[Crowd]:
    """Return the rows whose platform the sandbox serves and this program has, `scale` times as large.

    Raises:
        ConfigError: a platform that is wanted by name is not among them.
    """
    from yizhan.errors import ConfigError, did_you_mean

    there = [row for row in CROWDS if row.platform in set(served) and _has_adapter(row.platform)]
    names = {row.platform for row in there}
    for name in wanted:
        if name not in names:
            raise ConfigError(
                f"The demo has no platform '{name}'.{did_you_mean(name, names)} It has: {', '.join(sorted(names))}."
            )
    chosen = [row for row in there if not wanted or row.platform in set(wanted)]
    return [replace(row, count=max(1, round(row.count * scale))) for row in chosen]


def _has_adapter(name: str) -> bool:
    from yizhan.platforms.spec import platforms

    try:
        platforms()[name].load_adapter()
    except (ImportError, AttributeError, KeyError):
        return False
    return True
