"""Google Cloud: Google's own exporters against a real gRPC server, and what each refusal means."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.api.metric_pb2 import MetricDescriptor
from google.cloud.monitoring_v3 import CreateTimeSeriesSummary
from google_twin import GoogleTwin, Refusal
from telemetry import CONFIG, report, resource, snapshot, spans

from obskit import catalog
from obskit.config import Config
from obskit.errors import ConfigError
from obskit.exporters import gcp
from obskit.signals.delivery import Outcome


@pytest.fixture
def destination(google: GoogleTwin) -> gcp.GcpDestination:
    return gcp.create(CONFIG.but(local_endpoint=google.address), resource())


def refuse(method: str, code: grpc.StatusCode, retry_s: float | None = None) -> Any:
    def rule(called: str, request: Any) -> None:
        if called == method:
            raise Refusal(code, "the reason", retry_s)

    return rule


def test_spans_arrive_whole(google: GoogleTwin, destination: gcp.GcpDestination) -> None:
    """A span keeps its attributes, however many, its small fractions, and the service's name."""
    attributes = {f"key.{number}": number for number in range(100)} | {"cost": 0.0000123}
    assert destination.export_spans(spans(2, **attributes), 5.0) == Outcome(delivered=2)
    span = google.spans[0]
    found = span.attributes.attribute_map
    assert google.requests["BatchWriteSpans"][0].name == "projects/p1"
    assert span.display_name.value == "span 0"
    assert found["cost"].string_value.value == "1.23e-05"
    assert found["key.99"].int_value == 99
    assert found["service.name"].string_value.value == "shop"
    assert span.attributes.dropped_attributes_count == 0


@pytest.mark.parametrize("metric", catalog.METRICS, ids=lambda metric: metric.name)
def test_every_catalog_metric_has_its_promised_type(
    google: GoogleTwin, destination: gcp.GcpDestination, metric: catalog.Metric
) -> None:
    """A point of each metric arrives under the type, resource, kind and labels that the definitions query."""
    assert destination.export_metrics(snapshot(metric), 5.0) == Outcome(delivered=1)
    (series,) = google.series
    (request,) = google.requests["CreateMetricDescriptor"]
    descriptor = request.metric_descriptor
    assert series.metric.type == descriptor.type == metric.metric_type(catalog.Route.GCP)
    assert series.resource.type == metric.resource_type(catalog.Route.GCP)
    assert {label.key for label in descriptor.labels} == {
        metric.label_key(label.name, catalog.Route.GCP) for label in metric.labels
    }
    assert descriptor.unit == metric.unit
    assert series.metric_kind == MetricDescriptor.MetricKind.CUMULATIVE
    if metric.buckets:
        bounds = series.points[0].value.distribution_value.bucket_options.explicit_buckets.bounds
        assert tuple(bounds) == metric.buckets


@pytest.mark.parametrize("platform", ["", "gcp_kubernetes_engine", "gcp_compute_engine", "gcp_cloud_run"])
def test_every_process_is_its_own_task(google: GoogleTwin, destination: gcp.GcpDestination, platform: str) -> None:
    """On every platform points go to generic_task under the process's own id, so that workers never collide."""
    owner = resource(
        {"OTEL_RESOURCE_ATTRIBUTES": f"cloud.platform={platform},k8s.pod.name=x,cloud.region=europe-west1"}
    )
    destination.export_metrics(snapshot(catalog.HTTP_SERVER_DURATION, owner=owner), 5.0)
    labels = google.series[0].resource.labels
    assert google.series[0].resource.type == "generic_task"
    assert labels["task_id"] == owner.attributes["service.instance.id"]
    assert (labels["job"], labels["location"]) == ("shop", "europe-west1")


def test_one_refused_batch_does_not_stop_the_others(google: GoogleTwin, destination: gcp.GcpDestination) -> None:
    """Of three batches of 200 series the second is refused: the other two are written, and 200 points are lost."""
    calls = []

    def rule(method: str, request: Any) -> None:
        if method == "CreateTimeSeries":
            calls.append(len(request.time_series))
            if len(calls) == 2:
                raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "points must be written in order")

    google.rule = rule
    outcome = destination.export_metrics(snapshot(catalog.AI_TOKENS, series=501), 10.0)
    assert calls == [200, 200, 101]
    assert (outcome.delivered, outcome.lost, outcome.retry_after_s) == (301, 200, None)
    assert "points must be written in order" in outcome.detail


def test_a_batch_that_must_wait_is_not_lost(google: GoogleTwin, destination: gcp.GcpDestination) -> None:
    """A batch that meets a passing failure leaves its points to the next snapshot, after the time asked for."""
    google.rule = refuse("CreateTimeSeries", grpc.StatusCode.RESOURCE_EXHAUSTED, retry_s=7.5)
    outcome = destination.export_metrics(snapshot(catalog.AI_TOKENS, series=3), 5.0)
    assert (outcome.delivered, outcome.lost, outcome.retry_after_s) == (0, 0, 7.5)


