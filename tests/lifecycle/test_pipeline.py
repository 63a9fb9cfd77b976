"""The pipeline delivers everything, or says exactly what it did not, and never holds up the app."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import StatusCode
from twins import Bench, Twin

from obskit.errors import ConfigError, Problem
from obskit.signals.delivery import ERRORS, Outcome
from obskit.signals.lifecycle import Pipeline, running
from obskit.signals.reports import ErrorReport
from obskit.signals.spool import Spool


def a_report(message: str = "boom") -> ErrorReport:
    return ErrorReport(time_ns=time.time_ns(), type="ValueError", message=message)


def test_flush_delivers_every_signal() -> None:
    """After a flush that says True, every span, error and metric point is at the destination."""
    with Bench() as bench:
        bench.spans(1200)
        bench.counter.add(3)
        bench.pipeline.submit_error(a_report())
        assert bench.pipeline.flush(5.0)
        status = bench.pipeline.status()
    assert (len(bench.twin.spans), len(bench.twin.errors), bench.twin.total("bench.count")) == (1200, 1, 3)
    assert status.sent == {"spans": 1200, "metrics": 1, "errors": 1}
    assert not any((*status.lost.values(), *status.queued.values()))
    assert status.exporters == ("twin",)


def test_one_thread_does_it_all() -> None:
    """Every call to every destination comes from the one export thread."""
    with Bench(Twin(), Twin()) as bench:
        bench.spans(2)
        bench.counter.add(1)
        assert bench.pipeline.flush(5.0)
    assert {name for twin in bench.twins for name in twin.threads} == {"obskit-export"}


def test_destinations_are_made_when_needed() -> None:
    """A factory is called on the export thread, and only when there is something to deliver."""
    made: list[str] = []

    def make() -> Twin:
        made.append(threading.current_thread().name)
        return Twin()

    bench = Bench(start=False)
    pipeline = Pipeline(bench.pipeline._config, bench.pipeline.resource, [make])
    pipeline.start()
    assert pipeline.flush(1.0)
    assert made == []
    pipeline.submit_error(a_report())
    assert pipeline.flush(1.0)
    assert made == ["obskit-export"]
    assert pipeline.shutdown(1.0)


def test_flush_keeps_its_deadline_and_tells_the_truth() -> None:
    """With a destination that never answers, a flush returns in its time, says False, and loses nothing yet."""
    with Bench() as bench:
        bench.twin.gate.clear()
        bench.spans(10)
        begun = time.monotonic()
        assert not bench.pipeline.flush(0.3)
        assert time.monotonic() - begun < 1.5
        assert bench.pipeline.status().queued["spans"] == 10
        bench.twin.gate.set()
        assert bench.pipeline.flush(5.0)
    assert len(bench.twin.spans) == 10


def test_shutdown_counts_what_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    """A shutdown that cannot deliver says False, counts every item as lost, and says so in one line."""
    bench = Bench()
    bench.twin.trouble = Outcome(reason="unavailable", retry_after_s=0.0)
    bench.spans(7)
    bench.counter.add(1)
    assert not bench.pipeline.shutdown(0.5)
    status = bench.pipeline.status()
    assert status.lost == {"spans": 7, "metrics": 1, "errors": 0}
    assert status.lost_by_reason == {"spans: timeout": 7, "metrics: timeout": 1}
    lines = [record.getMessage() for record in caplog.records if "did not deliver" in record.getMessage()]
    assert lines == ["obskit did not deliver 7 spans, 1 metric point (timeout)"]


def test_endings_share_one_deadline() -> None:
    """When the server's flush has failed, the interpreter's exit does not wait as long again."""
    bench = Bench()
    bench.twin.gate.clear()
    bench.spans(1)
    begun = time.monotonic()
    assert not bench.pipeline.flush(1.0)
    assert not bench.pipeline.shutdown(1.0)
    assert time.monotonic() - begun < 1.8
    bench.twin.gate.set()


def test_a_full_queue_drops_exactly() -> None:
    """What does not fit is dropped and counted, the rest delivered; a flush after drops says False, the next True."""
    with Bench(queue_bytes=256 * 1024) as bench:
        bench.twin.gate.clear()
        bench.spans(3000, filler="x" * 1000)
        bench.twin.gate.set()
        assert not bench.pipeline.flush(5.0)
        status = bench.pipeline.status()
        assert status.sent["spans"] + status.lost["spans"] == 3000
        assert status.sent["spans"] == len(bench.twin.spans)
        assert status.lost["spans"] > 2000
        bench.spans(1)
        assert bench.pipeline.flush(5.0)


def test_errors_are_not_crowded_out_by_spans() -> None:
    """A flood of spans leaves room for error reports."""
    with Bench(queue_bytes=256 * 1024) as bench:
        bench.twin.gate.clear()
        bench.spans(3000)
        bench.pipeline.submit_error(a_report())
        bench.twin.gate.set()
        bench.pipeline.flush(5.0)
    assert len(bench.twin.errors) == 1


def test_recovers_after_an_outage() -> None:
    """What could not be delivered is delivered when the destination works again, in order and without loss."""
    with Bench() as bench:
        bench.twin.trouble = Outcome(reason="unavailable", detail="HTTP 503", retry_after_s=0.0)
        bench.spans(20)
        assert not bench.pipeline.flush(0.3)
        bench.twin.trouble = None
        assert bench.pipeline.flush(5.0)
        assert [span.name for span in bench.twin.spans] == [f"span {number}" for number in range(20)]
        assert "HTTP 503" in bench.pipeline.status().problems[0].problem


def test_one_broken_destination_does_not_stop_another() -> None:
    """While one destination fails, the other gets everything."""
    broken, whole = Twin(), Twin()
    broken.trouble = Outcome(reason="rejected", detail="HTTP 400")
    with Bench(broken, whole) as bench:
        bench.spans(5)
        bench.counter.add(1)
        assert not bench.pipeline.flush(5.0)
        assert len(whole.spans) == 5
        assert whole.total("bench.count") == 1
        assert bench.pipeline.status().lost == {"spans": 5, "metrics": 1, "errors": 0}


def test_a_destination_that_raises_loses_only_its_batch(caplog: pytest.LogCaptureFixture) -> None:
    """An exception in a destination is a counted loss and a problem, and the thread lives on."""

    class Raising(Twin):
        def export_errors(self, reports: object, timeout_s: float) -> Outcome:
            raise RuntimeError("a bug")

    with Bench(Raising()) as bench:
        bench.pipeline.submit_error(a_report())
        bench.spans(1)
        assert not bench.pipeline.flush(5.0)
        status = bench.pipeline.status()
    assert status.lost_by_reason == {"errors: RuntimeError": 1}
    assert status.sent["spans"] == 1
    assert "a bug" in status.problems[0].problem


def test_a_destination_that_cannot_be_made(caplog: pytest.LogCaptureFixture) -> None:
    """Missing credentials are one clear problem; the app goes on, and everything is counted as unavailable."""

    def fail() -> Twin:
        raise ConfigError(Problem(place="exporter 'x'", problem="no credentials", way_out="Log in"))

    bench = Bench(start=False)
    pipeline = Pipeline(bench.pipeline._config, bench.pipeline.resource, [fail])
    pipeline.start()
    for _ in range(3):
        pipeline.submit_error(a_report())
    assert not pipeline.flush(2.0)
    pipeline.submit_error(a_report())
    pipeline.shutdown(2.0)
    status = pipeline.status()
    assert status.lost_by_reason == {"errors: unavailable": 4}
    assert [str(problem) for problem in status.problems] == ["exporter 'x': no credentials. Log in."]
    assert sum("no credentials" in record.getMessage() for record in caplog.records) == 1


def test_a_destination_gets_only_what_it_handles() -> None:
    """Spans and metrics for a destination of errors are neither sent nor counted as lost."""
    with Bench(Twin([ERRORS])) as bench:
        bench.spans(5)
        bench.counter.add(1)
        bench.pipeline.submit_error(a_report())
        assert bench.pipeline.flush(2.0)
        status = bench.pipeline.status()
    assert status.sent == {"spans": 0, "metrics": 0, "errors": 1}
    assert not any(status.lost.values())


def test_the_final_metrics_keep_the_spacing() -> None:
    """Two exports of metrics are an interval apart, and nothing is exported again when nothing was recorded."""
    with Bench(Twin(metric_spacing_s=0.8)) as bench:
        bench.counter.add(1)
        assert bench.pipeline.flush(5.0)
        begun = time.monotonic()
        assert bench.pipeline.flush(5.0)
        assert time.monotonic() - begun < 0.5
        exports = len(bench.twin.snapshots)
        bench.counter.add(1)
        assert bench.pipeline.flush(5.0)
        assert time.monotonic() - begun > 0.3
        assert len(bench.twin.snapshots) == exports + 1
        assert bench.twin.total("bench.count") == 2


def test_a_flush_too_short_for_the_spacing_says_so() -> None:
    """When the spacing does not fit into the deadline, the flush says False and the points stay queued."""
    with Bench(Twin(metric_spacing_s=5.0)) as bench:
        bench.counter.add(1)
        assert bench.pipeline.flush(1.0)
        bench.counter.add(1)
        assert not bench.pipeline.flush(0.2)
        assert bench.pipeline.status().queued["metrics"] == 1


def test_what_is_said_to_be_lost_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    """A flush, or an end that another follows, calls nothing lost that is kept; the last one counts it, once."""

    def said() -> list[str]:
        return [text for record in caplog.records if "deliver" in (text := record.getMessage())]

    bench = Bench()
    bench.spans(3)
    bench.twin.trouble = Outcome(reason="503", retry_after_s=0.0)
    assert not bench.pipeline.flush(0.3)
    assert not bench.pipeline.settle(0.3)
    assert said() == []
    bench.twin.trouble = None
    assert bench.pipeline.shutdown(5.0)
    assert said() == []
    assert len(bench.twin.spans) == 3
    bench.pipeline.start()
    bench.spans(2)
    bench.twin.trouble = Outcome(reason="503", retry_after_s=0.0)
    assert not bench.pipeline.settle(0.3)
    assert not bench.pipeline.shutdown(0.3)
    assert said() == ["obskit did not deliver 2 spans (timeout)"]
    assert bench.pipeline.status().lost["spans"] == 2


def test_what_ends_the_flush_too_late_is_not_called_delivered() -> None:
    """A span that ends after the last flush has looked is given up, counted, and shutdown says so."""

    class Late(Twin):
        def export_metrics(self, metrics: Any, timeout_s: float) -> Outcome:
            bench.spans(1)
            return super().export_metrics(metrics, timeout_s)

    bench = Bench(Late())
    bench.counter.add(1)
    assert not bench.pipeline.shutdown(5.0)
    assert bench.pipeline.status().lost["spans"] == 1


def test_a_connection_that_closes_slowly_has_delivered() -> None:
    """Shutdown is true when everything has arrived, also where the destination takes its time to close."""

    class Slow(Twin):
        def close(self, timeout_s: float) -> None:
            self.gate.wait(30)
            super().close(timeout_s)

    bench = Bench(Slow())
    bench.spans(3)
    assert bench.pipeline.flush(5.0)
    bench.twin.gate.clear()
    assert bench.pipeline.shutdown(0.5)
    assert not bench.twin.is_closed
    bench.twin.gate.set()


def test_what_is_half_on_disk_at_the_deadline_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is late by part of a second costs nothing, and nothing on it is called lost."""
    write, is_late = Spool.write, threading.Event()

    def slowly(*args: Any) -> str | None:
        is_late.wait(0.5)
        return write(*args)

    monkeypatch.setattr(Spool, "write", slowly)
    bench = Bench(spool_directory=str(tmp_path))
    bench.twin.trouble = Outcome(reason="503", retry_after_s=0.0)
    bench.spans(10)
    assert not bench.pipeline.shutdown(0.3)
    status = bench.pipeline.status()
    assert (status.spooled["spans"], status.lost["spans"]) == (10, 0)


