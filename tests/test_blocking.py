"""The library without `async`: everything under the same name, waiting for its result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import yizhan
from tests.media.support import picture
from tests.sending.fake import Network, fake_network
from yizhan import State
from yizhan.blocking import Blocking
from yizhan.errors import StorageError, UnknownTarget
from yizhan.testing import RunningSandbox

BOT = {"app_id": "102000001", "secret": "DG5g3B4j9X2KOErG", "receive": "off"}
USER = "A1B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4"


@pytest.fixture
def network() -> Iterator[Network]:
    with fake_network() as network:
        yield network


@pytest.fixture
def yz(network: Network, tmp_path: Path) -> Iterator[Blocking]:
    with yizhan.open_blocking(tmp_path / "store") as yz:
        yz.add_account("fake.me")
        yield yz


def test_the_parts_of_the_engine_wait_for_their_results_too(yz: Blocking) -> None:
    media = yz.library.add(picture("PNG"), name="a.png")
    yz.contacts.put("@a", ["fake.me/user/a"])
    receipt = yz.send("@a", media)

    assert ("image", "a.png") == (media.kind, media.name)
    assert (State.SENT, "fake.me/user/a") == (receipt.state, receipt.target)


def test_methods_that_do_not_wait_are_called_as_well(yz: Blocking) -> None:
    settled: list[State] = []
    forget = yz.on_settled(lambda target, state: settled.append(state))
    yz.send("fake.me/user/a", "hi")
    forget()
    yz.send("fake.me/user/a", "hi")

    assert [State.SENT] == settled
    assert "" == yz.paused()


def test_errors_come_as_they_are_and_unknown_names_too(yz: Blocking) -> None:
    with pytest.raises(UnknownTarget):
        yz.send("nobody", "hi")
    with pytest.raises(AttributeError, match="sendd"):
        yz.sendd("fake.me/user/a", "hi")  # type: ignore[attr-defined]


def test_a_closed_store_says_that_it_is_closed(yz: Blocking) -> None:
    broadcast = yz.broadcast(["fake.me/user/a"], "hi")
    yz.close()
    yz.close()

    for ask in (lambda: yz.send("fake.me/user/a", "hi"), broadcast.wait, lambda: next(yz.events())):
        with pytest.raises(StorageError, match="is closed; use it within its `with` block"):
            ask()


def test_the_raw_calls_of_a_platform_wait_as_well(tmp_path: Path) -> None:
    with RunningSandbox(platforms=["qqbot"]) as sandbox, yizhan.open_blocking(tmp_path / "store") as yz:
        yz.add_account("qqbot.main", **BOT, base_url=sandbox.url)
        bot: Any = yz.adapter("qqbot.main")
        sent = yz.run(bot.bot.c2c.post_message(USER, msg_type=0, content="raw"))

        assert sent.id
        assert ["raw"] == [post.text for post in sandbox.posts(USER)]


def test_a_broadcast_waits_too(yz: Blocking) -> None:
    broadcast = yz.broadcast(["fake.me/user/a", "fake.me/user/b"], "hi", name="news")
    counts = broadcast.wait()

    assert {State.SENT: 2} == counts
    assert ["sent", "sent"] == [row.state for row in broadcast.recipients()]
    assert ("b1", "news", 2) == (broadcast.id, broadcast.name, yz.broadcasts.get("b1").total)
    assert ["b1"] == [one.id for one in yz.broadcasts.list()]
    assert 2 == len(yz.wait(broadcast))


def test_the_file_is_as_the_asynchronous_classes_want_it() -> None:
    from checks import blocking

    assert 0 == blocking.main()
