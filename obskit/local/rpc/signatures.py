"""The request and response types of every RPC of Google's services, read from Google's own clients.

The packages ship neither servicer stubs nor descriptors in a usable form, but each client's gRPC transport names
method, serialiser and deserialiser when it opens its channel: so a channel that records is all that is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import grpc
from google.cloud.errorreporting_v1beta1.services.error_group_service.transports import grpc as error_groups
from google.cloud.errorreporting_v1beta1.services.error_stats_service.transports import grpc as error_stats
from google.cloud.errorreporting_v1beta1.services.report_errors_service.transports import grpc as report_errors
from google.cloud.logging_v2.services.logging_service_v2.transports import grpc as logging_service
from google.cloud.logging_v2.services.metrics_service_v2.transports import grpc as log_metrics
from google.cloud.monitoring_dashboard_v1.services.dashboards_service.transports import grpc as dashboards
from google.cloud.monitoring_v3.services.alert_policy_service.transports import grpc as alert_policies
from google.cloud.monitoring_v3.services.metric_service.transports import grpc as metrics
from google.cloud.monitoring_v3.services.notification_channel_service.transports import grpc as channels
from google.cloud.monitoring_v3.services.service_monitoring_service.transports import grpc as services
from google.cloud.monitoring_v3.services.snooze_service.transports import grpc as snoozes
from google.cloud.monitoring_v3.services.uptime_check_service.transports import grpc as uptime
from google.cloud.trace_v2.services.trace_service.transports import grpc as traces

try:
    from google.cloud.billing.budgets_v1.services.budget_service.transports import grpc as budgets
except ImportError:  # of the extra "billing"; without it budgets are UNIMPLEMENTED
    _BUDGETS: tuple[Any, ...] = ()
else:
    _BUDGETS = (budgets.BudgetServiceGrpcTransport,)

__all__ = ["Signature", "signatures"]

_TRANSPORTS = (
    alert_policies.AlertPolicyServiceGrpcTransport,
    channels.NotificationChannelServiceGrpcTransport,
    dashboards.DashboardsServiceGrpcTransport,
    error_groups.ErrorGroupServiceGrpcTransport,
    error_stats.ErrorStatsServiceGrpcTransport,
    log_metrics.MetricsServiceV2GrpcTransport,
    logging_service.LoggingServiceV2GrpcTransport,
    metrics.MetricServiceGrpcTransport,
    report_errors.ReportErrorsServiceGrpcTransport,
    services.ServiceMonitoringServiceGrpcTransport,
    snoozes.SnoozeServiceGrpcTransport,
    traces.TraceServiceGrpcTransport,
    uptime.UptimeCheckServiceGrpcTransport,
)


@dataclass(frozen=True, slots=True)
class Signature:
    """How one RPC is read and written.

    Attributes:
        read: bytes → the request as a raw protobuf.
        answer: the class of the response as a raw protobuf.
    """

    read: Callable[[bytes], Any]
    answer: type[Any]


class _Recorder(grpc.Channel):  # type: ignore[misc]
    """A channel that opens nothing and notes what it is asked to open."""

    def __init__(self) -> None:
        self.methods: dict[str, tuple[Any, Any]] = {}

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_args: Any, **_: Any
    ) -> Any:
        self.methods[method] = (request_serializer, response_deserializer)
        return lambda *_args, **_kwargs: None

    def unary_stream(self, *_args: Any, **_: Any) -> Any:
        return lambda *_args, **_kwargs: None

    stream_unary = unary_stream
    stream_stream = unary_stream

    def subscribe(self, callback: Any, try_to_connect: Any = None) -> None: ...
    def unsubscribe(self, callback: Any) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


@cache
def signatures() -> Mapping[str, Signature]:
    """Return the signature of every unary RPC by its full method name."""
    recorder = _Recorder()
    for transport_type in (*_TRANSPORTS, *_BUDGETS):
        transport: Any = transport_type(channel=recorder)
        # Recent transports put an interceptor around the channel, which opens a method only when it is called.
        transport._logged_channel = recorder  # noqa: SLF001
        transport._stubs.clear()  # noqa: SLF001
        for name in dir(type(transport)):
            # Reading the property of a method makes the transport open it.
            if not name.startswith("_") and isinstance(getattr(type(transport), name), property):
                getattr(transport, name, None)
    found = {}
    for method, (serializer, deserializer) in recorder.methods.items():
        request, answer = _message(serializer), _message(deserializer)
        if request is not None and answer is not None:
            found[method] = Signature(request.FromString, answer)
    return found


def _message(function: Any) -> Any:
    """The raw protobuf class behind a serialiser or deserialiser, proto-plus or raw."""
    owner = getattr(function, "__self__", None)
    if owner is None:
        # `Message.SerializeToString` of a raw protobuf class is a plain method descriptor.
        owner = getattr(function, "__objclass__", None)
    if owner is None:
        return None
    return owner.pb() if hasattr(owner, "pb") and not hasattr(owner, "DESCRIPTOR") else owner
