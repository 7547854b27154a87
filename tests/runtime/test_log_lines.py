"""Log lines: their fields, their forms, and secrets in none of them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from yizhan.runtime.log_context import log_fields
from yizhan.runtime.log_lines import set_up_log, stop_log

log = logging.getLogger("yizhan.tests")


@pytest.fixture(autouse=True)
def stopped() -> Iterator[None]:
    yield
    stop_log()


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def test_a_json_line_has_every_field(out: io.StringIO) -> None:
    set_up_log("info", "json", out)

    with log_fields(account="qqbot.main", delivery=7):
        log.info("part sent", extra={"endpoint": "sendToGroup", "ms": 84})

    line = json.loads(out.getvalue())
    assert ["time", "level", "event", "account", "delivery", "endpoint", "reason", "ms"] == list(line)
    assert ("info", "part sent", "qqbot.main", "d7", "sendToGroup", "", 84) == tuple(line.values())[1:]


def test_a_line_of_text_has_all_fields(out: io.StringIO) -> None:
    set_up_log("info", "text", out)

    log.warning("login lost", extra={"account": "ilink.bot", "reason": "scan the code again"})

    assert out.getvalue().endswith(' warning  login lost  account=ilink.bot  reason="scan the code again"\n')


def test_the_reason_of_an_exception_is_its_class_and_words(out: io.StringIO) -> None:
    set_up_log("info", "json", out)

    try:
        raise ValueError("too short")
    except ValueError:
        log.exception("tidying failed")

    line = json.loads(out.getvalue())
    assert "ValueError: too short" == line["reason"]
    assert "Traceback" in line["exception"]


def test_lines_below_the_level_are_not_written(out: io.StringIO) -> None:
    set_up_log("warning", "text", out)

    log.info("part sent")

    assert "" == out.getvalue()


def test_debug_lines_of_other_libraries_are_not_written(out: io.StringIO) -> None:
    set_up_log("debug", "text", out)

    logging.getLogger("aiohttp.client").debug("headers")
    logging.getLogger("aiohttp.client").warning("slow")

    assert "headers" not in out.getvalue()
    assert "slow" in out.getvalue()


def test_secret_fields_are_masked_at_every_depth(out: io.StringIO) -> None:
    set_up_log("info", "json", out)

    log.info("call failed", extra={"reason": "GET /x?access_token=abc123 said no", "token": "abc123"})

    assert "abc123" not in out.getvalue()


def test_a_line_break_in_a_value_begins_no_new_line(out: io.StringIO) -> None:
    set_up_log("info", "text", out)

    log.info("push left out", extra={"begins": "a\n2026-01-01 error forged"})

    assert 1 == out.getvalue().count("\n")


def test_a_stopped_log_leaves_the_handlers_of_others(out: io.StringIO) -> None:
    others = list(logging.getLogger().handlers)

    set_up_log("info", "text", out)
    stop_log()
    log.warning("late")

    assert others == logging.getLogger().handlers
    assert "" == out.getvalue()
