"""Runs of jobs are observed, whatever way they end."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request

import pytest

import obskit
from obskit.local.serve import LocalBackend
from obskit.testing import capture


@pytest.fixture
def seen():
    handle = obskit.instrument(service_name="jobs", exporters="memory")
    with capture() as found:
        yield found
    handle.shutdown()


def total(seen, metric, name, **labels):
    return seen.total(metric, **{"obskit.job.name": name}, **labels)


def test_a_run_is_a_span_a_duration_and_a_last_success(seen):
    """A with block gives one span, one duration and the time of its success, and no failure."""
    before = time.time()
    with obskit.job("ok-block", attributes={"size": 3, "password": "x"}):
        pass
    span = seen.span("ok-block")
    assert (span.attributes["size"], span.attributes["password"]) == (3, "[REDACTED]")
    assert total(seen, "obskit.job.duration", "ok-block") == 1
    (point,) = [p for p in seen.metrics if p.metric == "obskit.job.last_success"]
    assert before <= point.value <= time.time()
    assert total(seen, "obskit.job.failures", "ok-block") == 0


def test_a_failed_run_is_no_success(seen):
    """An exception goes on, and is counted with its type; the last success stays what it was."""
    with pytest.raises(KeyError), obskit.job("bad-block"):
        raise KeyError("x")
    assert total(seen, "obskit.job.failures", "bad-block", **{"error.type": "KeyError"}) == 1
    assert not [
        p for p in seen.metrics if p.metric == "obskit.job.last_success" and "bad-block" in p.attributes.values()
    ]
    assert seen.span("bad-block").status.status_code.name == "ERROR"


def test_functions_of_both_kinds_can_be_decorated(seen):
    """A function and a coroutine function keep name and result, and each call is a run."""

    @obskit.job("plain")
    def plain(number):
        return number + 1

    @obskit.job("later")
    async def later(number):
        await asyncio.sleep(0)
        return number + 1

    async def both():
        return await asyncio.gather(*(later(number) for number in range(10)))

    assert [plain(1), plain(2)] == [2, 3]
    assert asyncio.run(both()) == list(range(1, 11))
    assert (plain.__name__, total(seen, "obskit.job.duration", "plain")) == ("plain", 2)
    assert total(seen, "obskit.job.duration", "later") == 10


def test_a_job_within_itself_ends_in_order(seen):
    """One object may run inside itself; both runs are there, one inside the other."""
    work = obskit.job("nested")
    with work, work:
        pass
    inner, outer = [span for span in seen.spans if span.name == "nested"]
    assert inner.parent.span_id == outer.context.span_id


def test_cancelled_and_stopped_runs_are_neither(seen):
    """A cancelled run and an interrupted one are no failure and no success; exit code 0 is a success, 1 a failure."""

    async def cancelled():
        async with obskit.job("cancelled"):
            await asyncio.Event().wait()

    async def cancel():
        task = asyncio.create_task(cancelled())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(cancel())
    with pytest.raises(KeyboardInterrupt), obskit.job("stopped"):
        raise KeyboardInterrupt
    with pytest.raises(SystemExit), obskit.job("exit-0"):
        sys.exit(0)
    with pytest.raises(SystemExit), obskit.job("exit-1"):
        sys.exit(1)
    names = {p.attributes["obskit.job.name"] for p in seen.metrics if p.metric == "obskit.job.last_success" and p.value}
    assert {"exit-0"} == names & {"cancelled", "stopped", "exit-0", "exit-1"}
    failures = [total(seen, "obskit.job.failures", name) for name in ("cancelled", "stopped", "exit-0", "exit-1")]
    assert failures == [0, 0, 0, 1]


def test_wrong_uses_are_told_at_once():
    """No name, no parentheses, a generator: an error that says what to write."""
    with pytest.raises(ValueError, match="needs a name"):
        obskit.job(" ")
    with pytest.raises(TypeError, match=r"Write @obskit\.job"):
        obskit.job(lambda: None)
    with pytest.raises(TypeError, match="inside it"):

        @obskit.job("generator")
        def numbers():
            yield 1


def test_a_script_that_ends_right_after_its_job_has_delivered_it(tmp_path):
    """What a script of a few lines records is at the backend when the process is gone."""
    script = tmp_path / "backup.py"
    script.write_text("import obskit\nobskit.instrument()\nwith obskit.job('backup'):\n    pass\n")
    with LocalBackend(project="p", http_port=0, grpc_port=0) as backend:
        env = {"OBSKIT_EXPORTERS": "otlp", "OBSKIT_OTLP_ENDPOINT": backend.http_url, "OBSKIT_SERVICE_NAME": "cron"}
        subprocess.run([sys.executable, script], timeout=60, check=True, env={**os.environ, **env})
        path = "/v1/projects/p/location/global/prometheus/api/v1/query?query=obskit_job_last_success"
        with urllib.request.urlopen(backend.http_url + path, timeout=20) as answer:
            (found,) = json.load(answer)["data"]["result"]
    assert (found["metric"]["job"], found["metric"]["obskit_job_name"]) == ("cron", "backup")
    assert abs(float(found["value"][1]) - time.time()) < 600
