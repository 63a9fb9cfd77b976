"""Prometheus' query API at Google's path, evaluated by obskit's engine.

Source: "HTTP API" in Prometheus' documentation (version 2.44) and Cloud Monitoring's "Query using PromQL".
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from obskit.catalog import promql_name
from obskit.config import parse_duration
from obskit.engine.promql import check, evaluate, evaluate_range, select_window
from obskit.engine.series import Matcher, Series
from obskit.errors import ProblemsError
from obskit.local.http.context import backend_of
from obskit.local.http.replies import JsonReply

__all__ = ["prometheus_routes"]

BASE: Final = "/v1/projects/{project}/location/global/prometheus/api/v1"
MAX_POINTS: Final = 11_000
"""Most points of one series in a range query; Prometheus' own limit."""


class _BadQuery(Exception):
    """A parameter that Prometheus would answer with `bad_data`."""


class _Form:
    """The parameters of a request: its URL's, and a form's or a JSON object's."""

    def __init__(self, pairs: Iterable[tuple[str, str]], *, now_ms: int) -> None:
        self._pairs = list(pairs)
        self._now_ms = now_ms

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name]

    def text(self, name: str) -> str:
        values = self.all(name)
        if not values or not values[0].strip():
            raise _BadQuery(f'invalid parameter "{name}": it is missing')
        return values[0]

    def time_ms(self, name: str, default_ms: int | None = None) -> int:
        if not self.all(name):
            if default_ms is not None:
                return default_ms
            raise _BadQuery(f'invalid parameter "{name}": cannot parse "" to a valid timestamp')
        raw = self.all(name)[0]
        try:
            seconds = float(raw)
        except ValueError:
            return _rfc3339_ms(name, raw)
        if not math.isfinite(seconds):
            raise _BadQuery(f'invalid parameter "{name}": cannot parse "{raw}" to a valid timestamp')
        return round(seconds * 1000)

    def now_ms(self) -> int:
        return self._now_ms

    def step_ms(self) -> int:
        raw = self.text("step")
        try:
            step_ms = round(parse_duration(raw).total_seconds() * 1000)
        except (ValueError, OverflowError) as error:
            raise _BadQuery(f'invalid parameter "step": cannot parse "{raw}" to a valid duration') from error
        if step_ms <= 0:
            raise _BadQuery('invalid parameter "step": zero or negative query resolution step widths are not accepted')
        return step_ms


def _rfc3339_ms(name: str, raw: str) -> int:
    try:
        moment = datetime.fromisoformat(raw)
    except ValueError as error:
        raise _BadQuery(f'invalid parameter "{name}": cannot parse "{raw}" to a valid timestamp') from error
    if moment.tzinfo is None:
        raise _BadQuery(f'invalid parameter "{name}": "{raw}" names no time zone')
    return round(moment.timestamp() * 1000)


class _Watched:
    """A metric store that notes which metrics were asked for in vain: a misspelt name is no error in PromQL."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._empty: dict[str, None] = {}

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Sequence[Series]:
        found: Sequence[Series] = self._store.select(matchers, start_ms, end_ms)
        if not found:
            self._empty |= {each.value: None for each in matchers if each.name == "__name__" and each.op == "="}
        return found

    def warnings(self) -> list[str]:
        """Return a line for each metric that nothing was ever written to."""
        known = set(self._store.names()) if self._empty else set()
        plain = {name: promql_name(name) if "/" in name else name for name in self._empty}
        return [f'nothing has been written to the metric "{name}"' for name in plain if plain[name] not in known]


# --------------------------------------------------------------------------- the five services


def _query(source: Any, form: _Form) -> Any:
    query, at_ms = form.text("query"), form.time_ms("time", form.now_ms())
    points = select_window(query, source, at_ms)
    if points is not None:
        return {"resultType": "matrix", "result": [_row(each) for each in points]}
    return _instant_result(evaluate(query, source, at_ms), at_ms)


def _query_range(source: Any, form: _Form) -> Any:
    query, start_ms, end_ms, step_ms = form.text("query"), form.time_ms("start"), form.time_ms("end"), form.step_ms()
    if end_ms < start_ms:
        raise _BadQuery('invalid parameter "end": end timestamp must not be before start time')
    if (end_ms - start_ms) // step_ms > MAX_POINTS:
        raise _BadQuery(
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)"
        )
    series = evaluate_range(query, source, start_ms, end_ms, step_ms)
    return {"resultType": "matrix", "result": [_row(each) for each in series if len(each.times_ms)]}


def _series(source: Any, form: _Form) -> Any:
    if not form.all("match[]"):
        raise _BadQuery("no match[] parameter provided")
    return _unique(dict(each.labels) for each in _selected(source, form))


def _labels(source: Any, form: _Form) -> Any:
    return sorted({name for each in _selected(source, form) for name in each.labels})


def _label_values(source: Any, form: _Form) -> Any:
    name = form.text("label_name")
    return sorted({each.labels[name] for each in _selected(source, form) if name in each.labels})


def _selected(source: Any, form: _Form) -> list[Series]:
    end_ms = form.time_ms("end", form.now_ms())
    start_ms = form.time_ms("start", end_ms - 3_600_000)
    selectors = [_matchers(text) for text in form.all("match[]")] or [[Matcher(name="__name__", op="!=", value="")]]
    return [series for matchers in selectors for series in source.select(matchers, start_ms, end_ms)]


_SELECTOR: Final = re.compile(r"\s*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)?\s*(?:\{(?P<inside>.*)\})?\s*", re.DOTALL)
_MATCHER: Final = re.compile(
    r"""\s*(?:(?P<label>[a-zA-Z_][a-zA-Z0-9_]*)|(?P<quoted>"(?:[^"\\]|\\.)*"))"""
    r"""\s*(?:(?P<op>=~|!~|!=|=)\s*(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`))?\s*(?:,|$)""",
    re.DOTALL,
)


