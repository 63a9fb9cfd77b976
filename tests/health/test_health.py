"""Health checks never harm the app, and say what is so: in the metric, the log, and at the endpoint."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from werkzeug.test import Client

import obskit
from obskit.health import Health
from obskit.testing import capture

SECRET = "AIzaSyA-1234567890abcdefghijklmnopqrstuv"


class Outside:
    """A thing that a check looks at, which can be broken, and can hang."""

    def __init__(self):
        self.is_up, self.calls, self.gate, self.lock = True, 0, threading.Event(), threading.Lock()
        self.gate.set()

    def look(self):
        with self.lock:
            self.calls += 1
        self.gate.wait(20)
        if not self.is_up:
            raise ConnectionError(f"no answer with key={SECRET}")

    async def look_async(self):
        self.calls += 1
        while not self.gate.is_set():
            await asyncio.sleep(0.005)
        if not self.is_up:
            raise ConnectionError(f"no answer with key={SECRET}")


@pytest.fixture
def outside():
    made = Outside()
    yield made
    made.gate.set()


def fastapi(health):
    app = FastAPI()

    @app.get("/{path:path}")
    def everything(path: str) -> str:
        return path

    health.install(app)
    assert "/health" not in app.openapi()["paths"]
    return TestClient(app)


def starlette(health):
    app = Starlette()
    health.install(app)
    return TestClient(app)


def asgi(health):
    return TestClient(health.asgi(PlainTextResponse("inside")))


def flask(health):
    app = Flask("health")
    health.install(app)
    return Client(app)


def wsgi(health):
    return Client(health.wsgi(Flask("inside")))


KINDS = [fastapi, starlette, asgi, flask, wsgi]
each_kind = pytest.mark.parametrize("make", KINDS, ids=lambda kind: kind.__name__)
each_look = pytest.mark.parametrize("look", ["look", "look_async"])


@each_kind
@each_look
def test_the_endpoint_says_whether_the_service_is_ready(make, look, outside):
    """200 while all is well, 503 while a required check fails; live is 200 always; nothing is cached or shown."""
    health = Health(cache=0)
    health.add("gemini", getattr(outside, look))
    client = make(health)
    assert (client.get("/health").status_code, client.get("/health/ready").status_code) == (200, 200)
    outside.is_up = False
    answer = client.get("/health")
    assert (answer.status_code, json.loads(answer.text)) == (503, {"status": "unavailable"})
    assert answer.headers["cache-control"] == "no-store"
    live = client.get("/health/live")
    assert (live.status_code, json.loads(live.text)) == (200, {"status": "ok"})
    assert client.head("/health").status_code == 503
    assert client.post("/health").status_code in (404, 405, 200) or make is fastapi


@each_kind
def test_details_have_no_secrets(make, outside, caplog):
    """With details each check has its state and the class of its exception; the message is in the log, redacted."""
    health = Health(cache=0, details=True)
    health.add("gemini", outside.look, required=False)
    outside.is_up = False
    with caplog.at_level(logging.WARNING, logger="obskit.health"):
        answer = make(health).get("/health")
    assert answer.status_code == 200, "a check that is not required leaves the service ready"
    document = json.loads(answer.text)
    assert (document["status"], document["checks"]["gemini"]["reason"]) == ("degraded", "ConnectionError")
    assert SECRET not in answer.text + caplog.text
    assert "no answer" in caplog.text


@each_kind
def test_other_paths_are_the_apps(make, outside):
    """Nothing but the three paths is answered."""
    health = Health()
    health.add("gemini", outside.look)
    make(health).get("/other")
    assert outside.calls == 0


def test_an_endpoint_alone_answers_404_elsewhere():
    """Without an app inside, other paths are not found, and the lifespan protocol is answered."""
    health = Health()
    with TestClient(health.asgi()) as client:
        assert client.get("/x").status_code == 404
        assert client.get("/health").status_code == 200
    assert Client(health.wsgi()).get("/x").status_code == 404
    with pytest.raises(TypeError, match="Wrap it"):
        health.install(object())


@each_look
def test_a_check_that_hangs_is_unhealthy_and_runs_once(look, outside):
    """Ten askers of a check that hangs have their answer after its timeout; it was begun once, and recovers."""
    health = Health(timeout=0.2, cache=0)
    health.add("slow", getattr(outside, look))
    outside.gate.clear()

    async def ask():
        return await asyncio.gather(*(health.run_async() for _ in range(10)))

    reports = asyncio.run(ask())
    assert {report.is_ready for report in reports} == {False}
    assert "took longer than 0.2 s" in {report.results[0].reason for report in reports}
    if look == "look":
        assert not health.run().is_ready
        assert outside.calls == 1, "while a run hangs, no second one is begun"
    outside.gate.set()
    deadline = time.monotonic() + 10
    while not health.run().is_ready:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_check_that_does_not_let_itself_be_cancelled_holds_nobody_up():
    """The app's loop goes on, and the answer is there in time."""
    health = Health(timeout=0.1, cache=0)
    is_over = []

    @health.check("stubborn")
    async def stubborn():
        while not is_over:
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                continue

    async def ask():
        first = await health.run_async()
        second = await health.run_async()
        is_over.append(1)
        await asyncio.sleep(0.05)
        return first, second

    first, second = asyncio.run(ask())
    assert not first.is_ready
    assert second.results[0].reason == "has not come back yet"


