"""The checks of the source tree find their faults, and today's tree passes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from checks.__main__ import main
from checks.cycles import circles
from checks.report import read_finished, report, write_finished
from checks.rules import LINES_OF, MAX_LINES, Module, violations_of


def module(source: str, name: str = "media/blobs.py") -> Module:
    return Module(Path("src/yizhan") / name, name, source)


def rules_broken(source: str, name: str = "media/blobs.py") -> list[str]:
    return [violation.rule for violation in violations_of(module(source, name))]


@pytest.mark.parametrize(
    "source",
    [
        '"""What came in."""',
        '"""Who may ask."""',
        'class A:\n    """Somebody on a network."""',
        'def f():\n    """Whoever waits."""',
        'async def f():\n    """Nobody\'s business."""',
        'class A:\n    size: int\n    """Where it stands."""',
        'LIMIT = 3\n"""Those that are over."""',
        '"""\nWhat, then.\n"""',
    ],
)
def test_a_docstring_that_opens_with_a_clause_is_found(source: str) -> None:
    assert ["docstring opening"] == rules_broken(source)


@pytest.mark.parametrize(
    "source", ['"""Whether it is so."""', '"""Return what came."""', '"""Whole files."""', '""""""']
)
def test_other_openings_pass(source: str) -> None:
    assert [] == rules_broken(source)


def test_a_long_module_is_found_and_the_engine_has_a_limit_of_its_own() -> None:
    limit = LINES_OF["engine.py"]

    assert [] == rules_broken("a = 1\n" * MAX_LINES)
    assert ["module size"] == rules_broken("a = 1\n" * (MAX_LINES + 1))
    assert [] == rules_broken("a = 1\n" * limit, "engine.py")
    assert ["module size"] == rules_broken("a = 1\n" * (limit + 1), "engine.py")


@pytest.mark.parametrize(
    ("source", "rules"),
    [
        ("hasattr(adapter, 'read')", ["adapter reflection"]),
        ("getattr(opened.adapter, 'read', None)", ["adapter reflection"]),
        ("getattr(self._adapter, name)", ["adapter reflection"]),
        ("getattr(segment, 'name', '')", []),
        ("adapter.read()", []),
    ],
)
def test_reflection_on_an_adapter_is_found(source: str, rules: list[str]) -> None:
    assert rules == rules_broken(source)


def test_a_finished_room_may_not_fall_back_and_others_are_reported() -> None:
    bad, good = '"""What came in."""', '"""Events."""'
    modules = [module(bad, "media/a.py"), module(bad, "http/a.py"), module(good, "wire/a.py")]

    found = report(modules, ["http", "gone"])

    assert ["http/a.py"] == [violation.path.relative_to("src/yizhan").as_posix() for violation in found.fallen_back]
    assert ["media/a.py"] == [violation.path.relative_to("src/yizhan").as_posix() for violation in found.remaining]
    assert ["wire"] == found.ready
    assert ["gone"] == found.unknown
    assert not found.ok


def test_a_platform_is_a_room_and_so_is_a_module_at_the_top() -> None:
    rooms = [
        module("", name).room for name in ("platforms/qqbot/wire/a.py", "platforms/spec.py", "engine.py", "a/b/c.py")
    ]

    assert ["platforms/qqbot", "platforms/spec.py", "engine.py", "a"] == rooms


def test_a_cycle_counts_for_every_module_in_it() -> None:
    modules = [module("", "media/a.py"), module("", "media/__init__.py"), module("", "http/b.py")]

    found = report(modules, [], [["yizhan.http.b", "yizhan.media"]])

    assert ["import cycle", "import cycle"] == [violation.rule for violation in found.remaining]
    assert {"__init__.py", "b.py"} == {violation.path.name for violation in found.remaining}


def test_circles_of_any_length_are_found() -> None:
    imports = {"a": ["b"], "b": ["c"], "c": ["a", "d"], "d": ["e"], "e": ["d"], "f": ["a"]}

    assert [["a", "b", "c"], ["d", "e"]] == sorted(circles(sorted(imports), imports.__getitem__))


def test_the_list_of_finished_rooms_keeps_its_comment(tmp_path: Path) -> None:
    path = tmp_path / "finished.toml"
    path.write_text("# why\nrooms = []\n")
    write_finished(["b", "a"], path)

    assert ["a", "b"] == read_finished(path)
    assert path.read_text().startswith("# why\n")


def test_the_tree_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main([]), capsys.readouterr().out