def _matchers(selector: str) -> list[Matcher]:
    problems = check(selector)
    whole = _SELECTOR.fullmatch(selector)
    if problems or whole is None:
        reason = "; ".join(str(problem) for problem in problems) or "it is no series selector"
        raise _BadQuery(f'invalid parameter "match[]": {reason}')
    found = [Matcher(name="__name__", op="=", value=whole["name"])] if whole["name"] else []
    inside, position = (whole["inside"] or "").strip(), 0
    while position < len(inside):
        match = _MATCHER.match(inside, position)
        if match is None or match.end() == position:
            raise _BadQuery(f'invalid parameter "match[]": cannot parse {inside[position:]!r}')
        name = match["label"] or _unquote(match["quoted"])
        if match["op"]:
            found.append(Matcher(name=name, op=match["op"], value=_unquote(match["value"])))
        else:  # {"name.with.dots"}: the metric's name in quotes
            found.append(Matcher(name="__name__", op="=", value=name))
        position = match.end()
    return found


def _unquote(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), text[1:-1])


# --------------------------------------------------------------------------- values


def _instant_result(value: Any, at_ms: int) -> Any:
    at_s = at_ms / 1000
    if isinstance(value, str):
        return {"resultType": "string", "result": [at_s, value]}
    if isinstance(value, int | float):
        return {"resultType": "scalar", "result": [at_s, number(value)]}
    result = [{"metric": dict(sample.labels), "value": [at_s, number(sample.value)]} for sample in value]
    return {"resultType": "vector", "result": result}


def _row(series: Series) -> dict[str, Any]:
    return {"metric": dict(series.labels), "values": _values(series)}


def _values(series: Series) -> list[list[Any]]:
    return [[time_ms / 1000, number(value)] for time_ms, value in zip(series.times_ms, series.values, strict=True)]


def number(value: float) -> str:
    """Return a value as Prometheus prints it: shortest digits, no exponent below 1e21, +Inf, -Inf, NaN."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    text = repr(float(value))
    return text if "e" not in text else format(value, "f") if abs(value) >= 1e-6 else text


def _unique(rows: Iterable[Mapping[str, str]]) -> Sequence[Mapping[str, str]]:
    return list({tuple(sorted(row.items())): row for row in rows}.values())


# --------------------------------------------------------------------------- routes

_Service = Callable[[Any, _Form], Any]

SERVICES: Final[Mapping[str, _Service]] = {
    "/query": _query,
    "/query_range": _query_range,
    "/series": _series,
    "/labels": _labels,
    "/label/{label_name}/values": _label_values,
}


def prometheus_routes() -> list[Route]:
    """Return the API's routes."""
    return [Route(BASE + path, _served(service), methods=["GET", "POST"]) for path, service in SERVICES.items()]


def _served(service: _Service) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        backend = backend_of(request)
        pairs = [*request.query_params.multi_items(), *await _body_pairs(request)]
        pairs += [(key, str(value)) for key, value in request.path_params.items()]
        form = _Form(pairs, now_ms=backend.clock.now_ms())
        source = _Watched(backend.store.metrics)
        try:
            data = await run_in_threadpool(service, source, form)
        except (_BadQuery, ProblemsError) as error:
            return JsonReply({"status": "error", "errorType": "bad_data", "error": str(error)}, status_code=400)
        warnings = source.warnings()
        return JsonReply({"status": "success", "data": data, **({"warnings": warnings} if warnings else {})})

    return serve


async def _body_pairs(request: Request) -> list[tuple[str, str]]:
    if request.method != "POST":
        return []
    body = await request.body()
    if request.headers.get("content-type", "").startswith("application/json"):
        document = await request.json() if body else {}
        return [
            (key, each)
            for key, value in document.items()
            for each in (value if isinstance(value, list) else [str(value)])
        ]
    return parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True)
