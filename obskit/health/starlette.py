"""The endpoint as routes of a FastAPI or Starlette app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from obskit.health.results import Report

if TYPE_CHECKING:
    from obskit.health.registry import Health

__all__ = ["install"]


def install(app: Any, health: Health, path: str) -> None:
    """Put the routes before the app's own, where no route for every path hides them."""

    async def ready(_request: Request) -> Response:
        return _response(await health.run_async(), details=health.details)

    async def live(_request: Request) -> Response:
        return _response(Report(), details=False)

    app.router.routes[:0] = [
        Route(path or "/", ready, include_in_schema=False),
        Route(f"{path}/ready", ready, include_in_schema=False),
        Route(f"{path}/live", live, include_in_schema=False),
    ]


def _response(report: Report, *, details: bool) -> Response:
    return Response(
        report.body(details=details),
        status_code=200 if report.is_ready else 503,
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )
