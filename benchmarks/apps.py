"""The same trivial app under each variant: one route, or many, that answer a small JSON document."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import peers

_flushes: list[Callable[[], object]] = []
_counts: list[dict[str, int]] = [peers.COUNTS]


def build(framework: str, variant: str, *, routes: int = 1, exporter: str = "") -> Any:
    """Return an app that is set up under a variant.

    Args:
        framework: ``fastapi`` or ``flask``.
        variant: a key of `variants.VARIANTS`.
        routes: how many routes the app has: ``/items/{item_id}``, ``/r1/items/{item_id}``, …
        exporter: empty for one that keeps nothing; ``otlp`` sends over OTLP/HTTP to ``OTEL_EXPORTER_OTLP_ENDPOINT``,
            ``stuck`` (obskit only) never gets rid of a span.
    """
    peers.prepare(variant)
    app = plain(framework, routes)
    if variant.startswith("obskit"):
        observe(app, exporter, is_native=variant == "obskit")
    else:
        peers.attach(framework, variant, app, is_exporting=exporter == "otlp")
        _flushes.extend(peers.FLUSHES)
    return app


def plain(framework: str, routes: int = 1) -> Any:
    """Return the bare app."""
    return _fastapi(routes) if framework == "fastapi" else _flask(routes)


def observe(app: Any, exporter: str = "", *, is_native: bool = True) -> None:
    """Set obskit up on the app with everything on."""
    import obskit

    if exporter in {"", "stuck"}:
        import discard

        discard.use("create_stuck" if exporter else "create")
        _counts.append(discard.COUNTS)
    name = exporter if exporter in {"otlp", "gcp"} else "memory"
    handle = obskit.instrument(
        app, service_name="bench", project="p", exporters=[name], log_format="json", native=is_native
    )
    status = handle.status()
    if not status.is_running:  # it never raises into an app, but what is measured must be obskit
        raise RuntimeError(f"obskit is not running: {'; '.join(map(str, status.problems))}")
    from obskit.signals import native

    if is_native and native.MODULE is None:  # what is measured under its name must be it
        raise RuntimeError(f"the compiled module is not used: {native.WHY_NOT}")
    # What is stuck is tried once, so that its pause has begun, and no longer than that.
    _flushes.append((lambda: handle.flush("2s")) if exporter == "stuck" else handle.flush)


def flush() -> None:
    """Export everything now, so that each measurement holds the export of its own requests, no more and no less."""
    for each in _flushes:
        each()


def spans() -> int:
    """Return how many spans have been exported; those sent to an agent are not seen."""
    return sum(count["spans"] for count in _counts)


def prefixes(routes: int) -> list[str]:
    """Return what the paths of the routes begin with."""
    return ["", *(f"/r{number}" for number in range(1, routes))]


def _fastapi(routes: int) -> Any:
    from fastapi import FastAPI

    app = FastAPI()

    def add(prefix: str) -> None:
        @app.get(prefix + "/items/{item_id}")
        async def item(item_id: int) -> dict[str, object]:
            return {"id": item_id, "name": "thing"}

    for prefix in prefixes(routes):
        add(prefix)
    return app


def _flask(routes: int) -> Any:
    from flask import Flask

    app = Flask("bench")

    def add(prefix: str) -> None:
        @app.get(prefix + "/items/<int:item_id>", endpoint="item" + prefix.replace("/", "_"))
        def item(item_id: int) -> dict[str, object]:
            return {"id": item_id, "name": "thing"}

    for prefix in prefixes(routes):
        add(prefix)
    return app


def from_environ() -> Any:
    """Return the app that ``BENCH_*`` in the environment asks for; for servers."""
    framework, variant = os.environ["BENCH_FRAMEWORK"], os.environ["BENCH_VARIANT"]
    if variant == "obskit_google":
        import timed

        app = plain(framework)
        timed.use()
        observe(app, "gcp")
        return app
    app = build(framework, variant, exporter=os.environ.get("BENCH_EXPORTER", ""))
    _add_stream(framework, app)
    return app


STREAM_BYTES = 1 << 30
CHUNK = b"x" * (64 << 10)


def _add_stream(framework: str, app: Any) -> None:
    chunks = STREAM_BYTES // len(CHUNK)
    if framework == "fastapi":
        from starlette.responses import StreamingResponse

        async def body() -> Any:
            for _ in range(chunks):
                yield CHUNK

        @app.get("/stream")
        async def stream() -> StreamingResponse:
            return StreamingResponse(body())
    else:
        from flask import Response

        @app.get("/stream")
        def stream() -> Response:
            return Response(CHUNK for _ in range(chunks))
