"""Links lead somewhere, and the pages hang together."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import ROOT, anchors, links, name_of, pages
from yizhan.platforms.spec import platforms

PAGES = [pytest.param(page, id=name_of(page)) for page in pages()]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_title(page: Path) -> None:
    broken = []
    for link in links(page):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = unquote(link).partition("#")
        to = (page.parent / path).resolve() if path else page
        if not to.exists() or (anchor and anchor not in anchors(to)):
            broken.append(link)

    assert [] == broken


def test_every_page_can_be_reached_from_the_front_page() -> None:
    front = ROOT / "README.md"
    seen, waiting = {front}, [front]
    while waiting:
        page = waiting.pop()
        for link in links(page):
            to = (page.parent / unquote(link).partition("#")[0]).resolve()
            if to.suffix == ".md" and to.is_file() and to not in seen:
                seen.add(to)
                waiting.append(to)

    assert set() == {name_of(page) for page in pages()} - {name_of(page) for page in seen}


CHAPTERS = {
    "Set up",
    "What can be sent",
    "Upload once",
    "What comes in",
    "Limits",
    "Errors",
    "The sandbox",
    "How sure is this",
}


@pytest.mark.parametrize("name", platforms())
def test_the_page_of_a_platform_has_the_same_chapters_as_its_neighbours(name: str) -> None:
    text = (ROOT / f"docs/platforms/{name}.md").read_text("utf-8")

    assert set() == CHAPTERS - set(re.findall(r"^##+ (.*)$", text, re.MULTILINE))
