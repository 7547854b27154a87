"""The settings as the table of docs/configuration.md: `python -m yizhan.config.reference`."""

from __future__ import annotations

import ast
import inspect
import sys
from typing import get_type_hints

from msgspec import Struct

from yizhan.config.reading import values
from yizhan.config.settings import Settings


def reference() -> str:
    """Return every setting with its default and meaning, as Markdown."""
    shown = values(Settings())
    lines = ["| setting | default | |", "|---|---|---|"]
    for section, struct in get_type_hints(Settings).items():
        for name, text in _texts(struct).items():
            value = shown[f"{section}.{name}"]
            default = f"`{value}`" if value not in (None, "", ()) else ""
            lines.append(f"| `[{section}] {name}` | {default} | {text} |")
    return "\n".join(lines)


def _texts(struct: type[Struct]) -> dict[str, str]:
    """Return the text below each field of a struct."""
    (node,) = ast.parse(inspect.getsource(struct)).body
    assert isinstance(node, ast.ClassDef)
    found: dict[str, str] = {}
    name = ""
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            name = line.target.id
        elif isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant):
            found[name] = " ".join(str(line.value.value).split())
    return found


if __name__ == "__main__":
    sys.stdout.write(reference() + "\n")
