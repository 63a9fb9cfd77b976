"""Four processes, the real Redis, a budget for ten; and what crashed processes leave behind."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from obskit.budgets import BudgetExceededError, Budgets, Limits, RedisStore

pytestmark = pytest.mark.needs("redis")
CROWD = Path(__file__).parent / "crowd.py"


def crowd(url: str, stack: ExitStack) -> list[Any]:
    """Return four processes of 25 calls each that have all asked."""
    several = [
        stack.enter_context(
            subprocess.Popen(
                [sys.executable, CROWD, url, "25"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
        for _ in range(4)
    ]
    for each in several:
        assert each.stdout.readline() == "ready\n"
    for each in several:
        each.stdin.write("go\n")
        each.stdin.flush()
    return several


@pytest.mark.fault(45, "100 concurrent calls from four processes on a budget for 10")
def test_a_hundred_calls_of_four_processes_never_exceed_a_budget_for_ten(
    redis_url: str, record_property: Callable[[str, object], None]
) -> None:
    """Exactly ten pass, whichever they are, and after they are settled none does."""
    with ExitStack() as stack:
        several = crowd(redis_url, stack)
        passed = [int(each.stdout.readline()) for each in several]
        assert sum(passed) == 10
        record_property("figure", f"{sum(passed)} of 100 calls passed on a budget for 10, over Redis")
        for each in several:
            each.stdin.write("settle\n")
            each.stdin.close()
        assert [each.wait() for each in several] == [0] * 4
    budgets = Budgets({"small": Limits(daily_tokens=10)}, store=RedisStore(redis_url), timeout="20s")
    (standing,) = budgets.standings(user="a")
    assert (standing.used, standing.reserved) == (10, 0)
    with pytest.raises(BudgetExceededError):
        budgets.reserve(user="a", tokens=1)


@pytest.mark.fault(45, "a crashed caller's reservation expires")
def test_what_killed_processes_have_reserved_expires(redis_url: str) -> None:
    """kill -9 in the middle of calls: their reservations hold until their time is over, then all is there again."""
    short = Budgets(
        {"small": Limits(daily_tokens=10)}, store=RedisStore(redis_url), timeout="20s", reservation_ttl="300ms"
    )
    code = (
        "import os, sys\n"
        "from obskit.budgets import Budgets, Limits, RedisStore\n"
        "budgets = Budgets({'small': Limits(daily_tokens=10)}, store=RedisStore(sys.argv[1]), timeout='20s',"
        " reservation_ttl='2s')\n"
        "budgets.reserve(user='a', tokens=10)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, redis_url], check=False).returncode == -9
    with pytest.raises(BudgetExceededError):
        short.reserve(user="a", tokens=1)
    deadline = time.monotonic() + 20
    while True:
        try:
            short.reserve(user="a", tokens=10).settle(tokens=10)
            break
        except BudgetExceededError:
            assert time.monotonic() < deadline, "the reservation did not expire"
            time.sleep(0.05)
    assert short.standings(user="a")[0].used == 10
