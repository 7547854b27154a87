"""The base classes of adapters and account settings: the defaults of a platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import pytest

import yizhan
from tests.pigeon import SEND, Letter
from yizhan.errors import ConfigError, Unsupported
from yizhan.model import (
    BytesContent,
    Content,
    Handle,
    Image,
    Message,
    PlatformId,
    Receipt,
    SendKey,
    State,
    Target,
    message_of,
)
from yizhan.platforms.adapter import AccountContext, Adapter, MediaNeed, Part, Progress
from yizhan.platforms.rules import Rules
from yizhan.platforms.spec import AccountSettings, Address, Platform, ProxiedSettings, platforms
from yizhan.testing.conformance.samples import PICTURE, MemoryStateStore
from yizhan.wire import Secret, is_secret, mask_text
from yizhan.world import TurnableClock

ANN = Target("pigeon.loft", "user", "ann")


class Settings(ProxiedSettings, frozen=True, kw_only=True):
    base_url: str = "https://pigeon.example/"
    ring: Annotated[str, Secret()] = ""
    loft: Address = ""
    greeting_url: str = ""


class Smallest(Adapter):
    def compose(self, message: Message, target: Target) -> Sequence[Part]:
        return [Part("send", message)]

    async def upload(
        self, need: MediaNeed, content: Content, target: Target, progress: Progress | None = None
    ) -> Handle:
        return Handle("h", need.scope)

    async def send(
        self, part: Part, handles: Mapping[MediaNeed, Handle], target: Target, key: SendKey, message: Message
    ) -> PlatformId:
        return PlatformId("1")


@pytest.fixture
def adapter() -> Smallest:
    return Smallest(
        AccountContext(
            name="pigeon.loft",
            settings=Settings(),
            clock=TurnableClock(),
            state_store=MemoryStateStore(),
            rules=Rules("rules.toml", "2026", {}),
            open_media=lambda sha256: BytesContent(b""),
            title="Pigeon post",
        )
    )


async def test_an_adapter_of_three_methods_names_the_abilities_that_its_platform_lacks(adapter: Smallest) -> None:
    receipt = Receipt("d1", str(ANN), State.SENT)

    with pytest.raises(Unsupported, match="Pigeon post withdraws no messages"):
        await adapter.recall(PlatformId("1"), ANN, receipt)
    with pytest.raises(Unsupported, match="Pigeon post has no read marks"):
        await adapter.mark_read(ANN)
    with pytest.raises(Unsupported, match="Pigeon post has no webhooks"):
        adapter.read_webhook({}, b"")
    with pytest.raises(Unsupported, match="brings in no media"):
        adapter.open_reference({})
    with pytest.raises(Unsupported, match="makes no raw calls"):
        await adapter.call(SEND, Letter("ann", "hello"))


async def test_an_adapter_of_three_methods_has_no_limits_no_session_and_takes_any_media(adapter: Smallest) -> None:
    assert [] == adapter.limits(message_of("hello"), ANN)
    assert "" == adapter.session()
    assert adapter.media_rule(Image(PICTURE), ANN) is None
    assert "pigeon.loft" == await adapter.login(lambda step: None)
    assert () == await adapter.check()
    await adapter.close()


def test_settings_show_no_secret_in_their_repr() -> None:
    shown = repr(Settings(ring="A-17", proxy="http://user:word@host:1", rules={"text.max_chars": 5}))

    assert "A-17" not in shown
    assert "word" not in shown
    assert "ring=***" in shown
    assert "{'text.max_chars': 5}" in shown


def test_an_empty_address_is_the_platforms_own_without_a_slash() -> None:
    assert "https://pigeon.example" == Settings(base_url="").api_base
    assert "http://127.0.0.1:1" == Settings(base_url="http://127.0.0.1:1/").api_base


@pytest.mark.parametrize("name", platforms())
def test_every_platform_builds_on_the_base_classes(name: str) -> None:
    platform = platforms()[name]

    assert issubclass(platform.settings, AccountSettings)
    assert not platform.adapter or name == "pigeon" or platform.load_adapter().call is not Adapter.call  # type: ignore[attr-defined]
    assert not platform.adapter or name == "pigeon" or issubclass(platform.load_adapter(), Adapter)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        "access_token",
        "clientSecret",
        "secret",
        "secretKey",
        "bot_token",
        "token",
        "authorization",
        "skey",
        "wxsid",
        "sid",
        "pass_ticket",
        "webwx_data_ticket",
        "webwx_auth_ticket",
        "webwxuvid",
        "context_token",
        "typing_ticket",
        "get_updates_buf",
        "aeskey",
        "cdnthumbaeskey",
        "aes_key",
        "local_token_list",
        "password",
        "cookie",
        "set-cookie",
        "x-signature-ed25519",
        "ticket",
        "rawfilekey",
    ],
)
def test_every_secret_of_the_platforms_is_masked(name: str) -> None:
    for platform in platforms().values():
        if platform.calls:
            import_module(platform.calls)

    assert is_secret(name)
    assert f"<a><{name}>***</{name}></a>" == mask_text(f"<a><{name}>value</{name}></a>")


def test_addresses_are_known_by_their_type_and_not_by_their_name() -> None:
    pigeon = Platform("pigeon", "Pigeon post", "qq", Settings, {}, "pigeon:Adapter", "pigeon:Server", Path())

    assert {"base_url", "loft"} == pigeon.addresses


@pytest.mark.parametrize(("platform", "setting"), [("qqbot", "token_url"), ("ilink", "cdn_url"), ("wecom", "base_url")])
async def test_an_invalid_address_in_a_setting_is_refused(platform: str, setting: str, tmp_path: Path) -> None:
    settings = {**platforms()[platform].sandbox_settings, setting: "127.0.0.1:8791"}

    async with yizhan.open(tmp_path) as yz:
        with pytest.raises(ConfigError, match=f"{setting} is '127.0.0.1:8791', which is not an address"):
            await yz.add_account(f"{platform}.main", **settings)
