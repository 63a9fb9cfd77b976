"""How much a logger may say: bytes of a line, lines in a period, and what is told of the rest."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import obskit
from obskit.config import Config
from obskit.exporters.memory import STORE
from obskit.signals import logs
from obskit.signals.limits import Limits

Process = Callable[..., Any]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Heard:
    """What was told: logger, lines, limit."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, str]] = []

    def __call__(self, logger: str, lines: int, limit: str) -> None:
        self.told.append((logger, lines, limit))


def limits(clock: Clock, heard: Heard, **rates: tuple[int, float]) -> Limits:
    table = {name.replace("_", "."): (most, timedelta(seconds=of_s)) for name, (most, of_s) in rates.items()}
    if "any" in table:
        table["*"] = table.pop("any")
    return Limits(Config(log_rate_limits=table), heard, clock)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_rate_holds_for_each_period_and_is_told_once() -> None:
    """In each period so many lines pass; the next period tells how many did not, once."""
    clock, heard = Clock(), Heard()
    made = limits(clock, heard, chatty=(3, 3600))
    assert [made.takes("chatty", "INFO") for _ in range(5)] == [True] * 3 + [False] * 2
    assert heard.told == []
    clock.now += 3600
    assert made.takes("chatty", "INFO")
    clock.now += 3600
    assert made.takes("chatty", "INFO")
    assert heard.told == [("chatty", 2, "3 in 3600 s")]


def test_errors_are_not_starved() -> None:
    """A flood of lines at INFO leaves errors their own share."""
    made = limits(Clock(), Heard(), any=(2, 3600))
    assert [made.takes("a", "INFO") for _ in range(3)] == [True, True, False]
    assert [made.takes("a", severity) for severity in ("ERROR", "CRITICAL", "ERROR")] == [True, True, False]
    assert not made.takes("a", "WARNING")


def test_a_name_holds_for_the_loggers_below_it() -> None:
    """A limit by name is shared by the loggers below; `*` is each other logger's own; who is in no table is free."""
    made = limits(Clock(), Heard(), lib_db=(2, 3600), any=(1, 3600))
    assert [made.takes(name, "INFO") for name in ("lib.db", "lib.db.pool", "lib.db.orm.deep")] == [True, True, False]
    assert [made.takes(name, "INFO") for name in ("a", "b", "a", "lib", "")] == [True, True, False, True, True]
    named_only = limits(Clock(), Heard(), lib=(0, 3600))
    assert not named_only.takes("lib.x", "INFO")
    assert named_only.takes("library", "INFO")


def test_made_up_names_take_no_memory() -> None:
    """Thousands of logger names share one limit instead of growing a table."""
    made = limits(Clock(), Heard(), any=(1, 3600))
    passed = sum(made.takes(f"name-{number}", "INFO") for number in range(10_000))
    assert passed <= 2001


def test_the_end_tells_what_is_left() -> None:
    """What was dropped in the running period is told when the process ends."""
    heard = Heard()
    made = limits(Clock(), heard, any=(1, 3600))
    for _ in range(4):
        made.takes("", "INFO")
    made.tell(is_last=False)
    assert heard.told == []
    made.tell()
    made.tell()
    assert heard.told == [("", 3, "1 in 3600 s")]


def test_a_child_counts_anew() -> None:
    """After a fork the child has its own periods, and does not tell of its parent's drops."""
    heard = Heard()
    made = limits(Clock(), heard, any=(1, 3600))
    assert [made.takes("a", "INFO") for _ in range(2)] == [True, False]
    child = os.fork()
    if child == 0:
        passed = made.takes("a", "INFO")
        made.tell()
        os._exit(0 if passed and not heard.told else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("way", ["obskit", "stdlib", "structlog"])
def test_lines_are_limited_by_every_way(process: Process, capsys: pytest.CaptureFixture[str], way: str) -> None:
    """100 lines of a logger with 5 in its period: 5 are written, 95 counted, and the end of the period tells it."""
    handle = process(log_rate_limits={"chatty": "5/0.2s"})
    if way == "structlog":
        import structlog

        process()
        say: Any = structlog.get_logger().bind(logger="chatty").info
    else:
        say = (obskit.get_logger if way == "obskit" else logging.getLogger)("chatty").info
    try:
        for number in range(100):
            say(f"line {number}")
    finally:
        if way == "structlog":
            structlog.reset_defaults()
    found = lines(capsys)
    deadline = time.monotonic() + 10
    while not any("were dropped" in line["message"] for line in found) and time.monotonic() < deadline:
        time.sleep(0.01)
        found += lines(capsys)
    notices = [line for line in found if line.get("logger") == "obskit" and "dropped" in line["message"]]
    said = [line for line in found if line.get("logger") == "chatty"]
    dropped = sum(line["obskit_dropped_lines"] for line in notices)
    assert len(said) + dropped == 100
    assert dropped >= 80
    assert notices[0]["severity"] == "WARNING"
    assert "logger 'chatty'" in notices[0]["message"]
    assert "more than 5 in 0.2 s" in notices[0]["message"]
    handle.flush(5)
    assert STORE.metrics is not None
    assert '"obskit.reason": "rate_limit"' in STORE.metrics.to_json()


def test_sizes_of_lines_by_logger(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """A logger's own size cuts its lines, with the mark; others keep theirs."""
    process(log_max_bytes={"small": 2048, "*": 50_000})
    for logger in (obskit.get_logger("small.part"), logging.getLogger("small"), obskit.get_logger("other")):
        with obskit.span("around"):
            logger.info("x" * 10_000)
            logger.info("\u20ac\n" * 40_000)
    raw = capsys.readouterr().out.splitlines()
    sizes = [len(line.encode()) for line in raw]
    assert max(sizes[:4]) <= 2048
    assert 10_000 < sizes[4] < 11_000
    assert 20_000 < sizes[5] <= 50_000
    found = [json.loads(line) for line in raw]
    assert [line.get("obskit_truncated") for line in found] == [True] * 4 + [None, True]
    assert all(len(line["trace_id"]) == 32 and line["severity"] == "INFO" for line in found)


def test_a_line_of_long_facts_still_fits(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """Where obskit's own facts alone are too long for a small limit, what is left is valid, and marked."""
    process(log_max_bytes=2048, service_name="s" * 3000)
    obskit.get_logger().error("message")
    logs.write(logs.Record(severity="INFO", message="x", fields={}, location=("f" * 5000, 1, "g")))
    raw = capsys.readouterr().out.splitlines()
    assert len(raw) == 2
    assert all(len(line.encode()) <= 2048 for line in raw)
    assert all(json.loads(line)["obskit_truncated"] is True for line in raw)
