"""Writes the skeleton of a new platform: a package with both ends, which passes the conformance suite unchanged.

python -m yizhan.testing.new_platform NAME [--title TITLE] [--into FOLDER]
"""

from __future__ import annotations

import argparse
import keyword
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from yizhan.errors import ConfigError
from yizhan.platforms.spec import platforms

TEMPLATE = Path(__file__).parent / "template"
FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "{{name}}/__init__.py": "init.py.txt",
    "{{name}}/wire.py": "wire.py.txt",
    "{{name}}/rules.toml": "rules.toml.txt",
    "{{name}}/convert.py": "convert.py.txt",
    "{{name}}/client.py": "client.py.txt",
    "{{name}}/server.py": "server.py.txt",
    "test_{{name}}.py": "test.py.txt",
}
"""The files of the package, and their templates."""


def write(name: str, title: str, folder: Path) -> list[Path]:
    """Write the package into `folder` and return its files.

    Raises:
        ConfigError: the name cannot be a platform's, or the folder has files of that name.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,30}", name) or keyword.iskeyword(name):
        raise ConfigError(f"'{name}' cannot name a platform. Use small letters, digits and _, such as pigeon.")
    if name in platforms():
        raise ConfigError(f"There is a platform '{name}' already. Choose another name.")
    if name in sys.stdlib_module_names:
        raise ConfigError(f"'{name}' is a module of Python's own. Choose another name.")
    texts = {
        folder / _filled(path, name, title): _filled((TEMPLATE / source).read_text("utf-8"), name, title)
        for path, source in FILES.items()
    }
    if present := next((path for path in texts if path.exists()), None):
        raise ConfigError(f"{present} exists. Name an empty folder with --into.")
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return list(texts)


def _filled(text: str, name: str, title: str) -> str:
    return text.replace("{{name}}", name).replace("{{title}}", title)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m yizhan.testing.new_platform", description=__doc__)
    parser.add_argument("name", help="the platform's name, such as pigeon: small letters, digits and _")
    parser.add_argument("--title", help="its name for people; by default the same")
    parser.add_argument("--into", type=Path, help="the folder to write to; by default a new one of that name")
    given = parser.parse_args(arguments)
    folder = given.into or Path(given.name)
    try:
        files = write(given.name, given.title or given.name.capitalize(), folder)
    except ConfigError as error:
        parser.error(str(error))
    sys.stdout.write("".join(f"{path}\n" for path in files))
    sys.stdout.write(f"Next: pip install -e '{folder}[testing]', then\n")
    sys.stdout.write(f"python -m pytest {folder} --pyargs yizhan.testing.conformance --conform {given.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
