"""The endpoint as a WSGI app, alone or around another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from obskit.health.results import Report

if TYPE_CHECKING:
    from obskit.health.registry import Health

__all__ = ["HealthWSGI"]

_LINES: Final = {200: "200 OK", 404: "404 Not Found", 503: "503 Service Unavailable"}


class HealthWSGI:
    """Answers the health paths, and passes everything else on.

    Args:
        health: the checks.
        app: the app inside; None answers 404.
        path: without a slash at its end.
    """

    def __init__(self, health: Health, app: Any, path: str) -> None:
        self._health = health
        self._app = app
        self._paths = {path or "/": False, f"{path}/ready": False, f"{path}/live": True}

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        is_live = None
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            is_live = self._paths.get(environ.get("PATH_INFO") or "/")
        status, body = 404, b'{"status": "not found"}'
        if is_live is not None:
            report = Report() if is_live else self._health.run()
            status = 200 if report.is_ready else 503
            body = report.body(details=self._health.details and not is_live)
        elif self._app is not None:
            answer: Iterable[bytes] = self._app(environ, start_response)
            return answer
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ]
        start_response(_LINES[status], headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]
