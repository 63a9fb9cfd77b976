"""How objects are that the backend works out: each SLO, log-based metric and uptime check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from obskit.engine.conditions import UnsupportedError
from obskit.engine.objectives import Objective
from obskit.errors import QueryError
from obskit.local.http.context import BackendContext, backend_of
from obskit.local.http.replies import JsonReply

__all__ = ["state_routes"]

_HOUR_MS = 3_600_000


async def _objectives(request: Request) -> Response:
    backend = backend_of(request)
    rows = await run_in_threadpool(lambda: [_objective(backend, each) for each in _stored(backend)])
    return JsonReply({"objectives": rows})


def _stored(backend: BackendContext) -> list[Mapping[str, Any]]:
    return list(backend.store.objects.list("serviceLevelObjectives"))


def _objective(backend: BackendContext, document: Mapping[str, Any]) -> dict[str, Any]:
    """An SLO's state: ok, violated (its budget is spent), no_data, unsupported or error, each with the reason."""
    now_ms = backend.clock.now_ms()
    row: dict[str, Any] = {
        "name": document["name"],
        "display_name": document.get("displayName", ""),
        "goal": document.get("goal"),
        "state": "no_data",
        "error": "",
    }
    try:
        found = backend.store.series.read(str(document["name"]), now_ms, lambda objective: _standing(objective, now_ms))
    except QueryError as error:
        return {**row, "state": "unsupported" if isinstance(error, UnsupportedError) else "error", "error": str(error)}
    return {**row, **found}


def _standing(objective: Objective, now_ms: int) -> dict[str, Any]:
    budget, state = objective.budget(now_ms), "no_data"
    if budget.compliance is not None:  # not by what is left: of 10 events at 90 % one bad one leaves -2e-16
        state = "ok" if budget.compliance >= budget.goal else "violated"
    return {
        "state": state,
        "period_start_ms": objective.period_start(now_ms),
        "good": budget.good,
        "total": budget.total,
        "compliance": budget.compliance,
        "budget_fraction": budget.fraction,
        "burn_rate_1h": objective.burn_rate(now_ms, _HOUR_MS),
    }


def _log_metrics(request: Request) -> Response:
    return JsonReply({"log_metrics": backend_of(request).store.log_metrics.states()})


def _uptime_checks(request: Request) -> Response:
    return JsonReply({"uptime_checks": backend_of(request).uptime.states()})


def state_routes() -> list[Route]:
    """Return the routes of this topic."""
    return [
        Route("/api/objectives", _objectives, methods=["GET"]),
        Route("/api/log_metrics", _log_metrics, methods=["GET"]),
        Route("/api/uptime_checks", _uptime_checks, methods=["GET"]),
    ]
