"""What the capabilities allow composes; everything else is refused, with the remedy in the text."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.conformance.samples import SEGMENTS, loaded_platforms, sample
from tests.support import MemoryStateStore
from yizhan.errors import Refused
from yizhan.model import BytesContent, Message, Reply, Target, Text
from yizhan.platforms.adapter import AccountContext, Adapter
from yizhan.platforms.spec import Platform
from yizhan.world import TurnableClock

CASES = [
    pytest.param(platform, kind, name, id=f"{platform.name}-{kind}-{name}")
    for platform in loaded_platforms()
    for kind in platform.capabilities
    for name in SEGMENTS
]


def adapter_of(platform: Platform, **more: Any) -> Adapter:
    """Return an adapter that is never used to send."""
    required = {
        field.encode_name: sample(field.type) for field in msgspec.structs.fields(platform.settings) if field.required
    }
    context = AccountContext(
        name=f"{platform.name}.main",
        settings=msgspec.convert({**required, "base_url": "http://127.0.0.1:9", **more}, platform.settings),
        clock=TurnableClock(),
        state_store=MemoryStateStore(),
        rules=platform.rules(),
        open_media=lambda sha256: BytesContent(b""),
    )
    return platform.load_adapter()(context)


@pytest.mark.parametrize(("platform", "kind", "name"), CASES)
async def test_a_segment_composes_if_and_only_if_the_platform_says_so(platform: Platform, kind: str, name: str) -> None:
    allowed = name in platform.capabilities[kind].segments
    adapter = adapter_of(platform)
    target = Target(f"{platform.name}.main", kind, "someone")
    message = Message((SEGMENTS[name], Text("and text")) if name in ("quote", "mention") else (SEGMENTS[name],))

    if name in ("forward", "native"):
        # What they hold is the platform's own; only whether they are taken at all is held here.
        if not allowed:
            with pytest.raises(Refused):
                adapter.compose(message, target)
        await adapter.close()
        return
    if not allowed:
        with pytest.raises(Refused) as caught:
            adapter.compose(message, target)
        assert len(str(caught.value)) > 30, "the refusal does not say what to do"
    else:
        parts = adapter.compose(message, target)
        assert parts
        assert parts == adapter.compose(message, target), "compose is not pure"
        assert all(part.call and part.summary for part in parts)
    await adapter.close()


@pytest.mark.parametrize("platform", [pytest.param(p, id=p.name) for p in loaded_platforms()])
async def test_limits_are_data_and_can_be_lifted(platform: Platform) -> None:
    message = Message((Text("hi"),), Reply("m1", 1.0))
    for kind in platform.capabilities:
        target = Target(f"{platform.name}.main", kind, "someone")
        adapter = adapter_of(platform)
        for limit in adapter.limits(message, target):
            assert limit.count >= 0
            assert limit.name
        await adapter.close()


@pytest.mark.parametrize("platform", [pytest.param(p, id=p.name) for p in loaded_platforms()])
def test_every_setting_is_documented(platform: Platform) -> None:
    import inspect

    source = inspect.getsource(platform.settings)

    for field in msgspec.structs.fields(platform.settings):
        after = source.partition(f"    {field.name}:")[2].partition("\n")[2].lstrip()
        assert after.startswith('"""'), f"{platform.name}: the setting {field.name} has no docstring"
    assert {"base_url", "rules_profile", "rules"} <= {f.encode_name for f in msgspec.structs.fields(platform.settings)}
    assert platform.secrets <= {f.encode_name for f in msgspec.structs.fields(platform.settings)}
