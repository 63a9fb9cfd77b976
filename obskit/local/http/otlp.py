"""OTLP over HTTP: protobuf and JSON, one table of signals.

Source: "OTLP/HTTP" in the OpenTelemetry protocol's specification.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from google.protobuf import json_format
from google.rpc import status_pb2
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from obskit.local.http.context import backend_of
from obskit.local.http.replies import JsonReply
from obskit.local.ingest.otlp import read_json, read_protobuf, take_logs, take_metrics, take_traces
from obskit.local.store import Store

__all__ = ["otlp_routes"]

_PROTOBUF: Final = "application/x-protobuf"
_INVALID_ARGUMENT: Final = 3

SIGNALS: Final[Mapping[str, Callable[[Store, Any], Any]]] = {
    "traces": take_traces,
    "metrics": take_metrics,
    "logs": take_logs,
}


def otlp_routes() -> list[Route]:
    """Return one route a signal."""
    return [Route(f"/v1/{signal}", _taker(signal, take), methods=["POST"]) for signal, take in SIGNALS.items()]


def _taker(signal: str, take: Callable[[Store, Any], Any]) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        is_protobuf = request.headers.get("content-type", "").partition(";")[0].strip().lower() == _PROTOBUF
        body = await request.body()
        store = backend_of(request).store

        def work() -> Any:
            return take(store, read_protobuf(signal, body) if is_protobuf else read_json(signal, body))

        try:
            answer, status = await run_in_threadpool(work), 200
        except ValueError as error:
            answer, status = status_pb2.Status(code=_INVALID_ARGUMENT, message=str(error)), 400
        if is_protobuf:
            return Response(answer.SerializeToString(), status_code=status, media_type=_PROTOBUF)
        return JsonReply(json_format.MessageToDict(answer), status_code=status)

    return serve
