"""Writes `yizhan/blocking.py` from the asynchronous classes: the same calls, waiting for their results, fully typed.

    python -m checks.blocking [--write]

Without `--write` it says whether the file is as the classes want it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/yizhan"
TARGET = SOURCE / "blocking.py"
WRAPPED = {
    "Engine": ("engine.py", "Blocking"),
    "Broadcast": ("broadcasts/broadcast.py", "BlockingBroadcast"),
    "Broadcasts": ("broadcasts/broadcasts.py", "BlockingBroadcasts"),
    "Contacts": ("accounts/contacts.py", "BlockingContacts"),
    "Library": ("media/library.py", "BlockingLibrary"),
    "TextStream": ("calls/streams.py", "BlockingTextStream"),
}
"""Asynchronous classes, by name: where they are, and the class that waits."""
INHERITED = {"Engine": ("calls/deliveries.py", "calls/events.py", "calls/streams.py")}
PARTS = ("library", "contacts", "broadcasts")
"""Attributes of the engine whose methods wait as well."""
LEFT_OUT = {
    "Engine": {"open", "close"},
    "Library": {"intake", "examine", "forget", "drop_stray", "open"},
}
"""Methods that have no place in the blocking class: rooms of the engine's own, or written by hand."""
HEAD = '''"""Everything that `yizhan.open` gives, without async: the same calls, waiting for their results.

Written by `python -m checks.blocking --write` from the asynchronous classes.
"""

from __future__ import annotations

'''
OPENING = """
    def __init__(self, path: str | Path = "yizhan-data") -> None:
        super().__init__(Engine.open(path))
"""


@dataclass
class Module:
    """Names that the written file imports, by module."""

    imports: dict[str, set[str]] = field(default_factory=dict)

    def need(self, module: str, name: str) -> None:
        self.imports.setdefault(module, set()).add(name)


def written() -> str:
    """Return the file as the classes want it."""
    module = Module()
    for where, name in (
        ("collections.abc", "Iterator"),
        ("pathlib", "Path"),
        ("yizhan.engine", "Engine"),
        ("yizhan.runtime.blocking", "BlockingStore"),
        ("yizhan.runtime.blocking", "StoreLoop"),
    ):
        module.need(where, name)
    classes = [_class(name, module) for name in sorted(WRAPPED, key=lambda name: name == "Engine")]
    lines = [f"from {where} import {', '.join(sorted(names))}" for where, names in sorted(module.imports.items())]
    return HEAD + "\n".join(lines) + "".join(classes)


def _class(name: str, module: Module) -> str:
    path, blocking = WRAPPED[name]
    module.need(_module_of(path), name)
    base = "(BlockingStore[Engine])" if name == "Engine" else ""
    out = [f'\n\nclass {blocking}{base}:\n    """`{name}`, waiting for its results."""\n']
    out.append(OPENING if name == "Engine" else _init(name))
    for source in (*INHERITED.get(name, ()), path):
        tree = ast.parse((SOURCE / source).read_text("utf-8"))
        imported = dict(_imported(tree, _module_of(source)))
        owner = next(
            node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in (name, _base(source))
        )
        for method in owner.body:
            if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)) and _is_public(method, name):
                out.append(_method(method, imported, module))
    if name == "Engine":
        out.append(_parts())
    return "".join(out)


def _base(source: str) -> str:
    return {
        "calls/deliveries.py": "DeliveryCalls",
        "calls/events.py": "EventCalls",
        "calls/streams.py": "StreamCalls",
    }.get(source, "")


def _is_public(method: ast.FunctionDef | ast.AsyncFunctionDef, owner: str) -> bool:
    static = {"classmethod", "staticmethod", "setter"}
    decorated = {getattr(one, "id", getattr(one, "attr", "")) for one in method.decorator_list}
    left_out = LEFT_OUT.get(owner, set()) | set(PARTS)
    return not (method.name.startswith("_") or method.name in left_out or decorated & static)


def _init(name: str) -> str:
    values = ("number", "name", "total", "repeated") if name == "Broadcast" else ()
    lines = [
        f"\n    def __init__(self, loop: StoreLoop, inner: {name}) -> None:\n",
        "        self._loop, self._inner = loop, inner\n",
        *(f"        self.{value} = inner.{value}\n" for value in values),
    ]
    return "".join(lines)


