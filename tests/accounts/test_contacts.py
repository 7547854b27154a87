"""Names for targets: put, found in lists of targets, removed."""

from __future__ import annotations

import pytest

from tests.sending.conftest import clock, engine, network
from yizhan.engine import Engine
from yizhan.errors import Refused, UnknownTarget, YizhanError

__all__ = ["clock", "engine", "network"]

ANN, BOB = "fake.me/user/ann", "fake.me/user/bob"


async def test_a_name_stands_for_its_targets_wherever_targets_are_given(engine: Engine) -> None:
    await engine.contacts.put("@ann", ANN)
    await engine.contacts.put("#all", [ANN, BOB, ANN])

    assert [ANN, BOB] == [str(target) for target in await engine.targets(["#all", "@ann"])]
    assert {"@ann": [ANN], "#all": [ANN, BOB]} == await engine.contacts.all()
    assert [ANN, BOB] == await engine.contacts.get("#all")


async def test_a_name_is_given_anew_and_removed(engine: Engine) -> None:
    await engine.contacts.put("@ann", ANN)
    await engine.contacts.put("@ann", BOB)
    assert [BOB] == await engine.contacts.get("@ann")

    await engine.contacts.remove("@ann")

    assert {} == await engine.contacts.all()
    with pytest.raises(UnknownTarget, match="There is no alias '@ann'"):
        await engine.contacts.remove("@ann")


@pytest.mark.parametrize(
    ("name", "targets", "error", "words"),
    [
        ("ann", ANN, UnknownTarget, "'ann' is not a name. Expected @name for one target or #name for many"),
        ("@", ANN, UnknownTarget, "is not a name"),
        ("@a b", ANN, UnknownTarget, "is not a name"),
        ("@a/b", ANN, UnknownTarget, "is not a name"),
        ("@ann", [ANN, BOB], Refused, "the name of one target, and these are 2. Use #ann for many"),
        ("#all", [], Refused, "There is no target for #all"),
        ("#all", ["nobody"], UnknownTarget, "'nobody' is not a target"),
        ("@\ud800", ANN, Refused, "A name of targets holds half a character at position 1"),
    ],
)
async def test_a_name_that_makes_no_sense_is_refused_and_nothing_is_stored(
    engine: Engine, name: str, targets: list[str], error: type[YizhanError], words: str
) -> None:
    with pytest.raises(error, match=words):
        await engine.contacts.put(name, targets)
    assert {} == await engine.contacts.all()


async def test_an_unknown_name_names_close_ones(engine: Engine) -> None:
    await engine.contacts.put("@alice", ANN)

    with pytest.raises(UnknownTarget, match=r"There is no alias '@alise'\. Did you mean @alice"):
        await engine.contacts.get("@alise")
