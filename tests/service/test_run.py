"""`yizhan run` as a process: it answers for its health, stands by, reloads, and ends with 0."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from yizhan.service.notify import notify

PATIENCE = 60


class Service:
    """One process of `yizhan run`."""

    def __init__(self, folder: Path, *words: str, **environment: str) -> None:
        self.errors = (folder / f"errors {len(list(folder.iterdir()))}").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "yizhan.cli", "run", "--port", "0", "--json", *words],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, **environment},
        )

    def line(self) -> dict[str, str]:
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said, self.log()
        found: dict[str, str] = json.loads(said)
        return found

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def log(self) -> str:
        self.errors.seek(0)
        return self.errors.read()


@pytest.fixture
def services() -> Iterator[list[Service]]:
    found: list[Service] = []
    yield found
    for one in found:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        assert one.process.stdout is not None
        one.process.stdout.close()
        one.errors.close()


def get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
        return str(answer.read().decode())


def test_a_second_service_stands_by_and_takes_over(tmp_path: Path, services: list[Service]) -> None:
    first = Service(tmp_path)
    services.append(first)
    said = first.line()
    assert "sending" == said["state"]
    assert {"status": "ok"} == json.loads(get(said["address"] + "/healthz"))
    assert {"status": "sending", "stopped": {}} == json.loads(get(said["address"] + "/readyz"))
    assert "yizhan_leading 1.0" in get(said["address"] + "/metrics")

    second = Service(tmp_path)
    services.append(second)
    waiting = second.line()
    assert "standby" == waiting["state"]
    assert "standby" == json.loads(get(waiting["address"] + "/readyz"))["status"]

    assert 0 == first.end()
    assert "sending" == second.line()["state"]
    assert 0 == second.end()


def test_a_reload_changes_the_log_and_names_settings_that_need_a_restart(
    tmp_path: Path, services: list[Service]
) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(PATIENCE)
    config = tmp_path / "yizhan.toml"
    config.write_text('[log]\nformat = "json"\n')
    service = Service(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"))
    services.append(service)
    service.line()
    assert b"READY=1" == manager.recv(200)

    config.write_text('[log]\nformat = "json"\nlevel = "debug"\n[keep]\nevents = "7d"\n[media]\nmax_bytes = 1\n')
    service.process.send_signal(signal.SIGHUP)
    assert manager.recv(200).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert b"READY=1" == manager.recv(200)
    config.write_text('[log]\nlevle = "debug"\n')
    service.process.send_signal(signal.SIGHUP)
    assert manager.recv(200).startswith(b"RELOADING=1")
    assert b"READY=1" == manager.recv(200)

    assert 0 == service.end()
    assert b"STOPPING=1" == manager.recv(200)
    manager.close()
    lines = {line["event"]: line for line in map(json.loads, service.log().splitlines())}
    assert ["log.level", "keep.events"] == lines["configuration read again"]["changed"]
    assert ["media.max_bytes"] == lines["restart for the other changes"]["settings"]
    assert "levle" in lines["the configuration is not read again"]["reason"]


def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "yizhan.cli", "run", "--port", port],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    assert 2 == done.returncode
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr


def test_without_a_manager_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)

    notify("READY=1")