def test_a_destination_without_metrics_loses_none(caplog: pytest.LogCaptureFixture) -> None:
    """What a destination of errors was only loaded to find out about is not lost to it."""
    bench = Bench(Twin(), Twin([ERRORS]))
    bench.counter.add(1)
    assert bench.pipeline.shutdown(5.0)
    assert not [record for record in caplog.records if "deliver" in record.getMessage()]
    assert bench.pipeline.status().lost["metrics"] == 0


def test_a_refused_export_does_not_start_the_spacing() -> None:
    """What was refused was not written, so the final metrics need not wait for the spacing after it."""
    with Bench(Twin(metric_spacing_s=60.0)) as bench:
        bench.counter.add(1)
        bench.twin.trouble = Outcome(reason="503", retry_after_s=0.0)
        assert not bench.pipeline.flush(0.3)
        bench.twin.trouble = None
        assert bench.pipeline.flush(5.0)
        assert bench.twin.total("bench.count") == 1


def test_a_flush_does_not_sleep_its_deadline_away() -> None:
    """Within a flush the backoff stays short, so that a backend which fails often still gets everything."""

    class Moody(Twin):
        def _answer(self, count: int) -> Outcome:
            self.calls += 1
            return Outcome(delivered=count) if self.calls % 7 == 0 else Outcome(reason="503", retry_after_s=0.0)

    with Bench(Moody()) as bench:
        bench.spans(1)
        bench.counter.add(1)
        assert bench.pipeline.flush(8.0)


