"""The gRPC server: one table from method to handler, everything else answers UNIMPLEMENTED."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
from google.protobuf import json_format
from grpc_status import rpc_status

from obskit.local.ingest import otlp
from obskit.local.rpc import (
    budgets,
    channels,
    dashboards,
    errors,
    log_metrics,
    logs,
    metrics,
    policies,
    services,
    snoozes,
    traces,
    uptime,
)
from obskit.local.rpc.calls import carry_out
from obskit.local.rpc.failure import Refused
from obskit.local.rpc.signatures import signatures
from obskit.local.store import Store

__all__ = ["METHODS", "WHERE", "answer", "serve_grpc"]

_log = logging.getLogger(__name__)
Handler = Callable[[Store, Any], Mapping[str, Any]]
_MOST_BYTES: Final = 64 * 1024 * 1024

_POLICIES: Final = "/google.monitoring.v3.AlertPolicyService/"
_CHANNELS: Final = "/google.monitoring.v3.NotificationChannelService/"
_METRICS: Final = "/google.monitoring.v3.MetricService/"
_DASHBOARDS: Final = "/google.monitoring.dashboard.v1.DashboardsService/"
_TRACES: Final = "/google.devtools.cloudtrace.v2.TraceService/"
_LOGS: Final = "/google.logging.v2.LoggingServiceV2/"
_REPORTS: Final = "/google.devtools.clouderrorreporting.v1beta1.ReportErrorsService/"
_ERRORS: Final = "/google.devtools.clouderrorreporting.v1beta1.ErrorStatsService/"
_GROUPS: Final = "/google.devtools.clouderrorreporting.v1beta1.ErrorGroupService/"
_UPTIME: Final = "/google.monitoring.v3.UptimeCheckService/"
_SERVICES: Final = "/google.monitoring.v3.ServiceMonitoringService/"
_SNOOZES: Final = "/google.monitoring.v3.SnoozeService/"
_LOG_METRICS: Final = "/google.logging.v2.MetricsServiceV2/"
_BUDGETS: Final = "/google.cloud.billing.budgets.v1.BudgetService/"

WHERE: Final = "/obskit.local.Backend/Where"
"""Answers with the address of the HTTP services, as plain UTF-8."""

METHODS: Final[Mapping[str, Handler]] = {
    _POLICIES + "CreateAlertPolicy": policies.create_policy,
    _POLICIES + "DeleteAlertPolicy": policies.delete_policy,
    _POLICIES + "GetAlertPolicy": policies.get_policy,
    _POLICIES + "ListAlertPolicies": policies.list_policies,
    _POLICIES + "UpdateAlertPolicy": policies.update_policy,
    _CHANNELS + "CreateNotificationChannel": channels.create_channel,
    _CHANNELS + "DeleteNotificationChannel": channels.delete_channel,
    _CHANNELS + "GetNotificationChannel": channels.get_channel,
    _CHANNELS + "GetNotificationChannelDescriptor": channels.get_channel_descriptor,
    _CHANNELS + "ListNotificationChannelDescriptors": channels.list_channel_descriptors,
    _CHANNELS + "ListNotificationChannels": channels.list_channels,
    _CHANNELS + "UpdateNotificationChannel": channels.update_channel,
    _METRICS + "CreateMetricDescriptor": metrics.create_descriptor,
    _METRICS + "CreateTimeSeries": metrics.create_time_series,
    _METRICS + "DeleteMetricDescriptor": metrics.delete_descriptor,
    _METRICS + "GetMetricDescriptor": metrics.get_descriptor,
    _METRICS + "GetMonitoredResourceDescriptor": metrics.get_resource_descriptor,
    _METRICS + "ListMetricDescriptors": metrics.list_descriptors,
    _METRICS + "ListMonitoredResourceDescriptors": metrics.list_resource_descriptors,
    _METRICS + "ListTimeSeries": metrics.list_time_series,
    _DASHBOARDS + "CreateDashboard": dashboards.create_dashboard,
    _DASHBOARDS + "DeleteDashboard": dashboards.delete_dashboard,
    _DASHBOARDS + "GetDashboard": dashboards.get_dashboard,
    _DASHBOARDS + "ListDashboards": dashboards.list_dashboards,
    _DASHBOARDS + "UpdateDashboard": dashboards.update_dashboard,
    _TRACES + "BatchWriteSpans": traces.batch_write_spans,
    _TRACES + "CreateSpan": traces.create_span,
    _LOGS + "ListLogEntries": logs.list_log_entries,
    _LOGS + "ListLogs": logs.list_logs,
    _LOGS + "WriteLogEntries": logs.write_log_entries,
    _REPORTS + "ReportErrorEvent": errors.report_error_event,
    _ERRORS + "ListEvents": errors.list_events,
    _ERRORS + "ListGroupStats": errors.list_group_stats,
    _GROUPS + "GetGroup": errors.get_group,
    _GROUPS + "UpdateGroup": errors.update_group,
    _UPTIME + "CreateUptimeCheckConfig": uptime.create_check,
    _UPTIME + "DeleteUptimeCheckConfig": uptime.delete_check,
    _UPTIME + "GetUptimeCheckConfig": uptime.get_check,
    _UPTIME + "ListUptimeCheckConfigs": uptime.list_checks,
    _UPTIME + "UpdateUptimeCheckConfig": uptime.update_check,
    _SERVICES + "CreateService": services.create_service,
    _SERVICES + "CreateServiceLevelObjective": services.create_objective,
    _SERVICES + "DeleteService": services.delete_service,
    _SERVICES + "DeleteServiceLevelObjective": services.delete_objective,
    _SERVICES + "GetService": services.get_service,
    _SERVICES + "GetServiceLevelObjective": services.get_objective,
    _SERVICES + "ListServiceLevelObjectives": services.list_objectives,
    _SERVICES + "ListServices": services.list_services,
    _SERVICES + "UpdateService": services.update_service,
    _SERVICES + "UpdateServiceLevelObjective": services.update_objective,
    _SNOOZES + "CreateSnooze": snoozes.create_snooze,
    _SNOOZES + "GetSnooze": snoozes.get_snooze,
    _SNOOZES + "ListSnoozes": snoozes.list_snoozes,
    _SNOOZES + "UpdateSnooze": snoozes.update_snooze,
    _LOG_METRICS + "CreateLogMetric": log_metrics.create_log_metric,
    _LOG_METRICS + "DeleteLogMetric": log_metrics.delete_log_metric,
    _LOG_METRICS + "GetLogMetric": log_metrics.get_log_metric,
    _LOG_METRICS + "ListLogMetrics": log_metrics.list_log_metrics,
    _LOG_METRICS + "UpdateLogMetric": log_metrics.update_log_metric,
    _BUDGETS + "CreateBudget": budgets.create_budget,
    _BUDGETS + "DeleteBudget": budgets.delete_budget,
    _BUDGETS + "GetBudget": budgets.get_budget,
    _BUDGETS + "ListBudgets": budgets.list_budgets,
    _BUDGETS + "UpdateBudget": budgets.update_budget,
}

# What a handler reads and then writes is one step.
_steps = threading.Lock()


def answer(store: Store, method: str, request: Any) -> Mapping[str, Any]:
    """Return what a method answers, as JSON.

    Raises:
        Refused: the call is.
    """

    def call() -> Mapping[str, Any]:
        with _steps:
            return METHODS[method](store, request)

    return carry_out(store, method, call)


class _Services(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, store: Store, http_url: str) -> None:
        self._store = store
        self._http_url = http_url
        self._otlp = otlp.grpc_methods()

    def service(self, details: Any) -> Any:
        method = details.method
        if method in self._otlp:
            read, take = self._otlp[method]
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: self._guarded(lambda: take(self._store, request), context),
                request_deserializer=read,
                response_serializer=lambda answer: answer.SerializeToString(),
            )
        if method == WHERE:
            return grpc.unary_unary_rpc_method_handler(lambda _request, _context: self._http_url.encode())
        signature = signatures().get(method)
        if signature is None or method not in METHODS:
            return grpc.unary_unary_rpc_method_handler(lambda _request, context: _unimplemented(method, context))

        def call(request: Any, context: Any) -> Any:
            def found() -> Any:
                told = answer(self._store, method, request)
                return json_format.ParseDict(dict(told), signature.answer(), ignore_unknown_fields=True)

            return self._guarded(found, context)

        return grpc.unary_unary_rpc_method_handler(
            call, request_deserializer=signature.read, response_serializer=lambda answer: answer.SerializeToString()
        )

    @staticmethod
    def _guarded(answer: Callable[[], Any], context: Any) -> Any:
        try:
            return answer()
        except Refused as error:
            context.abort_with_status(rpc_status.to_status(error.to_proto()))
        except Exception as error:  # noqa: BLE001 - a bug here must reach the client as INTERNAL, with its name
            _log.exception("a handler failed")
            context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")


def _unimplemented(method: str, context: Any) -> Any:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, f"The local backend does not implement {method}.")


def serve_grpc(store: Store, host: str, port: int, http_url: str = "") -> tuple[grpc.Server, int]:
    """Start the server and return it with its port.

    Args:
        store: what it serves.
        host: to listen at.
        port: 0 for a free one.
        http_url: where the HTTP services are, for those who ask.

    Raises:
        RuntimeError: the port is taken.
    """
    server = grpc.server(
        ThreadPoolExecutor(max_workers=8, thread_name_prefix="obskit-grpc"),
        handlers=[_Services(store, http_url)],
        options=[
            ("grpc.max_receive_message_length", _MOST_BYTES),
            ("grpc.max_send_message_length", _MOST_BYTES),
            ("grpc.so_reuseport", 0),
        ],
    )
    bound = server.add_insecure_port(f"{host}:{port}")
    if not bound:
        raise RuntimeError(f"port {port} is taken")
    server.start()
    return server, bound
