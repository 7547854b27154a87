"""A segment composes where the capabilities say so, and is refused elsewhere, with the remedy in the text."""

from __future__ import annotations

import inspect

import msgspec
import pytest

from yizhan.errors import Refused
from yizhan.model import Message, Reply, Target, Text
from yizhan.platforms.spec import Platform
from yizhan.testing.conformance.samples import SEGMENTS, adapter_of

OWN = ("forward", "native")
"""Segments whose content is the platform's own; its own tests compose them."""


@pytest.mark.asyncio
async def test_a_segment_composes_exactly_where_the_capabilities_name_it(
    platform: Platform, kind: str, segment_name: str
) -> None:
    allowed = segment_name in platform.capabilities[kind].segments
    if allowed and segment_name in OWN:
        pytest.skip("its content is the platform's own")
    adapter = adapter_of(platform)
    target = _target(platform, kind)
    rest = (Text("and text"),) if segment_name in ("quote", "mention") else ()
    message = Message((SEGMENTS[segment_name], *rest))

    try:
        if not allowed:
            with pytest.raises(Refused) as caught:
                adapter.compose(message, target)
            assert len(str(caught.value)) > 30, "the refusal does not say what to do"
        else:
            parts = adapter.compose(message, target)
            assert parts
            assert parts == adapter.compose(message, target), "compose is not pure"
            assert all(part.call and part.summary for part in parts)
    finally:
        await adapter.close()


@pytest.mark.asyncio
async def test_limits_are_data(platform: Platform, kind: str) -> None:
    adapter = adapter_of(platform)

    limits = adapter.limits(Message((Text("hi"),), Reply("m1", 1.0)), _target(platform, kind))

    await adapter.close()
    assert all(limit.name and limit.count >= 0 for limit in limits)
    assert len({limit.name for limit in limits}) == len(limits)


@pytest.mark.asyncio
async def test_limits_can_be_lifted(platform: Platform, kind: str) -> None:
    target = _target(platform, kind)
    adapter = adapter_of(platform, rules={"limits": False})

    limits = adapter.limits(Message((Text("hi"),), Reply("m1", 1.0)), target)

    await adapter.close()
    assert [] == list(limits)


def _target(platform: Platform, kind: str) -> Target:
    return Target(f"{platform.name}.main", kind, platform.capabilities[kind].only or "someone")


def test_every_setting_is_documented(platform: Platform) -> None:
    source = "".join(
        inspect.getsource(owner)
        for owner in platform.settings.__mro__
        if issubclass(owner, msgspec.Struct) and owner is not msgspec.Struct
    )

    for field in msgspec.structs.fields(platform.settings):
        after = source.partition(f"    {field.name}:")[2].partition("\n")[2].lstrip()
        assert after.startswith('"""'), f"the setting {field.name} has no docstring"
    names = {field.encode_name for field in msgspec.structs.fields(platform.settings)}
    assert {"base_url", "rules_profile", "rules"} <= names
    assert platform.secrets <= names