def test_unsampled_spans_stay_unless_they_failed() -> None:
    """A recorded span without the sampled flag is not exported, except when it ended in an error."""
    from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

    class RecordOnly(Sampler):
        def should_sample(self, *args: object, **kwargs: object) -> SamplingResult:
            return SamplingResult(Decision.RECORD_ONLY)

        def get_description(self) -> str:
            return "record only"

    with Bench() as bench:
        bench.tracers.sampler = RecordOnly()
        tracer = bench.tracers.get_tracer("t")
        tracer.start_span("fine").end()
        failed = tracer.start_span("failed")
        failed.set_status(StatusCode.ERROR)
        failed.end()
        assert bench.pipeline.flush(2.0)
    assert [span.name for span in bench.twin.spans] == ["failed"]


def test_start_again_after_shutdown() -> None:
    """A pipeline that was shut down can be started again, and is listed only while it runs."""
    bench = Bench()
    assert bench.pipeline in running()
    bench.spans(1)
    assert bench.pipeline.shutdown(1.0)
    assert bench.pipeline not in running()
    assert bench.twin.is_closed
    bench.pipeline.start()
    bench.spans(1)
    assert bench.pipeline.flush(1.0)
    assert len(bench.twin.spans) == 2
    bench.pipeline.shutdown(1.0)


