"""The files in deploy/: the unit is one, and the image's steps give a command that runs."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SETTINGS = ("--set", "app_id=1", "--set", "secret=x")


def steps(stage: int) -> list[tuple[str, str]]:
    """Return instructions and arguments of one stage of the Dockerfile."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    stages: list[list[tuple[str, str]]] = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stages.append([])
        stages[-1].append((word, rest))
    return stages[stage]


def test_the_image_runs_without_root_on_one_volume() -> None:
    final = steps(1)

    words = [word for word, _ in final]
    users = [rest for word, rest in final if word == "USER"]
    assert ["yizhan"] == users
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert ["/data"] == [rest for word, rest in final if word == "VOLUME"]
    assert [["/data/store"]] == [re.findall(r"YIZHAN_STORE=(\S+)", rest) for word, rest in final if word == "ENV"]
    assert ('["yizhan"]', '["run"]') == tuple(rest for word, rest in final if word in ("ENTRYPOINT", "CMD"))


@pytest.mark.slow
def test_the_steps_of_the_image_give_a_command_that_runs(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    build = next(rest for word, rest in steps(0) if word == "RUN" and "--wheel" in rest)
    assert "python -m build --wheel --outdir /wheels" == build
    # The same backend that `build` calls, without the environment that it would make.
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    made = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    wheel = tmp_path / made.stdout.split()[-1]
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", str(tmp_path / "env")], check=True)
    python = tmp_path / "env" / "bin" / "python"
    install = next(rest for word, rest in steps(1) if word == "RUN" and "pip install" in rest)
    assert "python -m pip install --no-cache-dir /wheels/yizhan-*.whl" == install
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    # The dependencies are those of this environment; yizhan itself is the wheel's.
    libraries = {"PATH": "/usr/bin:/bin", "PYTHONPATH": sysconfig.get_path("purelib"), "HOME": str(tmp_path)}
    for words in (["--version"], ["config", "show"], ["account", "add", "qqbot.main", *SETTINGS, "--no-check"]):
        subprocess.run([tmp_path / "env" / "bin" / "yizhan", *words], cwd=tmp_path, env=libraries, check=True)
    where = [python, "-c", "import yizhan; print(yizhan.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=libraries, check=True, capture_output=True, text=True)
    assert found.stdout.startswith(str(tmp_path))


def test_the_unit_is_a_service_that_notifies_and_reloads() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DEPLOY / "yizhan.service")

    service = unit["Service"]
    assert "notify" == service["Type"]
    assert service["ExecStart"].endswith("/yizhan run")
    assert "/bin/kill -HUP $MAINPID" == service["ExecReload"]
    assert "root" != service["User"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = (DEPLOY / "yizhan.service").read_text().replace("/opt/yizhan/bin/yizhan", sys.executable)
    (tmp_path / "yizhan.service").write_text(unit.replace("User=yizhan\nGroup=yizhan\n", ""))

    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "yizhan.service"], capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stderr


def test_the_compose_file_builds_the_dockerfile_and_listens_on_this_machine_alone() -> None:
    text = (DEPLOY / "compose.yaml").read_text()

    assert "dockerfile: deploy/Dockerfile" in text
    assert '"127.0.0.1:8790:8790"' in text
    assert "data:/data" in text


def test_the_page_installs_the_unit_with_the_paths_and_the_user_that_it_names() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DEPLOY / "yizhan.service")
    service = unit["Service"]
    command, home = service["ExecStart"].removesuffix(" run"), service["WorkingDirectory"]

    assert f"useradd --system --home-dir {home} {service['User']}" in page
    assert f"{Path(command).parent}/pip install yizhan" in page
    assert f"sudo -u {service['User']} {service['Environment']} {command} account add" in page
    for file in re.findall(r"deploy/[\w.]+", page):
        assert (ROOT / file).exists(), file
