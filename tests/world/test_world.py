"""The simulated network: posts, people, blobs, chance and the clock; and the files that fill it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import PATIENCE
from yizhan.errors import ConfigError
from yizhan.model import read_all
from yizhan.world import Blobs, Post, TurnableClock, World, populate


@pytest.fixture
def world() -> World:
    world = World()
    populate(world)
    return world


def _post(world: World, id: str = "m1", **more: Any) -> Post:
    fields = {"network": "qq", "platform": "p", "call": "send", "account": "a", "sender": "a", "target": "t"}
    return world.post(**{**fields, "target_kind": "user", "kind": "text", "message_id": id, **more})


# --- people and groups ------------------------------------------------------------------------------------------------


def test_the_default_world_has_the_documented_identities(world: World) -> None:
    qq, wechat = world.network("qq"), world.network("wechat")

    assert ["A1B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4"] == list(qq.people)
    assert {"B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4E5": "group", "1000001": "channel"} == {
        g.id: g.kind for g in qq.groups.values()
    }
    assert {"Alice", "Bob", "张伟"} == {person.name for person in wechat.people.values()}
    assert {"wxid_alice", "wxid_bob", "wxid_zhangwei"} == set(wechat.people)
    assert "产品群" == wechat.group("10001@chatroom").name
    assert set(wechat.people) == set(wechat.group("10001@chatroom").members)


def test_an_unknown_person_is_reported_with_close_names(world: World) -> None:
    with pytest.raises(LookupError, match=r"no one called 'wxid_alise'.*Did you mean wxid_alice"):
        world.network("wechat").person("wxid_alise")
    with pytest.raises(LookupError, match=r"no group '10002@chatroom'.*Did you mean 10001@chatroom"):
        world.network("wechat").group("10002@chatroom")


def test_looking_for_an_unknown_person_among_many_is_quick(world: World) -> None:
    network = world.network("qq")
    for _ in range(50_000):
        network.add_person(world.hex(32))
    # The processor's time, which a busy machine does not lengthen.
    start = time.process_time()
    with pytest.raises(LookupError):
        network.person("nobody")

    assert time.process_time() - start < 0.5


# --- posts ------------------------------------------------------------------------------------------------------------


def test_posts_are_numbered_found_selected_and_heard(world: World) -> None:
    heard: list[str] = []
    stop = world.listen(lambda post: heard.append(post.message_id))
    first, second = _post(world, "m1"), _post(world, "m2", target="u", kind="image")
    stop()
    third = _post(world, "m3", platform="q")

    assert [1, 2, 3] == [post.number for post in world.posts]
    assert ["m1", "m2"] == heard
    assert second is world.find_post("p", "m2")
    assert world.find_post("q", "m2") is None
    assert [first] == list(world.select(platform="p", target="t"))
    assert [third] == list(world.select(since=2))
    assert [second] == list(world.select(kind="image"))


def test_the_same_seed_gives_the_same_ids() -> None:
    one, same, other = World(seed=7), World(seed=7), World(seed=8)
    ids = [one.hex(16) for _ in range(3)]

    assert ids == [same.hex(16) for _ in range(3)]
    assert ids != [other.hex(16) for _ in range(3)]
    one.reset()
    assert ids == [one.hex(16) for _ in range(3)]
    assert {16} == {len(id) for id in ids}


async def test_reset_leaves_nothing(world: World) -> None:
    blob = await world.blobs.add(b"x")
    _post(world)
    world.clock.advance(100)
    world.reset()

    assert [] == world.posts
    assert world.find_post("p", "m1") is None
    assert {} == world.network("qq").people
    assert world.blobs.find(blob.sha256) is None
    assert not blob.path.exists()
    assert 0 == world.clock.turned


# --- blobs ------------------------------------------------------------------------------------------------------------


async def test_the_same_bytes_are_kept_once(world: World) -> None:
    data = b"hello" * 1000
    one, two = await world.blobs.add(data), await world.blobs.add(data)

    assert one is two
    assert 1 == len(world.blobs)
    assert [one.sha256] == [file.name for file in world.blobs.folder.iterdir()]
    assert hashlib.sha256(data).hexdigest() == one.sha256
    assert (hashlib.md5(data).hexdigest(), hashlib.sha1(data).hexdigest()) == (one.md5, one.sha1)
    assert one is world.blobs.by_md5(one.md5)
    assert one is world.blobs.find(one.sha256)


async def test_a_blob_is_read_in_pieces(world: World) -> None:
    data = bytes(range(256)) * 10_000
    blob = await world.blobs.add(data)

    assert data == await read_all(blob)
    assert data[100:200] == await read_all(blob, 100, 200)
    assert data[-5:] == await read_all(blob, len(data) - 5, len(data) + 50)
    assert b"" == await read_all(blob, len(data))
    assert data[:64] == blob.head()


async def test_blobs_are_joined_in_order(world: World) -> None:
    pieces = [await world.blobs.add(data) for data in (b"a" * 10, b"b" * 10, b"a" * 10)]
    joined = await world.blobs.join(pieces)

    assert b"a" * 10 + b"b" * 10 + b"a" * 10 == joined.read()


async def test_bytes_that_break_off_leave_no_file(world: World) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await world.blobs.keep(broken())
    assert [] == list(world.blobs.folder.iterdir())


async def test_a_folder_of_its_own_goes_with_the_world_a_named_one_stays(tmp_path: Path) -> None:
    own, named = Blobs(), Blobs(tmp_path / "kept")
    await own.add(b"x")
    await named.add(b"x")
    own.close()
    named.close()

    assert not own.folder.exists()
    assert 1 == len(list((tmp_path / "kept").iterdir()))


# --- the clock --------------------------------------------------------------------------------------------------------


async def test_who_sleeps_has_begun_to_when_the_clock_is_turned_right_after() -> None:
    clock = TurnableClock()
    sleeping = asyncio.create_task(clock.sleep(60))
    clock.advance(61)

    await asyncio.wait_for(sleeping, 30)


async def test_a_turn_in_another_thread_while_a_sleep_begins_is_not_missed() -> None:
    class TurnedMeanwhile(TurnableClock):
        """A clock that is turned, once, right after it was read."""

        def now(self) -> float:
            at = super().now()
            if turns:
                self.advance(turns.pop())
            return at

    turns: list[float] = []
    clock = TurnedMeanwhile()
    sleeping = clock.sleep(3600)
    turns.append(3601)

    await asyncio.wait_for(sleeping, PATIENCE)


async def test_turning_the_clock_wakes_due_sleepers() -> None:
    clock = TurnableClock()
    soon, late = (asyncio.create_task(clock.sleep(seconds)) for seconds in (60, 600))
    await asyncio.sleep(0)
    clock.advance(61)
    await soon

    assert not late.done()
    clock.advance(600)
    await late


async def test_turning_it_back_makes_sleepers_wait_longer() -> None:
    clock = TurnableClock()
    sleeper = asyncio.create_task(clock.sleep(60))
    await asyncio.sleep(0)
    clock.advance(-100)
    clock.advance(100)
    for _ in range(5):
        await asyncio.sleep(0)

    assert not sleeper.done()
    clock.advance(60)
    await sleeper


async def test_a_sleeper_that_is_cancelled_is_forgotten() -> None:
    clock = TurnableClock()
    sleeper = asyncio.create_task(clock.sleep(60))
    await asyncio.sleep(0)
    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeper

    assert set() == clock._sleepers
    clock.advance(60)


def test_the_clock_is_set_to_a_moment_and_back() -> None:
    clock = TurnableClock()
    clock.set(2_000_000_000)

    assert 0 <= clock.now() - 2_000_000_000 < 5
    clock.reset()
    assert abs(clock.now() - time.time()) < 5


# --- world files ------------------------------------------------------------------------------------------------------


def test_a_world_file_fills_both_networks(tmp_path: Path) -> None:
    file = tmp_path / "world.toml"
    file.write_text(
        """
        [[qq.people]]
        id = "EVE"
        active_allowed = false
        [[qq.groups]]
        id = "G"
        members = ["EVE"]
        muted = true
        [[wechat.people]]
        id = "wxid_eve"
        name = "夏娃"
        friends = false
        """
    )
    world = World()
    populate(world, file)

    assert (False, "EVE") == (world.network("qq").person("EVE").active_allowed, world.network("qq").person("EVE").name)
    assert (["EVE"], True) == (world.network("qq").group("G").members, world.network("qq").group("G").muted)
    assert ("夏娃", False) == (
        world.network("wechat").person("wxid_eve").name,
        world.network("wechat").person("wxid_eve").friends,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[qq.people]]\nid = 5", "Expected `str`, got `int` - at `$.qq.people[0].id`"),
        ("[[qq.people]]\nname = 'x'", "missing required field `id`"),
        ("[[qq.peple]]\nid = 'x'", "unknown field `peple`"),
        ("[[qq.groups]]\nid = 'g'\nkind = 'club'", "Invalid enum value 'club'"),
        ("qq = ", "not a world file"),
        ("[[qq.people]]\nid = 'x'\n[[qq.people]]\nid = 'x'", "qq.people has 'x' twice"),
        (
            "[[wechat.people]]\nid = 'eve'\n[[wechat.groups]]\nid = 'g'\nmembers = ['eva']",
            "the group 'g' names 'eva', who is not in wechat.people. Did you mean eve?",
        ),
        ("\xff", "not a world file"),
    ],
)
def test_a_wrong_world_file_says_where_and_what(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "world.toml"
    file.write_bytes(text.encode("latin-1"))

    with pytest.raises(ConfigError) as caught:
        populate(World(), file)
    assert str(file) in str(caught.value)
    assert words in str(caught.value)
