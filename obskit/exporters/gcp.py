"""Google Cloud: Cloud Trace and Cloud Monitoring through Google's OpenTelemetry exporters, and Error Reporting.

Both exporters log and swallow what goes wrong. They are therefore given clients that tell this module what
became of every call, that know a deadline, and that go on with the next batch when one was refused.

Cloud Trace takes 1,024 attributes a span (32 before 2024), so nothing of a span is cut off on the way.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from google.api.label_pb2 import LabelDescriptor
from google.cloud.monitoring_v3 import CreateTimeSeriesSummary, MetricServiceClient
from google.cloud.trace_v2 import TraceServiceClient
from opentelemetry.exporter.cloud_monitoring import CloudMonitoringMetricsExporter
from opentelemetry.sdk.resources import Resource

from obskit import catalog
from obskit.exporters.error_reporting import ErrorReporting
from obskit.exporters.google_calls import Access, Calls, open_access, quietly
from obskit.exporters.trace_requests import TraceRequests
from obskit.signals.delivery import ERRORS, METRICS, SPANS, Outcome, metric_spacing_s
from obskit.signals.gentle import short_turns
from obskit.signals.resource import instance_id, with_instance
from obskit.signals.taps import point_count, with_resource

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan

    from obskit.config import Config
    from obskit.signals.reports import ErrorReport

__all__ = ["GcpDestination", "create"]

_PREFIX: Final = "workload.googleapis.com"
_UNENCODABLE: Final = "what was recorded cannot be encoded"
_MONITORING_SPACING_S: Final = 5.0
# On these, the exporter's monitored resource has no label that tells two worker processes apart.
_SHARED_PLATFORMS: Final = frozenset({"gcp_compute_engine", "gcp_kubernetes_engine", "aws_ec2"})


class _MetricClient:
    """What `CloudMonitoringMetricsExporter` needs of a client; never raises, so that no batch stops another."""

    def __init__(self, client: Any, calls: Calls) -> None:
        self._client = client
        self._calls = calls
        self._missing: dict[str, Any] = {}
        self.delivered = 0
        self.refused: Counter[str] = Counter()

    def begin(self, timeout_s: float) -> None:
        """Start an export, and try again to create the descriptors that are missing."""
        self._calls.begin(timeout_s)
        self.delivered = 0
        self.refused.clear()
        for request in list(self._missing.values()):
            self.create_metric_descriptor(request)

    def common_project_path(self, project: str) -> str:
        return f"projects/{project}"

    def create_metric_descriptor(self, request: Any) -> Any:
        """Create it with every label of the catalog, or remember that it is missing."""
        descriptor = request.metric_descriptor
        _complete(descriptor)
        try:
            created = self._calls.run(self._client.create_metric_descriptor, request)
        except Exception:  # noqa: BLE001 - noted by the calls
            self._missing[descriptor.type] = request
            return descriptor
        self._missing.pop(descriptor.type, None)
        return created

    def create_time_series(self, request: Any) -> None:
        """Write one batch, less the series whose descriptor could not be created."""
        total = len(request.time_series)
        if self._missing:
            kept = [series for series in request.time_series if series.metric.type not in self._missing]
            if not self._is_passing():
                self.refused["descriptor"] += total - len(kept)
            request.time_series = kept
            total = len(kept)
        if not total:
            return
        try:
            self._calls.run(self._client.create_time_series, request)
        except Exception as error:  # noqa: BLE001 - noted by the calls
            written = min(total, _written(error))
            self.delivered += written
            if not self._is_passing():
                self.refused["rejected"] += total - written
            return
        self.delivered += total

    def _is_passing(self) -> bool:
        trouble = self._calls.trouble
        return trouble is not None and trouble.retry_after_s is not None


def _complete(descriptor: Any) -> None:
    """Add the catalog's labels: a descriptor that Cloud Monitoring has seen gains none later without a gap."""
    try:
        metric = catalog.metric_named(descriptor.type.removeprefix(f"{_PREFIX}/"))
    except KeyError:
        return
    known = {label.key for label in descriptor.labels}
    for label in metric.labels:
        key = metric.label_key(label.name, catalog.Route.GCP)
        if key not in known:
            descriptor.labels.append(LabelDescriptor(key=key, description=label.help))


