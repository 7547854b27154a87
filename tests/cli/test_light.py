"""The command line and the package load nothing that they do not need yet."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = (
    "sqlalchemy",
    "alembic",
    "aiohttp",
    "uvloop",
    "obstore",
    "PIL",
    "av",
    "pysilk",
    "cryptography",
    "segno",
    "structlog",
    "prometheus_client",
)
LOOK = """
import json, sys
{code}
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def loaded_by(code: str) -> set[str]:
    """Run `code` in a fresh interpreter and return the modules that it left loaded."""
    done = subprocess.run([sys.executable, "-c", LOOK.format(code=code)], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import yizhan",
        "from yizhan.cli import main",
        "from yizhan.cli import main; main(['--help'])",
        "from yizhan.cli import main; main(['send', '--help'])",
        "from yizhan.cli import main; main(['--version'])",
        "from yizhan.cli import main; main(['demo', '--help'])",
    ],
)
def test_nothing_heavy_is_loaded_before_a_command_runs(code: str) -> None:
    loaded = loaded_by(code)

    assert [] == [name for name in HEAVY if name in loaded]
    assert [] == [name for name in loaded if name.startswith(("yizhan.platforms.", "yizhan.storage", "yizhan.engine"))]


def test_importing_the_package_loads_only_the_package() -> None:
    bare = loaded_by("pass")

    new = {name for name in loaded_by("import yizhan") - bare if name.startswith("yizhan")}

    assert {"yizhan", "yizhan.version"} == new


def test_a_public_name_is_loaded_when_it_is_used() -> None:
    loaded = loaded_by("import yizhan; yizhan.Image")

    assert "yizhan.model" in loaded
    assert "yizhan.engine" not in loaded


def test_importing_the_package_takes_no_time_worth_speaking_of() -> None:
    # Ten times the measured time, in the processor's time, so that a busy machine does not fail it.
    code = "import time; t=time.process_time(); import yizhan; print(time.process_time()-t)"
    took = min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    )

    assert 0.06 > took
