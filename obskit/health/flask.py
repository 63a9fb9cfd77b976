"""The endpoint as rules of a Flask app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, Response

from obskit.health.results import Report

if TYPE_CHECKING:
    from obskit.health.registry import Health

__all__ = ["install"]


def install(app: Flask, health: Health, path: str) -> None:
    """Add the rules."""

    def ready() -> Response:
        return _response(health.run(), details=health.details)

    def live() -> Response:
        return _response(Report(), details=False)

    app.add_url_rule(path or "/", f"obskit_health:{path}", ready)
    app.add_url_rule(f"{path}/ready", f"obskit_ready:{path}", ready)
    app.add_url_rule(f"{path}/live", f"obskit_live:{path}", live)


def _response(report: Report, *, details: bool) -> Response:
    return Response(
        report.body(details=details),
        status=200 if report.is_ready else 503,
        mimetype="application/json",
        headers={"Cache-Control": "no-store"},
    )