def test_a_fork_begins_anew() -> None:
    """A child counts from the fork, has its own id on spans and metrics, and does not send what the parent had."""
    with Bench() as bench:
        bench.counter.add(100)
        bench.spans(3)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            said = "the child failed"
            try:
                bench.counter.add(5)
                bench.spans(2)
                delivered = bench.pipeline.flush(5.0)
                resource = bench.twin.snapshots[-1].resource_metrics[0].resource.attributes
                ids = {span.resource.attributes["service.instance.id"] for span in bench.twin.spans}
                ids.add(resource["service.instance.id"])
                said = f"{delivered} {len(bench.twin.spans)} {bench.twin.total('bench.count')} {' '.join(ids)}"
            finally:
                os.write(write, said.encode())
                os._exit(0)
        os.waitpid(pid, 0)
        words = os.read(read, 1000).decode().split()
        os.close(read)
        os.close(write)
        assert bench.pipeline.flush(5.0)
        own = bench.twin.spans[0].resource.attributes["service.instance.id"]
    assert words[:3] == ["True", "2", "5"]
    assert len(words) == 4
    assert f"-{pid}-" in words[3]
    assert words[3] != own
    assert bench.twin.total("bench.count") == 100
    assert len(bench.twin.spans) == 3


def test_the_export_thread_is_not_traced() -> None:
    """What a destination does on the export thread sees the marks by which instrumentation stays silent."""
    from opentelemetry import context
    from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

    seen: list[object] = []

    class Looking(Twin):
        def export_spans(self, spans: list[object], timeout_s: float) -> Outcome:
            seen.append(context.get_value(_SUPPRESS_INSTRUMENTATION_KEY))
            return Outcome(delivered=len(spans))

    with Bench(Looking()) as bench:
        bench.spans(1)
        assert bench.pipeline.flush(2.0)
    assert seen == [True]


def test_a_dead_destination_leaves_time_for_the_others() -> None:
    """In one flush a destination that never answers does not use up the time of the next."""

    class Slow(Twin):
        def export_spans(self, spans: list[object], timeout_s: float) -> Outcome:
            time.sleep(timeout_s)
            return Outcome(reason="timeout", retry_after_s=0.0)

    slow, whole = Slow(), Twin()
    with Bench(slow, whole) as bench:
        bench.spans(3)
        assert not bench.pipeline.flush(0.6)
        assert len(whole.spans) == 3


def test_a_forked_worker_of_multiprocessing_delivers(tmp_path: Path) -> None:
    """A worker process that ends by `os._exit`, as multiprocessing's do, delivers its spans first."""
    out = tmp_path / "spans"

    class Writing(Twin):
        def export_spans(self, spans: list[object], timeout_s: float) -> Outcome:
            with out.open("a") as file:
                file.write(f"{os.getpid()}:{len(spans)}\n")
            return Outcome(delivered=len(spans))

    with Bench(Writing()) as bench:
        worker = multiprocessing.get_context("fork").Process(target=bench.spans, args=(4,))
        worker.start()
        worker.join(10)
        assert worker.exitcode == 0
        assert out.read_text() == f"{worker.pid}:4\n"


def test_the_end_tries_once_more() -> None:
    """After a long outage the final flush does not wait for the backoff: what has recovered gets everything."""
    with Bench(trace_export_interval=timedelta(seconds=0.01)) as bench:
        bench.twin.trouble = Outcome(reason="unavailable", retry_after_s=0.0)
        bench.spans(5)
        deadline = time.monotonic() + 5.0
        while bench.twin.calls < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        bench.twin.trouble = None
        begun = time.monotonic()
        assert bench.pipeline.shutdown(5.0)
        assert time.monotonic() - begun < 2.0
    assert len(bench.twin.spans) == 5
