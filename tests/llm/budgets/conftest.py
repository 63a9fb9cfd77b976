"""The three stores, each with a clock that the test moves, or, of the real Redis, its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from firestore_twin import FirestoreTwin, Timed, transactional

from obskit.budgets import Budgets, FirestoreStore, Limits, MemoryStore, RedisStore
from obskit.testing import FixedClock


@pytest.fixture(scope="session")
def redis_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real Redis on a socket in this folder, without a port."""
    folder = tmp_path_factory.mktemp("redis")
    command = ["redis-server", "--port", "0", "--unixsocket", "r.sock", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 20
            while not (folder / "r.sock").exists():
                assert server.poll() is None, "redis-server has ended"
                assert time.monotonic() < deadline, "redis-server did not start"
                time.sleep(0.01)
            yield folder
        finally:
            server.terminate()


@pytest.fixture
def redis_url(redis_folder: Path) -> str:
    import redis

    url = f"unix://{redis_folder}/r.sock"
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


STORES = ["memory", pytest.param("redis", marks=pytest.mark.needs("redis")), "firestore"]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each store, by the present time."""
    yield from _made(request, time.time)


def _made(request: pytest.FixtureRequest, clock: Callable[[], float]) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryStore(clock=clock)
    elif request.param == "firestore":
        yield FirestoreStore(FirestoreTwin(clock=clock), transactional=transactional)
    else:
        made = RedisStore(request.getfixturevalue("redis_url"))
        yield made
        if made._script is not None:
            made._script.registered_client.close()


@pytest.fixture(params=["memory", "firestore"])
def timed(request: pytest.FixtureRequest) -> Timed:
    clock = FixedClock(1_767_225_600.0)  # 2026-01-01T00:00:00Z
    (made,) = _made(request, clock.time)
    return Timed(store=made, clock=clock)


@pytest.fixture
def budgets(store: Any) -> Budgets:
    """A user of tier small may use ten tokens a day; its timeout is no part of what is shown."""
    return Budgets({"small": Limits(daily_tokens=10)}, store=store, timeout="20s")
