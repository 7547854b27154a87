"""The rules, each a function from a parsed module to its violations."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

OPENINGS = frozenset({"What", "Who", "Where", "Somebody", "Nobody", "Whoever", "Those"})
MAX_LINES = 600
LINES_OF = {"engine.py": 350}
"""Modules with a limit of their own, by path below `src/yizhan`."""
LONG_MODULE, LONG_FUNCTION = 400, 40
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Violation:
    """One place where a rule is broken."""

    path: Path
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


@dataclass(frozen=True)
class Module:
    """A module of the package; `name` is its path below the package."""

    path: Path
    name: str
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, str(self.path))

    @property
    def dotted(self) -> str:
        """The name under which it is imported."""
        return ".".join(("yizhan", *self.name.removesuffix(".py").split("/"))).removesuffix(".__init__")

    @property
    def lines(self) -> int:
        return len(self.source.splitlines())

    @property
    def room(self) -> str:
        """The folder that holds the module, or the module itself at the top; platforms count one by one."""
        parts = self.name.split("/")
        depth = 2 if parts[0] == "platforms" else 1
        return "/".join(parts[:depth]) if len(parts) > depth else self.name


def violations_of(module: Module) -> Iterator[Violation]:
    yield from _openings(module)
    yield from _size(module)
    yield from _reflection(module)


def _openings(module: Module) -> Iterator[Violation]:
    """No docstring opens with a clause that stands in for a noun."""
    for line, docstring in docstrings(module.tree):
        first = docstring.split(maxsplit=1)[0].rstrip(",:;.").partition("'")[0] if docstring.strip() else ""
        if first in OPENINGS:
            yield Violation(module.path, line, "docstring opening", docstring.splitlines()[0])


def _size(module: Module) -> Iterator[Violation]:
    limit = LINES_OF.get(module.name, MAX_LINES)
    if module.lines > limit:
        yield Violation(module.path, 1, "module size", f"{module.lines} lines; at most {limit}")


def _reflection(module: Module) -> Iterator[Violation]:
    """Adapters are called by their protocol, so that a platform cannot have a hidden one."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Name(id="hasattr" | "getattr" as name), args=[object_, *_]) if _is_adapter(object_):
                yield Violation(module.path, node.lineno, "adapter reflection", f"{name}({ast.unparse(object_)}, …)")


def _is_adapter(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lower().endswith("adapter")
    return False


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of every docstring, those below attributes included."""
    for node in ast.walk(tree):
        if not isinstance(node, Documented):
            continue
        for statement in node.body:
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text


def long_functions(module: Module) -> Iterator[tuple[str, int]]:
    """Yield name and length of every function over `LONG_FUNCTION` lines."""
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONG_FUNCTION:
                yield f"{module.name}:{node.lineno} {node.name}", length
