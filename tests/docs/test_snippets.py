"""The pages' examples work: their Python and their commands are run in order, against a sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import OWN_TESTS, Reader, has_examples, is_as_shown, name_of, pages
from yizhan.testing import RunningSandbox

PAGES = [
    pytest.param(page, id=name_of(page)) for page in pages() if has_examples(page) and name_of(page) not in OWN_TESTS
]


@pytest.mark.parametrize("page", PAGES)
async def test_the_page_does_what_it_shows(page: Path, sandbox: RunningSandbox, folder: Path) -> None:
    await Reader(page, sandbox).read()


@pytest.mark.parametrize(
    ("shown", "got", "same"),
    [
        ("d1 sent", "d1 sent\n", True),
        ("d1 sent …", "d1 sent ROBOT1.0_x\n", True),
        ("d1 sent", "d1 failed", False),
        ("a\n…\nz", "a\nb\nc\nz", True),
        ("a\n…\nz", "a\nz", True),
        ("a…z", "a\nz", False),
        ("", "something", False),
    ],
)
def test_an_output_counts_as_shown_only_if_it_is(shown: str, got: str, same: bool) -> None:
    assert same == is_as_shown(shown, got)


async def test_a_page_that_shows_something_else_is_found_out(
    sandbox: RunningSandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = folder / "page.md"
    page.write_text('```python\nprint("sent")\n```\n\n```text\nfailed\n```\n', "utf-8")
    monkeypatch.setattr("tests.docs.pages.ROOT", folder)

    with pytest.raises(AssertionError, match=r"page\.md:6 shows"):
        await Reader(page, sandbox).read()