def _parts() -> str:
    out = []
    for part in PARTS:
        inner = next(name for name in WRAPPED if name.lower() == part)
        out.append(
            f"\n    @property\n    def {part}(self) -> {WRAPPED[inner][1]}:\n"
            f"        return {WRAPPED[inner][1]}(self._loop, self._inner.{part})\n"
        )
    return "".join(out)


def _method(method: ast.FunctionDef | ast.AsyncFunctionDef, imported: dict[str, str], module: Module) -> str:
    returns = method.returns
    assert returns is not None, method.name
    is_property = any(getattr(one, "id", "") == "property" for one in method.decorator_list)
    result, wrap = _result(returns)
    for node in ast.walk(method.args):
        _need(node, imported, module)
    for node in ast.walk(ast.parse(result, mode="eval")):
        _need(node, imported, module)
    inner = f"self._inner.{method.name}"
    call = inner if is_property else f"{inner}({_passed(method.args)})"
    if wrap == "each":
        body = f"self._loop.each({call})"
    elif isinstance(method, ast.AsyncFunctionDef):
        body = f"self._loop.run({_awaited(call, method)})"
    else:
        body = f"self._loop.call({inner})" if call == f"{inner}()" else f"self._loop.call(lambda: {call})"
    if wrap == "one":
        body = f"BlockingBroadcast(self._loop, {body})"
    elif wrap == "stream":
        body = f"BlockingTextStream(self._loop, {body})"
    elif wrap == "many":
        body = f"[BlockingBroadcast(self._loop, one) for one in {body}]"
    decorator = "    @property\n" if is_property else ""
    signature = f"    def {method.name}({_parameters(method.args)}) -> {result}:\n"
    return f"\n{decorator}{signature}{_docstring(method)}        return {body}\n"


def _awaited(call: str, method: ast.AsyncFunctionDef) -> str:
    has_broadcast = any(_names_broadcast(arg.annotation) for arg in method.args.args)
    unwrapped = "which._inner if isinstance(which, BlockingBroadcast) else which"
    return call.replace("which", unwrapped, 1) if has_broadcast else call


def _names_broadcast(annotation: ast.expr | None) -> bool:
    return annotation is not None and any(isinstance(n, ast.Name) and n.id == "Broadcast" for n in ast.walk(annotation))


def _result(returns: ast.expr) -> tuple[str, str]:
    """Return the result type of the blocking method, and how the value is wrapped."""
    text = ast.unparse(returns)
    if text == "Broadcast":
        return "BlockingBroadcast", "one"
    if text == "TextStream":
        return "BlockingTextStream", "stream"
    if text == "list[Broadcast]":
        return "list[BlockingBroadcast]", "many"
    for kind in ("AsyncGenerator[", "AsyncIterator["):
        if text.startswith(kind):
            return f"Iterator[{text[len(kind) : -1].removesuffix(', None')}]", "each"
    return text, ""


def _parameters(args: ast.arguments) -> str:
    text = ast.unparse(args)
    return text.replace("which: Broadcast |", "which: BlockingBroadcast |")


def _passed(args: ast.arguments) -> str:
    given = [arg.arg for arg in args.args if arg.arg != "self"]
    given += [f"*{args.vararg.arg}"] if args.vararg else []
    given += [f"{arg.arg}={arg.arg}" for arg in args.kwonlyargs]
    given += [f"**{args.kwarg.arg}"] if args.kwarg else []
    return ", ".join(given)


def _docstring(method: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    node = method.body[0]
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)):
        return ""
    first = node.value.value.partition("\n")[0]
    if len(first) > 120 - len('        """"""'):
        first = first[:104].rpartition(" ")[0] + " …"
    return f'        """{first}"""\n'


def _imported(tree: ast.Module, own: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, node.module
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name, own
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, own
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, own


def _need(node: ast.AST, imported: dict[str, str], module: Module) -> None:
    if isinstance(node, ast.Name) and node.id in imported:
        module.need(imported[node.id], node.id)


def _module_of(path: str) -> str:
    return "yizhan." + path.removesuffix(".py").replace("/", ".")


def _ruff(text: str, *command: str) -> str:
    arguments = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(TARGET), "-"]
    return subprocess.run(arguments, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout  # noqa: S603


def main() -> int:
    text = _ruff(_ruff(written(), "check", "--fix", "--quiet", "--select", "I"), "format")
    if "--write" in sys.argv:
        TARGET.write_text(text, "utf-8")
        return 0
    if TARGET.read_text("utf-8") != text:
        print("src/yizhan/blocking.py is not as the classes want it; run python -m checks.blocking --write")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
