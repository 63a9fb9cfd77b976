"""What is on disk is delivered once, whole, or counted; the folder keeps its size and its secrets."""

from __future__ import annotations

import multiprocessing
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from telemetry import report, snapshot, spans
from twins import Bench, Twin

from obskit import catalog
from obskit.signals.delivery import ERRORS, METRICS, SPANS, Outcome
from obskit.signals.mending import flattened, rebuilt
from obskit.signals.raised import detached
from obskit.signals.records import packed, unpacked
from obskit.signals.reports import Location
from obskit.signals.spool import MAX_AGE_S, Spool

AWAY = Outcome(reason="503", retry_after_s=0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "spool"


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


def bench(folder: Path, *twins: Twin, **settings: Any) -> Bench:
    return Bench(*twins, spool_directory=str(folder), **settings)


# --------------------------------------------------------------------------- as plain data


def test_spans_come_back_as_they_were() -> None:
    """Names, ids, times, attributes, events, links, status, scope and resource survive the way over bytes."""
    (one, other) = spans(2, text="é\ud800", number=2**70, flags=(True, False), share=0.5)
    one._links = [Link(other.context, {"k": "v"})]
    one._kind, one._status = SpanKind.CLIENT, Status(StatusCode.ERROR, "why")
    one._parent = other.context
    found = unpacked(SPANS, packed(SPANS, [one, other]))
    for before, after in zip([one, other], found, strict=True):
        assert after.to_json() == before.to_json()
        assert after.instrumentation_scope == before.instrumentation_scope
        assert after.resource == before.resource


def test_points_come_back_as_they_were() -> None:
    """Counters, gauges and both kinds of histograms survive the way over bytes."""
    reader = InMemoryMetricReader()
    views = [View(instrument_name="exp", aggregation=ExponentialBucketHistogramAggregation())]
    meter = MeterProvider([reader], shutdown_on_exit=False, views=views).get_meter("m")
    meter.create_counter("count").add(2, {"a": "b"})
    meter.create_up_down_counter("up").add(-2)
    meter.create_gauge("gauge").set(0.25)
    meter.create_histogram("hist").record(3)
    for value in (-1.0, 0.0, 7.0):
        meter.create_histogram("exp").record(value)
    data = reader.get_metrics_data()
    found = rebuilt(unpacked(METRICS, packed(METRICS, flattened(data))))

    def figures(snapshot: Any) -> list[Any]:
        return [
            (
                metric.name,
                metric.unit,
                type(metric.data),
                point.attributes,
                getattr(point, "value", None) or point.count,
            )
            for _, _, metric, point in flattened(snapshot)
        ]

    assert figures(found) == figures(data)
    (*_, exponential) = next(point for point in flattened(found) if point[2].name == "exp")
    (*_, original) = next(point for point in flattened(data) if point[2].name == "exp")
    assert (exponential.positive, exponential.negative) == (original.positive, original.negative)


def test_errors_come_back_as_they_were() -> None:
    """A report with its request, its place and its chain of exceptions survives the way over bytes."""
    try:
        raise ExceptionGroup("several", [ValueError("one")])
    except ExceptionGroup as error:
        raised = detached(error, str)
    before = report("boom", location=Location("a.py", 3, "f"), raised=raised, labels={"k": "v"})
    assert unpacked(ERRORS, packed(ERRORS, [before])) == [before]


@pytest.mark.parametrize("data", [b"", b"[", b"[1]", b'[{"name": 1}]', b"[null]"])
@pytest.mark.parametrize("signal", [SPANS, METRICS, ERRORS])
def test_what_is_no_batch_is_refused(signal: str, data: bytes) -> None:
    """Bytes that were not packed never become telemetry."""
    with pytest.raises(ValueError, match=r"\S"):
        unpacked(signal, data)


# --------------------------------------------------------------------------- the folder


def test_modes(folder: Path) -> None:
    """The folder is the user's own, and so are the files in it, whatever the umask."""
    before = os.umask(0)
    try:
        assert Spool(str(folder), 10**6).write("twin", SPANS, spans(1))
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_the_folder_keeps_its_size(folder: Path) -> None:
    """A batch that does not fit is refused, and fits once another is gone."""
    spool = Spool(str(folder), 3000)
    names = []
    while (name := spool.write("twin", SPANS, spans(5))) is not None:
        names.append(name)
    assert names
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 3000
    (folder / names[0]).unlink()
    assert spool.write("twin", SPANS, spans(5))


def test_a_claim_is_exclusive(folder: Path) -> None:
    """What one has claimed nobody else gets, until it is released; what is done is gone."""
    one, other = Spool(str(folder), 10**6), Spool(str(folder), 10**6)
    one.write("twin", SPANS, spans(2))
    claim = one.claim(Twin())
    assert claim is not None
    assert other.claim(Twin()) is None
    claim.release()
    again = other.claim(Twin())
    assert again is not None
    assert [span.name for span in again.items or ()] == ["span 0", "span 1"]
    again.done()
    assert one.claim(Twin()) is None
    assert not files(folder)


def test_only_ones_own_batches_are_claimed(folder: Path) -> None:
    """A destination gets neither another's batches nor signals that it does not take."""
    spool = Spool(str(folder), 10**6)
    spool.write("other", SPANS, spans(1))
    spool.write("twin", ERRORS, [report()])
    assert spool.claim(Twin([SPANS])) is None
    assert spool.claim(Twin([ERRORS])) is not None


def _deliver(folder: str, count: int, out: Any) -> None:
    spool, taken = Spool(folder, 10**9), []
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and spool.has_files():
        claim = spool.claim(Twin())
        if claim is not None:
            taken += [span.context.span_id for span in claim.items or ()]
            claim.done()
    out.put(taken)


def test_several_processes_share_the_folder(folder: Path) -> None:
    """Four processes that empty one folder deliver each span once between them."""
    spool = Spool(str(folder), 10**9)
    ids = set()
    for _ in range(40):
        batch = spans(5)
        ids |= {span.context.span_id for span in batch}
        spool.write("twin", SPANS, batch)
    context = multiprocessing.get_context("fork")
    out = context.Queue()
    processes = [context.Process(target=_deliver, args=(str(folder), 4, out)) for _ in range(4)]
    for process in processes:
        process.start()
    taken = [span_id for _ in processes for span_id in out.get(timeout=30)]
    for process in processes:
        process.join(10)
    assert len(taken) == len(ids)
    assert set(taken) == ids


# --------------------------------------------------------------------------- in a pipeline


def test_shutdown_keeps_what_it_cannot_deliver(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is lost, shutdown says False and one line what is kept; the next start delivers it with its old id."""
    first = bench(folder)
    first.twin.trouble = AWAY
    first.spans(700)
    first.counter.add(3)
    first.pipeline.submit_error(report())
    assert not first.pipeline.shutdown(3.0)
    status = first.pipeline.status()
    assert not any(status.lost.values())
    assert status.spooled == {"spans": 700, "metrics": 1, "errors": 1}
    lines = [record.getMessage() for record in caplog.records if "on disk" in record.getMessage()]
    assert lines == ["obskit keeps 700 spans, 1 metric point, 1 error on disk until they can be delivered"]

    with bench(folder) as second:
        deadline = time.monotonic() + 10
        while files(folder) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert second.pipeline.flush(5.0)
        assert [span.name for span in second.twin.spans] == [f"span {number}" for number in range(700)]
        assert second.twin.total("bench.count") == 3
        assert len(second.twin.errors) == 1
        assert second.pipeline.status().sent == {"spans": 700, "metrics": 1, "errors": 1}


def test_memory_that_is_full_moves_to_disk(folder: Path) -> None:
    """In an outage the oldest spans make room for new ones on disk, and all are delivered afterwards."""
    with bench(folder, queue_bytes=400_000) as ours:
        ours.twin.trouble = AWAY
        for _ in range(20):
            ours.spans(100)
            assert not ours.pipeline.flush(0.2)
        status = ours.pipeline.status()
        assert not any(status.lost.values())
        assert status.spooled["spans"] > 1000
        assert status.spooled["spans"] + status.queued["spans"] == 2000
        ours.twin.trouble = None
        deadline = time.monotonic() + 20
        while not ours.pipeline.flush(2.0) and time.monotonic() < deadline:
            pass
        assert len(ours.twin.spans) == len({span.context.span_id for span in ours.twin.spans}) == 2000
        assert not files(folder)
        assert not any(ours.pipeline.status().spooled.values())


def test_damaged_and_old_files_are_counted(folder: Path) -> None:
    """A file that was cut or changed, or that is a day old, is not delivered, but counted and removed."""
    spool = Spool(str(folder), 10**6)
    cut, changed, old = (folder / (spool.write("twin", SPANS, spans(3)) or "") for _ in range(3))
    cut.write_bytes(cut.read_bytes()[:-10])
    data = bytearray(changed.read_bytes())
    data[-5] ^= 1
    changed.write_bytes(data)
    os.utime(old, (time.time() - MAX_AGE_S - 60,) * 2)
    (folder / "stranger.txt").write_text("not ours")
    with bench(folder) as ours:
        deadline = time.monotonic() + 10
        while files(folder) and time.monotonic() < deadline:
            time.sleep(0.01)
        ours.pipeline.flush(1.0)
        assert ours.pipeline.status().lost_by_reason == {"spans: damaged": 6, "spans: expired": 3}
        assert not ours.twin.spans
    assert [path.name for path in folder.iterdir() if path.suffix == ".txt"] == ["stranger.txt"]


def test_a_full_disk_loses_and_says_so(folder: Path) -> None:
    """What finds no room on disk either is lost at the end, counted, and never more than fits is written."""
    ours = bench(folder, spool_bytes=20_000)
    ours.twin.trouble = AWAY
    for number in range(3000):
        ours.spans(1, payload=f"{number}-{os.urandom(50).hex()}")
    assert not ours.pipeline.shutdown(1.0)
    status = ours.pipeline.status()
    assert status.lost["spans"] + status.spooled["spans"] == 3000
    assert status.lost["spans"] > 0
    assert sum(path.stat().st_size for path in files(folder)) <= 20_000


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """The app goes on, one problem names the setting, and what would have been kept is counted as lost."""
    blocker = tmp_path / "file"
    blocker.write_text("")
    ours = bench(blocker / "spool")
    ours.twin.trouble = AWAY
    ours.spans(3)
    assert not ours.pipeline.shutdown(0.5)
    status = ours.pipeline.status()
    assert status.lost["spans"] == 3
    assert any("spool_directory" in problem.place for problem in status.problems)


def test_metrics_are_kept_once(folder: Path) -> None:
    """A flush, a settling and a shutdown in an outage leave one snapshot on disk, not three."""
    ours = bench(folder)
    ours.twin.trouble = AWAY
    ours.counter.add(1)
    assert not ours.pipeline.flush(0.3)
    assert not ours.pipeline.settle(0.3)
    assert not ours.pipeline.shutdown(0.3)
    assert len(files(folder)) == 1
    assert len(unpacked(METRICS, packed(METRICS, flattened(snapshot(catalog.AI_COST))))) == 1
