"""Runs scenarios with a real SDK, and prints what obskit has recorded of each: a line RECORDED JSON."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette

import obskit
from obskit.config import Config
from obskit.llm import settings
from obskit.signals import context
from obskit.testing import capture

KINDS = ("input", "cached", "cache_write", "tool_use", "output", "thinking")
_all: dict[str, tuple[Callable[..., Any], Config]] = {}


def scenario(**config: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Take a function as a scenario of its name, under these settings; what it returns is handed on."""

    def take(function: Callable[..., Any]) -> Callable[..., Any]:
        _all[function.__name__] = (function, Config(**config))
        return function

    return take


def main(*arguments: Any) -> None:
    """Run all scenarios: each gets the server's URL, its own name and the arguments."""
    obskit.instrument(Starlette(), exporters="memory")
    logging.getLogger("obskit").setLevel(logging.WARNING)
    found = {}
    for name, (function, config) in _all.items():
        settings.configure(config)
        with capture() as seen:
            request = context.RequestState()
            token = context.enter(request)
            problem = ""
            returned = None
            try:
                returned = function(sys.argv[1], name, *arguments)
                if inspect.iscoroutine(returned):
                    returned = asyncio.run(returned)
            except Exception as error:
                problem = f"{type(error).__module__}.{type(error).__name__}: {error}"
            context.leave(token)
            gc.collect()
            found[name] = {"returned": returned, "problem": problem, **_seen(seen, request)}
    print("\nRECORDED " + json.dumps(found), flush=True)


def _seen(seen: Any, request: Any) -> dict[str, Any]:
    tokens = {kind: seen.total("obskit.gen_ai.tokens", **{"obskit.token.kind": kind}) for kind in KINDS}
    units: dict[str, float] = {}
    for point in seen.metrics:
        if point.metric == "obskit.gen_ai.units" and point.value:
            unit = point.attributes["obskit.unit"]
            units[unit] = seen.total("obskit.gen_ai.units", **{"obskit.unit": unit})
    return {
        "tokens": {kind: count for kind, count in tokens.items() if count},
        "units": units,
        "cost": seen.total("obskit.gen_ai.cost"),
        "calls": seen.total("gen_ai.client.operation.duration"),
        "first_chunks": seen.total("gen_ai.client.operation.time_to_first_chunk"),
        "unpriced": seen.total("obskit.gen_ai.unpriced_calls"),
        "retries": seen.total("obskit.gen_ai.retries"),
        "request": [request.ai_calls, request.ai_input_tokens, request.ai_output_tokens, request.ai_cost_usd],
        "warnings": list(map(str, seen.errors)),
        "spans": [
            {
                "name": span.name,
                "status": span.status.status_code.name,
                "attributes": dict((span.attributes or {}).items()),
                "events": [[event.name, dict(event.attributes)] for event in span.events],
                "is_child": span.parent is not None,
            }
            for span in seen.spans
            if "gen_ai.operation.name" in (span.attributes or {})
        ],
    }
