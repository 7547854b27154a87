"""Every input of the public calls is carried out or refused in words; a refused call stores nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import yizhan
from tests.sending.fake import Network, fake_network
from yizhan import Engine, File, Link, Native, Refused, Text, UnknownTarget, YizhanError
from yizhan.model import Message, Reply

TARGET = "fake.me/user/a"
HALF = "a\ud83d"
"""Text that was cut inside an emoji."""


@pytest.fixture
def network() -> Iterator[Network]:
    with fake_network() as network:
        yield network


@pytest.fixture
async def engine(network: Network, tmp_path: Path) -> AsyncIterator[Engine]:
    async with await Engine.open(tmp_path / "store") as engine:
        await engine.add_account("fake.me")
        yield engine


async def _refused(engine: Engine, to: Any, content: Any, **options: Any) -> str:
    with pytest.raises(Refused) as caught:
        await engine.submit(to, content, **options)

    assert [] == await engine.deliveries()
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        HALF,
        Text(HALF),
        Link("https://example.com", HALF),
        Link(HALF, "title"),
        Native("say", {"text": {"deep": [HALF]}}),
        Message((Text("x"),), Reply(HALF)),
    ],
    ids=ascii,
)
async def test_half_a_character_is_refused(engine: Engine, content: Any) -> None:
    assert "half a character" in await _refused(engine, TARGET, content)


async def test_half_a_character_in_a_file_name_is_left_out(engine: Engine) -> None:
    media = await engine.upload(b"text", name=f"{HALF}.txt")

    assert "a.txt" == media.name


@pytest.mark.parametrize(
    "to", [f"fake.me/user/{HALF}", HALF, f"@{HALF}", f"#{HALF}", 3, None, [3], [], f"fake.{HALF}/user/a"], ids=ascii
)
async def test_a_malformed_target_is_refused(engine: Engine, to: Any) -> None:
    await _refused(engine, to, "x")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"expires_in": 10**400}, "expires_in is"),
        ({"expires_in": "x"}, "expires_in is 'x'"),
        ({"expires_in": float("nan")}, "expires_in is nan"),
        ({"expires_in": float("inf")}, "expires_in is inf"),
        ({"expires_in": -1}, "expires_in is -1"),
        ({"priority": 2**70}, "The priority is"),
        ({"priority": -1}, "The priority is -1"),
        ({"priority": "x"}, "The priority is 'x'"),
        ({"priority": 1.5}, "The priority is 1.5"),
        ({"priority": True}, "The priority is True"),
        ({"key": HALF}, "The key holds half a character"),
        ({"key": 3}, "The key is text"),
        ({"at": 10**400}, "is not a time"),
        ({"at": 10**30}, "is not a time"),
        ({"at": "x"}, "x is not a time"),
        ({"at": float("inf")}, "inf is not a time"),
    ],
)
async def test_an_option_out_of_range_is_refused(engine: Engine, options: dict[str, Any], words: str) -> None:
    assert words in await _refused(engine, TARGET, "x", **options)


@pytest.mark.parametrize("which", [HALF, f"d{HALF}", "d" + "9" * 30, 3.5, "", "d-1", "d²", "d１"], ids=ascii)
@pytest.mark.parametrize("call", ["recall", "cancel", "receipt"])
async def test_a_malformed_id_of_a_delivery_is_refused(engine: Engine, call: str, which: Any) -> None:
    ids: Any = [which] if call == "cancel" else which
    with pytest.raises(Refused):
        await getattr(engine, call)(ids)


@pytest.mark.parametrize("name", [HALF, f"fake.{HALF}", "", "fake", 3, "fake.me/x", "你.好"], ids=ascii)
@pytest.mark.parametrize("call", ["adapter", "check", "add_account"])
async def test_a_malformed_name_of_an_account_is_refused(engine: Engine, call: str, name: Any) -> None:
    with pytest.raises(YizhanError):
        await getattr(engine, call)(name)

    assert {"fake.me"} == (await engine.accounts()).keys()


_TEXTS = st.one_of(st.text(max_size=20), st.just(HALF), st.just("\udfff"), st.just("\0"))
_ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _TEXTS, st.binary(max_size=8))
_CONTENT = st.one_of(
    _ANYTHING,
    st.builds(Text, _TEXTS),
    st.builds(Link, _TEXTS, _TEXTS),
    st.builds(Native, _TEXTS, st.dictionaries(_TEXTS, _ANYTHING, max_size=2)),
    st.builds(File, st.one_of(st.binary(min_size=1, max_size=8), _TEXTS), _TEXTS),
)
_TARGETS = st.one_of(_ANYTHING, st.just(TARGET), _TEXTS.map(lambda text: f"fake.me/user/{text}"), st.lists(_TEXTS))
_OPTIONS = st.fixed_dictionaries(
    {}, optional={"key": _ANYTHING, "priority": _ANYTHING, "expires_in": _ANYTHING, "at": _ANYTHING}
)


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(to=_TARGETS, content=_CONTENT, options=_OPTIONS)
def test_any_input_is_stored_or_ends_in_the_error_tree(
    network: Network, tmp_path: Path, to: Any, content: Any, options: dict[str, Any]
) -> None:
    async def submit() -> None:
        async with await Engine.open(tmp_path / "store", sending=False) as engine:
            await engine.add_account("fake.me")
            before = len(await engine.deliveries(limit=100_000))
            try:
                await engine.submit(to, content, **options)
            except YizhanError:
                assert before == len(await engine.deliveries(limit=100_000))

    asyncio.run(submit())


def test_a_target_with_half_a_character_is_an_unknown_target() -> None:
    with pytest.raises(UnknownTarget, match="half a character at position 14"):
        yizhan.Target.parse(f"fake.me/user/{HALF}")