def test_points_written_in_part(google: GoogleTwin, destination: gcp.GcpDestination) -> None:
    """When Cloud Monitoring says how many points of a refused batch it wrote, just the others are lost."""
    summary = CreateTimeSeriesSummary.pb(CreateTimeSeriesSummary(total_point_count=5, success_point_count=3))

    def rule(method: str, request: Any) -> None:
        if method == "CreateTimeSeries":
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "two of them", detail=summary)

    google.rule = rule
    outcome = destination.export_metrics(snapshot(catalog.AI_TOKENS, series=5), 5.0)
    assert (outcome.delivered, outcome.lost) == (3, 2)


def test_a_forbidden_descriptor_degrades(google: GoogleTwin, destination: gcp.GcpDestination) -> None:
    """When one metric's descriptor cannot be created, the other metrics go on, and it is tried again each time."""
    both = snapshot(catalog.AI_TOKENS, catalog.AI_COST)

    def rule(method: str, request: Any) -> None:
        if method == "CreateMetricDescriptor" and request.metric_descriptor.type.endswith("cost"):
            raise Refusal(grpc.StatusCode.PERMISSION_DENIED, "monitoring.metricDescriptors.create denied")

    google.rule = rule
    outcome = destination.export_metrics(both, 5.0)
    assert (outcome.delivered, outcome.lost, outcome.reason) == (1, 1, "descriptor")
    assert "monitoring.metricDescriptors.create" in outcome.detail
    google.rule = lambda method, request: None
    assert destination.export_metrics(both, 5.0) == Outcome(delivered=2)


@pytest.mark.parametrize(
    ("code", "is_passing"),
    [
        (grpc.StatusCode.UNAVAILABLE, True),
        (grpc.StatusCode.INTERNAL, True),
        (grpc.StatusCode.DEADLINE_EXCEEDED, True),
        (grpc.StatusCode.INVALID_ARGUMENT, False),
        (grpc.StatusCode.PERMISSION_DENIED, False),
        (grpc.StatusCode.UNIMPLEMENTED, False),
    ],
)
def test_what_a_refusal_of_spans_means(
    google: GoogleTwin, destination: gcp.GcpDestination, code: grpc.StatusCode, *, is_passing: bool
) -> None:
    """Passing failures are to be tried again, lasting ones are not; the client itself tries once."""
    google.rule = refuse("BatchWriteSpans", code)
    outcome = destination.export_spans(spans(), 2.0)
    assert (outcome.retry_after_s is not None) == is_passing
    assert outcome.delivered == 0
    assert len(google.requests["BatchWriteSpans"]) == 1


def test_an_error_event_is_complete(google: GoogleTwin, destination: gcp.GcpDestination) -> None:
    """Error Reporting gets the stack, the service, the request and the user."""
    assert destination.export_errors([report("boom")], 5.0) == Outcome(delivered=1)
    (event,) = google.events
    assert event.message.startswith("Traceback")
    assert (event.service_context.service, event.service_context.version) == ("shop", "7")
    assert (event.context.http_request.method, event.context.http_request.url) == ("GET", "/items/3")
    assert event.context.http_request.response_status_code == 500
    assert event.context.user == "u-1"
    assert event.event_time.timestamp() == 1_700_000_000


def test_a_report_without_a_stack_has_a_location(google: GoogleTwin, destination: gcp.GcpDestination) -> None:
    """A message alone is reported with the place it came from, which is what the service groups by."""
    destination.export_errors([report("odd", stack_trace="", location=("a.py", 3, "f"))], 5.0)
    (event,) = google.events
    location = event.context.report_location
    assert (event.message, location.file_path, location.line_number, location.function_name) == ("odd", "a.py", 3, "f")


def test_errors_go_on_after_a_refused_one(google: GoogleTwin, destination: gcp.GcpDestination) -> None:
    """A report that is refused is lost alone; one that must wait keeps its place in the order."""

    def rule(method: str, request: Any) -> None:
        if "refused" in request.event.message:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "no")
        if "later" in request.event.message:
            raise Refusal(grpc.StatusCode.UNAVAILABLE, "busy")

    google.rule = rule
    outcome = destination.export_errors([report("one"), report("refused"), report("two")], 5.0)
    assert (outcome.delivered, outcome.lost, outcome.retry_after_s) == (1, 1, 0.0)
    outcome = destination.export_errors([report("two"), report("later"), report("three")], 5.0)
    assert (outcome.delivered, outcome.lost) == (1, 0)
    assert outcome.retry_after_s is not None


def test_nobody_there() -> None:
    """An address where nothing listens is passing trouble for every signal, within the time given."""
    destination = gcp.create(CONFIG.but(local_endpoint="127.0.0.1:9"), resource())
    for outcome in (
        destination.export_spans(spans(), 0.5),
        destination.export_metrics(snapshot(catalog.AI_COST), 0.5),
        destination.export_errors([report()], 0.5),
    ):
        assert outcome.delivered == outcome.lost == 0
        assert outcome.retry_after_s is not None


def test_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Without credentials the destination is not made, and one problem says what to do."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(ConfigError, match=r"no Google credentials.*gcloud auth application-default login"):
        gcp.create(Config(project="p"), resource())
