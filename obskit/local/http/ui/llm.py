"""What the AI calls of a window used and cost, from the metrics that obskit records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from obskit import catalog
from obskit.engine.series import Series
from obskit.local.http.context import backend_of
from obskit.local.http.replies import JsonReply, Parameters
from obskit.local.http.ui.counting import counter_series, increase_by, increase_in_bins

__all__ = ["llm", "llm_summary"]

BINS: Final = 60
_INPUT_KINDS: Final = frozenset({"input", "cached", "cache_write", "tool_use"})

_MODEL: Final = catalog.promql_label("gen_ai.request.model")
_PROVIDER: Final = catalog.promql_label("gen_ai.provider.name")
_KIND: Final = catalog.promql_label("obskit.token.kind")
_ERROR: Final = catalog.promql_label("error.type")


def llm(request: Request) -> Response:
    """Answer ``GET /api/llm``."""
    backend = backend_of(request)
    window_ms = Parameters.of(request).whole("window_s", 3600, low=1) * 1000
    now_ms = backend.clock.now_ms()
    return JsonReply(llm_summary(backend.store.metrics, now_ms - window_ms, now_ms))


def llm_summary(source: Any, start_ms: int, end_ms: int) -> dict[str, Any]:
    """Return calls, tokens and cost by model, over time and in total.

    Args:
        source: the metric store.
        start_ms: begin of the window.
        end_ms: end of the window.
    """
    tokens = counter_series(source, catalog.AI_TOKENS, start_ms, end_ms)
    cost = counter_series(source, catalog.AI_COST, start_ms, end_ms)
    unpriced = counter_series(source, catalog.AI_UNPRICED_CALLS, start_ms, end_ms)
    calls = counter_series(source, catalog.AI_OPERATION_DURATION, start_ms, end_ms, suffix="_count")

    by_kind = increase_by(tokens, lambda labels: (*_model(labels), labels.get(_KIND, "")), start_ms, end_ms)
    by_cost = increase_by(cost, _model, start_ms, end_ms)
    by_unpriced = increase_by(unpriced, _model, start_ms, end_ms)
    by_calls = increase_by(calls, _model, start_ms, end_ms)
    by_errors = increase_by(_failed(calls), _model, start_ms, end_ms)

    names = sorted({key[:2] for key in by_kind} | set(by_cost) | set(by_unpriced) | set(by_calls))
    models = []
    for name in names:
        kinds = {kind: count for (*model, kind), count in by_kind.items() if tuple(model) == name}
        models.append(
            {
                "model": name[0],
                "provider": name[1],
                "calls": round(by_calls.get(name, 0.0)),
                **_token_columns(kinds),
                "cost_usd": by_cost.get(name, 0.0),
                "unpriced_calls": round(by_unpriced.get(name, 0.0)),
                "errors": round(by_errors.get(name, 0.0)),
            }
        )
    models = [row for row in models if row["calls"] or row["input_tokens"] or row["output_tokens"] or row["cost_usd"]]
    models.sort(key=lambda row: (-row["cost_usd"], -row["input_tokens"], row["model"]))
    return {
        "models": models,
        "cost_by_time": _timed(start_ms, end_ms, increase_in_bins(cost, start_ms, end_ms, BINS)),
        "tokens_by_time": _timed(
            start_ms,
            end_ms,
            increase_in_bins(_of_kinds(tokens, is_input=True), start_ms, end_ms, BINS),
            increase_in_bins(_of_kinds(tokens, is_input=False), start_ms, end_ms, BINS),
        ),
        "total": _total(models),
    }


def _model(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels.get(_MODEL, ""), labels.get(_PROVIDER, "")


def _failed(calls: Sequence[Series]) -> list[Series]:
    return [each for each in calls if each.labels.get(_ERROR)]


def _of_kinds(tokens: Sequence[Series], *, is_input: bool) -> list[Series]:
    return [each for each in tokens if (each.labels.get(_KIND) in _INPUT_KINDS) is is_input]


def _token_columns(kinds: Mapping[str, float]) -> dict[str, int]:
    """Return the columns of one model; input includes cached and tool use, output includes thinking."""
    return {
        "input_tokens": round(sum(count for kind, count in kinds.items() if kind in _INPUT_KINDS)),
        "output_tokens": round(sum(count for kind, count in kinds.items() if kind not in _INPUT_KINDS)),
        "cached_tokens": round(kinds.get("cached", 0.0)),
        "thinking_tokens": round(kinds.get("thinking", 0.0)),
    }


def _timed(start_ms: int, end_ms: int, *columns: Sequence[float]) -> list[list[float]]:
    width_ms = (end_ms - start_ms) / BINS
    rows = zip(*columns, strict=True)
    return [[round(start_ms + (index + 1) * width_ms), *values] for index, values in enumerate(rows)]


def _total(models: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns = (
        "calls",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "thinking_tokens",
        "cost_usd",
        "unpriced_calls",
        "errors",
    )
    return {column: sum(row[column] for row in models) for column in columns}
