"""What every route of the local backend works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

if TYPE_CHECKING:
    from obskit.local.clock import Clock
    from obskit.local.evaluate import Evaluator
    from obskit.local.store import Store
    from obskit.local.uptime import UptimeChecker

__all__ = ["BackendContext", "backend_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendContext:
    """The parts of one running backend.

    Attributes:
        store: all telemetry and all objects.
        clock: the backend's clock.
        evaluator: runs the alert policies.
        uptime: makes the uptime checks.
        project: the project id under which telemetry is kept.
        http_url: address of the UI and the HTTP services.
        grpc_address: HOST:PORT of the gRPC services.
    """

    store: Store
    clock: Clock
    evaluator: Evaluator
    uptime: UptimeChecker
    project: str
    http_url: str
    grpc_address: str


def backend_of(request: Request) -> BackendContext:
    """Return the backend that serves this request."""
    backend: BackendContext = request.app.state.backend
    return backend