def _written(error: Exception) -> int:
    for detail in getattr(error, "details", None) or ():
        summary = CreateTimeSeriesSummary.pb(CreateTimeSeriesSummary())
        if hasattr(detail, "Unpack") and detail.Is(summary.DESCRIPTOR) and detail.Unpack(summary):
            return int(summary.success_point_count)
    return 0


class GcpDestination:
    """Delivers to Google Cloud, or to the local backend that speaks the same APIs.

    Args:
        access: how to reach the services, and the project.
        metric_spacing_s: shortest time between two exports of metrics; Cloud Monitoring takes one point in 5 s.
    """

    name = "gcp"
    handles = frozenset({SPANS, METRICS, ERRORS})

    def __init__(self, access: Access, *, metric_spacing_s: float) -> None:
        for name in ("opentelemetry.exporter.cloud_trace", "opentelemetry.exporter.cloud_monitoring"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # told through the outcome instead
        self.metric_spacing_s = metric_spacing_s
        self._access = access
        self._calls = Calls()
        self._metric_client = _MetricClient(access.client(MetricServiceClient), self._calls)
        self._errors = ErrorReporting(access)
        self._trace_client: Any = access.client(TraceServiceClient)
        self._trace_requests = TraceRequests(access.project)
        self._metrics = quietly(
            CloudMonitoringMetricsExporter,
            project_id=access.project,
            client=self._metric_client,
            prefix=_PREFIX,
        )

    def export_spans(self, spans: Sequence[ReadableSpan], timeout_s: float) -> Outcome:
        """Write one batch to Cloud Trace."""
        self._calls.begin(timeout_s)
        try:
            with short_turns():
                request = self._trace_requests.of(spans)
        except (UnicodeError, TypeError, ValueError, OverflowError):
            return Outcome(lost=len(spans), reason="rejected", detail=_UNENCODABLE, is_divisible=True)
        try:
            self._calls.run(self._trace_client.batch_write_spans, request)
        except Exception:  # noqa: BLE001 - noted by the calls
            trouble = self._calls.trouble or Outcome()
            return trouble if trouble.retry_after_s is not None else replace(trouble, lost=len(spans))
        return Outcome(delivered=len(spans))

    def export_metrics(self, metrics: MetricsData, timeout_s: float) -> Outcome:
        """Write one snapshot to Cloud Monitoring, in batches of 200 series that do not depend on each other."""
        client = self._metric_client
        try:
            with short_turns():
                client.begin(timeout_s)
                self._metrics.export(with_resource(metrics, _as_task))
        except (UnicodeError, TypeError, ValueError, OverflowError):  # before anything was written
            if client.delivered or client.refused:
                raise
            points = point_count(metrics)
            return Outcome(lost=points, reason="rejected", detail=_UNENCODABLE, is_divisible=True)
        trouble = self._calls.trouble
        lost = sum(client.refused.values())
        if trouble is None:
            return Outcome(delivered=client.delivered)
        return Outcome(
            delivered=client.delivered,
            lost=lost,
            reason=next(iter(client.refused), trouble.reason),
            detail=trouble.detail,
            retry_after_s=trouble.retry_after_s,
        )

    def export_errors(self, reports: Sequence[ErrorReport], timeout_s: float) -> Outcome:
        """Report each error once to Error Reporting."""
        return self._errors.export(reports, timeout_s)

    def close(self, timeout_s: float) -> None:
        """Close the channel, if it is obskit's own."""
        self._access.close()


def _as_task(resource: Resource) -> Resource:
    """Return the resource in a form that the exporter writes as `generic_task` with this process's id."""
    attributes = dict(resource.attributes)
    if attributes.get("cloud.platform") in _SHARED_PLATFORMS:
        del attributes["cloud.platform"]
    resource = Resource(attributes, resource.schema_url)
    return resource if attributes.get("service.instance.id") else with_instance(resource, instance_id())


def create(config: Config, resource: Resource) -> GcpDestination:
    """Make the destination of `exporters="gcp"`.

    Raises:
        ConfigError: there are no credentials, or no project is known.
    """
    spacing_s = metric_spacing_s(config) if config.local_endpoint else _MONITORING_SPACING_S
    return GcpDestination(open_access(config), metric_spacing_s=spacing_s)
