"""Pages as the tests see them: their code, the output beside it, their marked tables, their links."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support import PATIENCE
from yizhan.engine import Engine
from yizhan.testing import RunningSandbox

ROOT = Path(__file__).parents[2]
ADDRESSES = re.compile(r"http://127\.0\.0\.1:(?:8791|8888|8898)|https://api\.bot\.qq\.com")
"""Addresses of platforms and the sandbox on the pages; the address of the test's sandbox replaces them."""
OWN_TESTS = {"docs/sandbox.md", "docs/cli.md", "docs/platforms/ilink.md", "docs/platforms/webwechat.md"}
"""Pages whose examples are run by tests of their own."""

_FREE_PORT = re.compile(r"(http://127\.0\.0\.1):\d+")
"""The port of a service is a free one where a page names the usual one."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$|^<!-- setup: (.*?) -->$", re.DOTALL | re.MULTILINE)


def pages() -> list[Path]:
    """Every page for readers, the front page first."""
    found = [ROOT / name for name in ("README.md", "README.zh.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    return [page for page in found if page.exists()] + sorted((ROOT / "docs").rglob("*.md"))


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@dataclass(slots=True)
class Piece:
    """A fenced block, or a hidden comment `<!-- setup: … -->`, whose one line is run before what follows it."""

    kind: str
    """The language of the fence, or `setup`."""
    text: str
    line: int
    """Number of its first line on the page."""

    @property
    def file(self) -> str:
        """The file that the block is, by the comment with which it begins; empty when it is none."""
        named = re.match(r"# ([\w/-]+\.(?:py|toml))\n", self.text)
        return named[1] if named else ""

    @property
    def is_excerpt(self) -> bool:
        """Whether the block shows lines of a file of yizhan's own."""
        return self.file.startswith("src/")


def pieces(page: Path) -> list[Piece]:
    text = page.read_text("utf-8")
    found = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match[3] is not None:
            found.append(Piece("setup", match[3], line))
        else:
            found.append(Piece(match[1], match[2], line + 1))
    return found


def has_examples(page: Path) -> bool:
    return any(piece.kind in ("python", "console") for piece in pieces(page))


