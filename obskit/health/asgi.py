"""The endpoint as an ASGI app, alone or around another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from obskit.health.results import Report

if TYPE_CHECKING:
    from obskit.health.registry import Health

__all__ = ["HealthASGI"]


class HealthASGI:
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

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        is_live = None
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            is_live = self._paths.get(scope["path"].removeprefix(scope.get("root_path", "")))
        if is_live is None:
            await self._pass_on(scope, receive, send)
            return
        report = Report() if is_live else await self._health.run_async()
        body = report.body(details=self._health.details and not is_live)
        await _answer(send, 200 if report.is_ready else 503, body, is_head=scope["method"] == "HEAD")

    async def _pass_on(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _answer(send, 404, b'{"status": "not found"}', is_head=scope["method"] == "HEAD")
        elif scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await send({"type": "websocket.close", "code": 1000})


async def _answer(send: Any, status: int, body: bytes, *, is_head: bool) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else body})
