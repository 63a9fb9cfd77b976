"""The same trivial app under each variant: one route, or many, that answer a small JSON document."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import peers

_flushes: list[Callable[[], object]] = []
_counts: list[dict[str, int]] = [peers.COUNTS]


def build(framework: str, variant: str, *, routes: int = 1, is_exporting: bool = False) -> Any:
    """Return an app that is set up under a variant.

    Args:
        framework: ``fastapi`` or ``flask``.
        variant: a key of `variants.VARIANTS`.
        routes: how many routes the app has: ``/items/{item_id}``, ``/r1/items/{item_id}``, …
        is_exporting: whether telemetry goes out over OTLP/HTTP to ``OTEL_EXPORTER_OTLP_ENDPOINT``.
    """
    peers.prepare(variant)
    app = plain(framework, routes)
    if variant == "obskit":
        observe(app, "otlp" if is_exporting else "memory")
    else:
        peers.attach(framework, variant, app, is_exporting=is_exporting)
        _flushes.extend(peers.FLUSHES)
    return app


def plain(framework: str, routes: int = 1) -> Any:
    """Return the bare app."""
    return _fastapi(routes) if framework == "fastapi" else _flask(routes)


def observe(app: Any, exporter: str) -> Any:
    """Set obskit up on the app with everything on; ``memory`` means a destination that keeps nothing."""
    import obskit

    if exporter == "memory":
        import discard

        discard.use()
        _counts.append(discard.COUNTS)
    handle = obskit.instrument(app, service_name="bench", project="p", exporters=[exporter], log_format="json")
    status = handle.status()
    if not status.is_running:  # it never raises into an app, but what is measured must be obskit
        raise RuntimeError(f"obskit is not running: {'; '.join(map(str, status.problems))}")
    _flushes.append(handle.flush)
    return handle


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
    return build(
        os.environ["BENCH_FRAMEWORK"],
        os.environ["BENCH_VARIANT"],
        is_exporting=os.environ.get("BENCH_EXPORTS") == "1",
    )