class Reader:
    """Types a page's examples in order into one program and one shell, and compares the output with the page's.

    A `text` block behind a Python block is its output; `…` in it matches anything. Of a `console` block the `yizhan`
    and `python` commands are run. A block that begins with a comment naming a file (`# pigeon/wire.py`) becomes that
    file; a file of tests is run by pytest. The files that pages mention lie in the current folder.
    """

    def __init__(self, page: Path, sandbox: RunningSandbox) -> None:
        self.page = page
        self.names: dict[str, Any] = {"__name__": "page", "sandbox": sandbox, "make_store": self._make_store}
        self._sandbox = sandbox
        self._url = sandbox.url

    async def read(self) -> None:
        """Run the page.

        Raises:
            AssertionError: an output is not as the page shows it.
        """
        async with AsyncExitStack() as stack:
            self._stack = stack
            if self.page.parent.name == "platforms":
                # The pages of platforms begin with an engine that is open.
                engine = await Engine.open("engine-data", clock=self._sandbox.clock)
                stack.push_async_callback(engine.close)
                self.names |= {"engine": engine, "sandbox_url": self._sandbox.url}
            await self._read_pieces()

    async def _read_pieces(self) -> None:
        said = ""
        for piece in pieces(self.page):
            match piece.kind:
                case "python" if piece.is_excerpt:
                    self._compare_excerpt(piece)
                case "python" | "toml" if piece.file:
                    await asyncio.to_thread(self._write, piece)
                case "python" | "setup":
                    said = await self._run(piece)
                case "text" if said:
                    self._compare(piece, piece.text, said)
                    said = ""
                case "console":
                    await asyncio.to_thread(self._type, piece)

    async def _run(self, piece: Piece) -> str:
        text = ADDRESSES.sub(self._url, piece.text)
        # Blank lines in front, so that a traceback names the line of the page.
        source = "\n" * (piece.line - 1) + text
        code = compile(source, str(self.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        before = dict(self.names)
        with redirect_stdout(StringIO()) as out:
            await self._carry_out(code, text)
        for name, value in self.names.items():
            if name.startswith("test_") and before.get(name) is not value:
                await self._test(value)
        return out.getvalue()

    async def _carry_out(self, code: Any, text: str) -> None:
        if code.co_flags & inspect.CO_COROUTINE:
            await asyncio.wait_for(eval(code, self.names), PATIENCE)
        elif "asyncio.run(" in text or "blocking" in text:
            # A program of its own, with a loop of its own.
            await asyncio.to_thread(exec, code, self.names)
        else:
            exec(code, self.names)

    async def _test(self, test: Callable[..., Any]) -> None:
        """Run a test that the page shows, with a sandbox and a folder of its own."""
        with RunningSandbox() as sandbox, TemporaryDirectory() as folder:
            given = {"sandbox": sandbox, "tmp_path": Path(folder)}
            wanted = {name: given[name] for name in inspect.signature(test).parameters}
            if inspect.iscoroutinefunction(test):
                await asyncio.wait_for(test(**wanted), PATIENCE)
            else:
                await asyncio.to_thread(test, **wanted)

    def _write(self, piece: Piece) -> None:
        file = Path(piece.file)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(piece.text, "utf-8")
        if file.name == "pyproject.toml":
            install(tomllib.loads(piece.text)["project"])
        elif file.name.startswith("test_"):
            said = run_tests(str(file.resolve()))
            assert not said, f"{name_of(self.page)}:{piece.line}\n{said}"

    def _type(self, piece: Piece) -> None:
        for command, shown in commands(piece.text):
            output = self._output(shlex.split(ADDRESSES.sub(self._url, command), comments=True))
            if output is not None:
                expected, output = (_FREE_PORT.sub(r"\1", ADDRESSES.sub(self._url, text)) for text in (shown, output))
                self._compare(piece, f"$ {command}\n{expected}", f"$ {command}\n{output}")

    def _output(self, words: list[str]) -> str | None:
        """Run a command and return its output; None for one that is not run here."""
        match words:
            case ["cd", folder]:
                os.chdir(folder)
                return ""
            case ["pip", "install", "-e", _]:
                install(tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"])
                return ""
            case ["yizhan", "sandbox", *options, "&"]:
                ready = self._start("sandbox", options)
                self._url = ready.split()[-1]
                return ready
            case ["yizhan", "run", *options, "&"]:
                return self._start("run", options)
            case ["yizhan", "demo" | "sandbox", *_]:
                return None
            case ["yizhan", *rest]:
                return _run_module("yizhan.cli", *rest)
            case ["python", "-m", *rest]:
                return _run_module(*rest)
        return None

    def _start(self, name: str, options: list[str]) -> str:
        """Start a command that runs until the page ends, on a free port; return its first line."""
        command = [sys.executable, "-m", "yizhan.cli", name, *options, "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._stack.callback(self._end, process)
        assert process.stdout is not None
        return process.stdout.readline()

    def _end(self, process: subprocess.Popen[str]) -> None:
        process.terminate()
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, f"{process.args} ended with {process.returncode}"

    async def _make_store(self) -> None:
        """Make the store of the pages of operation, with two files in it, and the passphrase beside it."""
        async with await Engine.open("yizhan-data") as engine:
            await engine.library.add(Path("photo.png"))
            await engine.library.add(Path("report.pdf"))
        await asyncio.to_thread(Path("passphrase").write_text, "correct horse battery staple\n")

    def _compare_excerpt(self, piece: Piece) -> None:
        shown = piece.text.partition("\n")[2].strip("\n")
        assert shown in (ROOT / piece.file).read_text("utf-8"), (
            f"{name_of(self.page)}:{piece.line} shows lines that are not in {piece.file}"
        )

    def _compare(self, piece: Piece, shown: str, got: str) -> None:
        where = f"{name_of(self.page)}:{piece.line}"
        assert is_as_shown(shown, got), f"{where} shows\n{shown}\nbut it is\n{got}"


def _run_module(*words: str) -> str:
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=5 * PATIENCE, check=False)
    return done.stdout + done.stderr


def run_tests(*words: str) -> str:
    """Run pytest in a process of its own, with the current folder's packages; return its output if a test fails."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        str(ROOT / "pyproject.toml"),
        *words,
    ]
    environment = os.environ | {"PYTHONPATH": f"{Path.cwd()}{os.pathsep}{ROOT}"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=5 * PATIENCE, check=False, env=environment)
    return f"{done.stdout}{done.stderr}" if done.returncode else ""


def install(project: Mapping[str, Any]) -> None:
    """Make a package in the current folder known as pip does: its name and its entry points, beside its files."""
    info = Path(f"{project['name']}-{project['version']}.dist-info")
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n", "utf-8")
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())])
        for group, entries in project.get("entry-points", {}).items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups), "utf-8")


def commands(text: str) -> list[tuple[str, str]]:
    """Return the commands of a console block, each with its output."""
    found = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.replace("\\\n", " ").partition("\n")
        found.append((command, output.strip()))
    return found


def is_as_shown(shown: str, got: str) -> bool:
    """Return whether an output is as a page shows it. `…` matches anything in its line; alone, any lines."""
    pattern = ""
    for line in shown.strip().splitlines():
        if line.strip() == "…":
            pattern += r"(?:.*\n)*"
        else:
            pattern += r"[^\n]*".join(re.escape(part) for part in line.rstrip().split("…")) + r"[ ]*\n"
    return re.fullmatch(pattern, got.strip() + "\n") is not None


# --- marked blocks ----------------------------------------------------------------------------------------------------

_MARKED = re.compile(r"(<!-- (made|shown): ([\w-]+) -->\n)(.*?)(\n?<!-- end -->)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Marked:
    """A block that ends with `<!-- end -->`: `<!-- made: NAME -->` from the code, `<!-- shown: NAME -->` from a run."""

    page: Path
    how: str
    name: str
    text: str


def marked(how: str) -> Iterator[Marked]:
    for page in pages():
        for match in _MARKED.finditer(page.read_text("utf-8")):
            if match[2] == how:
                yield Marked(page, how, match[3], match[4])


def fill(page: Path, how: str, contents: Callable[[str], str]) -> bool:
    """Put `contents(name)` into every such block of the page; whether anything changed."""

    def new(match: re.Match[str]) -> str:
        return f"{match[1]}{contents(match[3])}\n<!-- end -->" if match[2] == how else match[0]

    text = page.read_text("utf-8")
    changed = _MARKED.sub(new, text)
    if changed != text:
        page.write_text(changed, "utf-8")
        sys.stdout.write(f"{name_of(page)} written\n")
    return changed != text


# --- links ------------------------------------------------------------------------------------------------------------


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text("utf-8")))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's titles, as the usual hosts make them."""
    titles = re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in plain}
