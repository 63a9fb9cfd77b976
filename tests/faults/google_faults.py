"""The project's own local backend as Google's gRPC services, with faults put before it; strict as Cloud Monitoring is."""

from __future__ import annotations

import threading
from typing import Any

import grpc
from google_twin import GoogleTwin, Refusal, refuse

from obskit.local.rpc.server import _Services
from obskit.local.serve import LocalBackend


class FaultyGoogle(GoogleTwin):
    """Keeps what the local backend accepts; `rule(method, request)` may raise a `Refusal` before it is asked.

    Attributes:
        refused: method and reason of every call that the backend itself has refused.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[tuple[str, str]] = []
        self.lock = threading.Lock()
        self._backend = LocalBackend(project="p1", http_port=0, grpc_port=0)

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the local backend's services with the rule before them."""
        self._backend.start()
        return _Before(self, _Services(self._backend.store, ""))

    def __exit__(self, *exc_info: object) -> None:
        super().__exit__(*exc_info)
        self._backend.stop()


class _Before(grpc.GenericRpcHandler):
    def __init__(self, google: FaultyGoogle, services: Any) -> None:
        self._google = google
        self._services = services

    def service(self, details: Any) -> Any:
        found = self._services.service(details)
        if found is None:
            return None
        google, name = self._google, details.method.rpartition("/")[2]

        def handle(request: Any, context: Any) -> Any:
            with google.lock:
                google.requests.setdefault(name, []).append(request)
            try:
                google.rule(name, request)
            except Refusal as refusal:
                refuse(context, refusal)
            try:
                answer = found.unary_unary(request, context)
            except Exception:
                google.refused.append((name, str(context.details())))
                raise
            with google.lock:
                google.accepted.setdefault(name, []).append(request)
            return answer

        return grpc.unary_unary_rpc_method_handler(
            handle, request_deserializer=found.request_deserializer, response_serializer=found.response_serializer
        )
