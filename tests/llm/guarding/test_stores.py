"""One suite over both stores, and what only the shared one can show: several processes, and a Redis that is gone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from obskit.llm.guard import Guard, Limits, MemoryStore, RedisStore, StoreDownError

LIMITS = Limits(requests=20, tokens=1000, window_s=60, burst_s=60)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis on a socket in a folder of its own, without a port."""
    folder = tmp_path_factory.mktemp("guard-redis")
    command = ["redis-server", "--port", "0", "--unixsocket", "r.sock", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 20
            while not (folder / "r.sock").exists():
                assert server.poll() is None, "redis-server has ended"
                assert time.monotonic() < deadline, "redis-server did not start"
                time.sleep(0.01)
            yield f"unix://{folder}/r.sock"
        finally:
            server.terminate()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.needs("redis"))])
def store(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryStore()
        return
    import redis

    url = request.getfixturevalue("redis_url")
    with redis.Redis.from_url(url) as client:
        client.flushall()
        yield RedisStore(client)


def take(store: Any, tokens: int = 0, limits: Limits = LIMITS) -> Any:
    return store.take("m", limits, tokens, time.time())


def test_no_more_calls_than_the_limit(store):
    """Twenty go, the next is told when the window has room again."""
    assert [take(store).wait_s for _ in range(20)] == [0.0] * 20
    assert 50 < take(store).wait_s <= 62


def test_no_more_tokens_than_the_limit(store):
    """What was taken and what was told afterwards counts; what was given back does not."""
    assert take(store, 400).wait_s == 0
    store.settle("m", LIMITS, 500, time.time())
    assert take(store, 200).wait_s > 0
    store.settle("m", LIMITS, -500, time.time())
    assert take(store, 200).wait_s == 0


def test_calls_are_paced_after_the_burst(store):
    """Of 600 a minute with 1 s at once, eleven go, then one each tenth of a second."""
    limits = Limits(requests=600, burst_s=1.0)
    at_once = [take(store, limits=limits) for _ in range(11)]
    assert all(grant.wait_s == 0 and grant.starts_in_s == 0 for grant in at_once)
    later = [take(store, limits=limits) for _ in range(2)]
    assert all(0 < grant.wait_s + grant.starts_in_s <= 0.3 for grant in later)


def test_a_refusal_pauses_and_slows_down(store):
    """Nobody goes during the pause; several refusals at once count as one."""
    for _ in range(5):
        store.refused("m", LIMITS, 30.0, time.time(), is_daily=False)
    grant = take(store)
    assert 29 < grant.wait_s <= 30
    assert grant.share == pytest.approx(0.9)


def test_a_daily_quota_is_told(store):
    """It says so, and until when."""
    store.refused("m", LIMITS, 3600.0, time.time(), is_daily=True)
    grant = take(store)
    assert grant.is_daily
    assert 3590 < grant.wait_s <= 3600


def test_models_have_limits_of_their_own(store):
    """What one model has used up is no other model's concern."""
    for _ in range(21):
        take(store)
    assert store.take("other", LIMITS, 0, time.time()).wait_s == 0


_WORKER = """
import sys, time
from obskit.llm.guard import Guard, GuardError, Limits, RedisStore
guard = Guard(store=RedisStore(sys.argv[1]), limits={"shared": Limits(requests=40, burst_s=60)}, deadline=3)
done = 0
for _ in range(40):
    try:
        with guard.slot("shared"):
            done += 1
    except GuardError:
        pass
print(done)
"""


@pytest.mark.needs("redis")
def test_four_processes_keep_one_limit(redis_url):
    """Each would make forty calls, and together they make forty."""
    command = [sys.executable, "-c", _WORKER, redis_url]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    counts = [int(worker.communicate(timeout=60)[0]) for worker in workers]
    assert sum(counts) == 40


@pytest.mark.needs("redis")
def test_a_shared_store_is_waited_for_by_coroutines_too(redis_url):
    """Paced by Redis, from a loop that goes on meanwhile."""
    import asyncio

    limits = Limits(requests=6000, burst_s=0.05)
    guard = Guard(store=RedisStore(redis_url, prefix="async:"), limits={"m": limits}, deadline=20)
    done: list[int] = []

    async def call(number: int) -> None:
        async with guard.slot("m", client=str(number)) as slot:
            slot.used(5)
            done.append(number)

    async def main() -> None:
        await asyncio.gather(*(call(number) for number in range(30)))

    asyncio.run(main())
    assert sorted(done) == list(range(30))


@pytest.mark.fault(46, "the guard goes on alone")
def test_without_redis_each_process_keeps_the_limits_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A Redis that is gone costs one bounded attempt, one warning, and no call."""
    store = RedisStore(f"unix://{tmp_path}/none.sock")
    assert [take(store).wait_s for _ in range(20)] == [0.0] * 20
    assert take(store).wait_s > 0
    store.settle("m", LIMITS, 5, time.time())
    store.refused("m", LIMITS, 5.0, time.time(), is_daily=False)
    assert sum("Redis does not answer" in record.message for record in caplog.records) == 1


@pytest.mark.fault(46, "the guard refuses where that is asked")
def test_without_redis_no_call_is_made_where_that_is_asked(tmp_path: Path):
    """fail_closed: a clear error that says when to come again."""
    guard = Guard(store=RedisStore(f"unix://{tmp_path}/none.sock", fail_closed=True))
    with pytest.raises(StoreDownError, match="Redis does not answer") as caught, guard.slot("m"):
        pass
    assert 0 < caught.value.retry_after_s <= 5
