"""A gRPC server on loopback that takes what the exporters send to Google, and can be told to refuse it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc
from google.api.metric_pb2 import MetricDescriptor
from google.cloud.errorreporting_v1beta1 import ReportErrorEventRequest, ReportErrorEventResponse
from google.cloud.monitoring_v3 import CreateMetricDescriptorRequest, CreateTimeSeriesRequest
from google.cloud.trace_v2 import BatchWriteSpansRequest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

METHODS = {
    "/google.devtools.cloudtrace.v2.TraceService/BatchWriteSpans": (BatchWriteSpansRequest, Empty),
    "/google.monitoring.v3.MetricService/CreateMetricDescriptor": (CreateMetricDescriptorRequest, MetricDescriptor),
    "/google.monitoring.v3.MetricService/CreateTimeSeries": (CreateTimeSeriesRequest, Empty),
    "/google.devtools.clouderrorreporting.v1beta1.ReportErrorsService/ReportErrorEvent": (
        ReportErrorEventRequest,
        ReportErrorEventResponse,
    ),
}


class Refusal(Exception):
    """Raised by a rule: the status to answer, and after how many seconds to try again."""

    def __init__(self, code: grpc.StatusCode, message: str, retry_s: float | None = None, detail: Any = None) -> None:
        super().__init__(message)
        self.code, self.message, self.retry_s, self.detail = code, message, retry_s, detail


class GoogleTwin:
    """Keeps every request by the method's short name. `rule(method, request)` may raise a `Refusal`."""

    def __init__(self) -> None:
        self.requests: dict[str, list[Any]] = {path.rpartition("/")[2]: [] for path in METHODS}
        self.accepted: dict[str, list[Any]] = {name: [] for name in self.requests}
        self.rule: Any = lambda method, request: None
        self._server = grpc.server(ThreadPoolExecutor(4))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    @property
    def spans(self) -> list[Any]:
        return [span for request in self.accepted["BatchWriteSpans"] for span in request.spans]

    @property
    def series(self) -> list[Any]:
        return [series for request in self.accepted["CreateTimeSeries"] for series in request.time_series]

    @property
    def events(self) -> list[Any]:
        return [request.event for request in self.accepted["ReportErrorEvent"]]

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what serves the methods."""
        return _Handler(self)

    def __enter__(self) -> Self:
        self._server.add_generic_rpc_handlers((self.handler(),))
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, twin: GoogleTwin) -> None:
        self._twin = twin

    def service(self, details: Any) -> Any:
        if details.method not in METHODS:
            return None
        request_type, response_type = METHODS[details.method]
        name = details.method.rpartition("/")[2]

        def handle(request: Any, context: Any) -> Any:
            self._twin.requests[name].append(request)
            try:
                self._twin.rule(name, request)
            except Refusal as refusal:
                refuse(context, refusal)
            self._twin.accepted[name].append(request)
            return request.metric_descriptor if name == "CreateMetricDescriptor" else response_type()

        serialize = getattr(response_type, "serialize", None) or response_type.SerializeToString
        return grpc.unary_unary_rpc_method_handler(
            handle, request_deserializer=request_type.deserialize, response_serializer=serialize
        )


def refuse(context: Any, refusal: Refusal) -> None:
    status = Status(code=refusal.code.value[0], message=refusal.message)
    details = [refusal.detail] if refusal.detail is not None else []
    if refusal.retry_s is not None:
        whole = int(refusal.retry_s)
        nanos = int((refusal.retry_s - whole) * 1e9)
        details.append(RetryInfo(retry_delay=Duration(seconds=whole, nanos=nanos)))
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(refusal.code, refusal.message)
