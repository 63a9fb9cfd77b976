"""One bad value, or one refused item, costs itself and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from telemetry import snapshot, spans
from twins import Bench, Twin

from obskit import catalog
from obskit.signals.delivery import Outcome
from obskit.signals.mending import flattened, mended_span, rebuilt, steadied
from obskit.signals.reports import ErrorReport


def test_a_good_span_is_itself() -> None:
    """A span without a bad value is not copied."""
    (span,) = spans(1, text="fine ✓", number=2**62, flags=(True, False), share=0.5)
    assert mended_span(span) is span


def test_bad_values_are_replaced() -> None:
    """Lone surrogates, numbers beyond 64 bits and negative durations are replaced; the rest of the span stays."""
    (span,) = spans(1, good="fine", number=2**63, texts=("a\ud800", "b"))
    span._name, span._end_time = "odd \udfff", span.start_time - 5
    mended = mended_span(span)
    assert mended.name == "odd ?"
    assert mended.end_time == mended.start_time == span.start_time
    assert dict(mended.attributes) == {"good": "fine", "number": str(2**63), "texts": ("a?", "b")}
    assert (mended.context, mended.resource, mended.kind) == (span.context, span.resource, span.kind)


def test_points_are_rebuilt_as_they_were() -> None:
    """Points that are taken apart and put together again make the same snapshot."""
    data = snapshot(catalog.AI_TOKENS, catalog.HTTP_SERVER_DURATION, series=3)
    assert rebuilt(flattened(data)) == data


def test_labels_and_times_of_points() -> None:
    """A label that is no text is replaced, and a point never begins after its end."""
    data = snapshot(catalog.AI_TOKENS)
    (_, _, _, point) = flattened(data)[0]
    object.__setattr__(point, "attributes", {"n": "\ud800"})
    object.__setattr__(point, "start_time_unix_nano", point.time_unix_nano + 5)
    (_, _, _, steady) = flattened(steadied(data, 0))[0]
    assert steady.attributes == {"n": "?"}
    assert 0 < steady.start_time_unix_nano < steady.time_unix_nano == point.time_unix_nano


class Particular(Twin):
    """Refuses every batch that has something bad in it."""

    def export_spans(self, spans: Sequence[Any], timeout_s: float) -> Outcome:
        if any("bad" in span.name for span in spans):
            self.calls += 1
            return Outcome(lost=len(spans), reason="rejected", detail="HTTP 400", is_divisible=True)
        return super().export_spans(spans, timeout_s)

    def export_metrics(self, metrics: Any, timeout_s: float) -> Outcome:
        points = flattened(metrics)
        if any("bad" in str(point.attributes) for *_, point in points):
            return Outcome(lost=len(points), reason="rejected", detail="HTTP 400", is_divisible=True)
        return super().export_metrics(metrics, timeout_s)

    def export_errors(self, reports: Sequence[Any], timeout_s: float) -> Outcome:
        if any("bad" in report.message for report in reports):
            raise ValueError("cannot be encoded")
        return super().export_errors(reports, timeout_s)


def test_refused_items_are_found() -> None:
    """Of 300 spans, 20 points and 10 errors just the bad ones are lost, whether they are refused or raise."""
    with Bench(Particular()) as bench:
        tracer = bench.tracers.get_tracer("t")
        for number in range(300):
            tracer.start_span("bad" if number in {0, 150, 299} else "fine").end()
        for number in range(20):
            bench.counter.add(1, {"n": "bad" if number == 4 else str(number)})
        for number in range(10):
            bench.pipeline.submit_error(ErrorReport(time_ns=1, type="", message="bad" if number == 9 else "fine"))
        assert not bench.pipeline.flush(5.0)
        status = bench.pipeline.status()
        assert status.lost == {"spans": 3, "metrics": 1, "errors": 1}
        assert status.sent == {"spans": 297, "metrics": 19, "errors": 9}
        assert [span.name for span in bench.twin.spans] == ["fine"] * 297
        assert bench.twin.calls < 64


def test_a_batch_of_bad_items_costs_bounded_calls() -> None:
    """When everything is refused the search ends after a bounded number of calls, and all is counted."""
    with Bench(Particular()) as bench:
        tracer = bench.tracers.get_tracer("t")
        for _ in range(500):
            tracer.start_span("bad").end()
        assert not bench.pipeline.flush(5.0)
        assert bench.pipeline.status().lost["spans"] == 500
        assert bench.twin.calls <= 500


def test_an_item_that_cannot_be_read_is_lost_alone() -> None:
    """A span whose own form cannot be built is counted, and those around it are delivered."""

    class Broken:
        @property
        def name(self) -> str:
            raise RuntimeError("a bug")

        status = attributes = events = links = name

    with Bench() as bench:
        bench.spans(2)
        bench.pipeline._outlets[0].spans.put(Broken(), 10)
        bench.spans(2)
        assert not bench.pipeline.flush(5.0)
        assert len(bench.twin.spans) == 4
        assert bench.pipeline.status().lost_by_reason == {"spans: unreadable (RuntimeError)": 1}
        assert bench.pipeline.status().queued["spans"] == 0