def test_checks_run_at_once():
    """Three checks that wait for each other all pass: on threads, and on a loop."""
    barrier = threading.Barrier(3, timeout=10)
    health = Health(timeout=10, cache=0)
    for number in range(3):
        health.add(str(number), lambda: barrier.wait() and None)
    assert health.run().is_ready
    assert asyncio.run(health.run_async()).is_ready


def test_a_result_stands_for_the_time_of_its_cache(outside):
    """A hundred askers cause one run; with no cache each causes one."""
    health = Health(cache="1h")
    health.add("cached", outside.look)
    assert all(health.run().is_ready for _ in range(100))
    assert outside.calls == 1


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, RecursionError, MemoryError])
def test_a_check_may_raise_anything(error):
    """Whatever it raises, it is unhealthy and no more."""
    health = Health(cache=0)

    def broken():
        raise error

    async def broken_async():
        raise error

    health.add("plain", broken)
    health.add("later", broken_async)
    assert [result.reason for result in health.run().results] == [error.__name__] * 2
    assert [result.reason for result in asyncio.run(health.run_async()).results] == [error.__name__] * 2


def test_false_is_a_failure_and_names_are_unique():
    """A check may return False; a second one of its name is an error, and so is a wrong duration."""
    health = Health(cache=0)
    health.add("no", lambda: False)
    assert health.run().results[0].reason == "returned False"
    with pytest.raises(ValueError, match="Give each check its own name"):
        health.add("no", lambda: None)
    with pytest.raises(ValueError, match="shorter than 1 s"):
        health.watch("100ms")


def test_the_metric_follows_the_checks(outside):
    """`provider_status` is 1, then 0, for the check's name."""
    handle = obskit.instrument(service_name="health", exporters="memory")
    health = Health(cache=0)
    health.add("metric-check", outside.look)
    with capture() as seen:
        for is_up in (True, False):
            outside.is_up = is_up
            health.run()
            (point,) = [p for p in seen.metrics if p.attributes == {"provider": "metric-check"}]
            assert (point.metric, point.value) == ("provider_status", int(is_up))
    handle.shutdown()


def test_the_background_checks_and_ends_with_its_owner(outside):
    """A round comes at once and then by the interval; `stop` ends it."""
    health = Health(cache=0)
    health.add("background", outside.look)
    health.watch("1s")
    deadline = time.monotonic() + 20
    while outside.calls < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    health.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_checks_by_itself_and_a_process_ends(tmp_path):
    """A child of a watching parent, in the midst of a run, has checks of its own; both end though a check hangs."""
    script = tmp_path / "forks.py"
    script.write_text(
        "import os, sys, threading, time\n"
        "from obskit.health import Health\n"
        "health, parent, looks = Health(cache=0, timeout=0.2), os.getpid(), []\n"
        "@health.check('hangs')\n"
        "def hangs():\n"
        "    looks.append(os.getpid())\n"
        "    if os.getpid() == parent: threading.Event().wait()\n"
        "health.watch('1s')\n"
        "while not looks: time.sleep(0.01)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    deadline = time.monotonic() + 20\n"
        "    while looks.count(os.getpid()) < 2 and time.monotonic() < deadline: time.sleep(0.01)\n"
        "    sys.exit(0 if health.run().is_ready and looks.count(os.getpid()) >= 2 else 3)\n"
        "code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n"
        "print('child', code, 'parent', health.run().is_ready)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "child 0 parent False", done.stderr


def test_no_framework_is_loaded():
    """`obskit.health` imports neither Starlette nor Flask."""
    code = "import sys, obskit.health; print([m for m in ('starlette', 'flask', 'google', 'grpc') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


PAGE = Path(__file__).resolve().parents[2] / "docs" / "health.md"


def test_the_examples_of_the_page_run(tmp_path):
    """Each Python block of docs/health.md runs, one after the other in one file."""
    import re

    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks))
    environment = {**os.environ, "OBSKIT_EXPORTERS": "none"}
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
