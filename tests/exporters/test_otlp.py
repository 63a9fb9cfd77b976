"""OTLP: what arrives at a real receiver, and what each of its answers means."""

from __future__ import annotations

import pytest
from collector import Collector
from telemetry import report, resource, snapshot, spans

from obskit import catalog
from obskit.exporters.otlp import OtlpDestination
from obskit.signals.delivery import Outcome


@pytest.fixture
def destination(collector: Collector) -> OtlpDestination:
    return OtlpDestination(collector.url, resource())


def test_every_signal_arrives(collector: Collector, destination: OtlpDestination) -> None:
    """Spans, metric points and errors are delivered to the three standard paths."""
    assert destination.export_spans(spans(3), 5.0) == Outcome(delivered=3)
    assert destination.export_metrics(snapshot(catalog.HTTP_SERVER_DURATION), 5.0) == Outcome(delivered=1)
    assert destination.export_errors([report("one"), report("two")], 5.0) == Outcome(delivered=2)
    assert collector.paths == ["/v1/traces", "/v1/metrics", "/v1/logs"]
    assert [span.name for span in collector.spans] == ["span 0", "span 1", "span 2"]


def test_histograms_are_cumulative_with_the_catalogs_buckets(
    collector: Collector, destination: OtlpDestination
) -> None:
    """A catalog histogram keeps its name and bounds, so that Google files it under the promised type."""
    destination.export_metrics(snapshot(catalog.HTTP_SERVER_DURATION), 5.0)
    ((_, name, _),) = collector.points
    (point,) = collector.points.values()
    assert catalog.HTTP_SERVER_DURATION.metric_type(catalog.Route.OTLP) == f"prometheus.googleapis.com/{name}/histogram"
    assert tuple(point.explicit_bounds) == catalog.HTTP_SERVER_DURATION.buckets
    assert point.start_time_unix_nano < point.time_unix_nano


def test_an_error_is_a_log_record(collector: Collector, destination: OtlpDestination) -> None:
    """An error report becomes a log record with the exception's attributes, joined to its trace."""
    destination.export_errors([report("boom")], 5.0)
    (record,) = collector.records
    attributes = {pair.key: pair.value for pair in record.attributes}
    assert record.severity_text == "ERROR"
    assert record.body.string_value == "ValueError: boom"
    assert record.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert "Traceback" in attributes["exception.stacktrace"].string_value
    assert attributes["enduser.id"].string_value == "u-1"
    assert attributes["http.response.status_code"].int_value == 500


@pytest.mark.parametrize(
    ("status", "headers", "retry_after_s"),
    [
        (503, {}, 0.0),
        (429, {"Retry-After": "7"}, 7.0),
        (500, {"Retry-After": "soon"}, 0.0),
        (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_passing_trouble(
    collector: Collector,
    destination: OtlpDestination,
    status: int,
    headers: dict[str, str],
    retry_after_s: float,
) -> None:
    """A receiver that is busy or broken is asked once, and the pipeline is told when to try again."""
    collector.answers = [(status, headers)]
    outcome = destination.export_spans(spans(), 5.0)
    assert (outcome.delivered, outcome.lost, outcome.retry_after_s) == (0, 0, retry_after_s)
    assert str(status) in outcome.detail
    assert len(collector.paths) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_lasting_trouble(collector: Collector, destination: OtlpDestination, status: int) -> None:
    """What a receiver refuses is lost, with the reason, and not sent again."""
    collector.answers = [(status, {})] * 3
    assert destination.export_spans(spans(2), 5.0).lost == 2
    assert destination.export_metrics(snapshot(catalog.AI_TOKENS), 5.0).lost == 1
    outcome = destination.export_errors([report()], 5.0)
    assert (outcome.lost, outcome.retry_after_s) == (1, None)
    assert str(status) in outcome.detail


def test_unreachable() -> None:
    """A receiver that is not there is passing trouble, and its address is not in the message."""
    destination = OtlpDestination("http://127.0.0.1:9?key=secret", resource())
    outcome = destination.export_spans(spans(), 1.0)
    assert (outcome.reason, outcome.retry_after_s) == ("unreachable", 0.0)
    assert "secret" not in outcome.detail


def test_the_standard_environment(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers and endpoints of the standard environment variables hold for every signal."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=abc")
    destination = OtlpDestination("", resource())
    for send in (
        lambda: destination.export_spans(spans(), 5.0),
        lambda: destination.export_metrics(snapshot(catalog.AI_COST), 5.0),
        lambda: destination.export_errors([report()], 5.0),
    ):
        assert send().delivered == 1
        assert {key.lower(): value for key, value in collector.headers.items()}["x-api-key"] == "abc"
